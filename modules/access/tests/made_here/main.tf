# A root that makes what it names, so that no ARN is known while planning.

resource "terraform_data" "arn" {
  for_each = { role = "arn:aws:iam::111122223333:role/made", key = "arn:aws:kms:us-west-2:111122223333:key/1234" }

  input = each.value
}

module "access" {
  source = "../.."

  account = { partition = "aws", dns_suffix = "amazonaws.com", region = "us-west-2", id = "111122223333" }
  presets = {
    athena                  = { workgroups = ["reports"], databases = ["sales"], write = ["s3://lake/results/"], key_arns = [terraform_data.arn["key"].output] }
    emr                     = { cluster_tags = { team = "analytics" }, pass_roles = [terraform_data.arn["role"].output] }
    ecs                     = [{ cluster = "batch", task_definitions = ["report"], pass_roles = [terraform_data.arn["role"].output] }]
    secrets_manager_backend = { key_arns = [terraform_data.arn["key"].output] }
  }
}

# As whoever attaches the policies does.
resource "terraform_data" "policy" {
  for_each = module.access.policy_documents

  input = each.value
}

output "policies" {
  description = "Which policies there are."
  value       = keys(terraform_data.policy)
}
