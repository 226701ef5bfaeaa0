# The roles of the example's pipeline.

mock_provider "aws" {
  source = "./tests/plan/mocks"

  override_resource {
    target = aws_iam_openid_connect_provider.github
    values = { arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com" }
  }
}

variables {
  account              = "sandbox"
  repository           = "example/platform"
  state_bucket_arns    = ["arn:aws:s3:::state"]
  plan_bucket_arn      = "arn:aws:s3:::plans"
  key_arns             = ["arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"]
  dag_bucket_arn       = "arn:aws:s3:::dags"
  image_repository_arn = "arn:aws:ecr:us-east-1:111122223333:repository/images"
  read_policy_arns     = ["arn:aws:iam::111122223333:policy/read"]
  apply_policy_arns    = ["arn:aws:iam::111122223333:policy/apply"]
}

# Failure covered: a role of the pipeline that any repository, or any branch, can assume.
run "each_role_admits_one_subject" {
  module {
    source = "./examples/ci/roles"
  }

  assert {
    condition = alltrue([
      for name, role in aws_iam_role.this : jsondecode(role.assume_role_policy).Statement == [{
        Effect    = "Allow"
        Principal = { Federated = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com" }
        Action    = "sts:AssumeRoleWithWebIdentity"
        Condition = { StringEquals = {
          "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
          "token.actions.githubusercontent.com:sub" = "repo:example/platform:${ { review = "pull_request", plan = "ref:refs/heads/main", apply = "environment:sandbox", dags = "environment:dags", images = "environment:images" }[name]}"
        } }
      }]
    ])
    error_message = "Each role must trust exactly one subject of this repository."
  }
}

# Failure covered: who opens a pull request changes the state, or puts a plan of their own in the place of the saved one.
run "a_pull_request_writes_locks_only" {
  module {
    source = "./examples/ci/roles"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.this["review"].policy).Statement :
      length(setintersection(statement.Action, ["s3:PutObject", "s3:DeleteObject"])) == 0 || alltrue([for arn in statement.Resource : endswith(arn, ".tflock")])
    ])
    error_message = "The role of pull requests may write locks only."
  }

  assert {
    condition     = join(" ", [for attachment in aws_iam_role_policy_attachment.this : attachment.role if endswith(attachment.policy_arn, "/apply")]) == "pipeline-apply"
    error_message = "Only the role that applies may apply."
  }
}

run "a_repository_by_wildcard_is_refused" {
  command = plan

  module {
    source = "./examples/ci/roles"
  }

  variables {
    repository = "example/*"
  }

  expect_failures = [var.repository]
}
