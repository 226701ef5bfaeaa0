# Failure covered: the environment is deleted, and its database with it, because an argument changed.

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { id = "us-east-1" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_resource "aws_security_group" {
    defaults = { id = "sg-own" }
  }
}

override_data {
  target = data.aws_subnet.this[0]
  values = { availability_zone = "us-east-1a", vpc_id = "vpc-1" }
}

override_data {
  target = data.aws_subnet.this[1]
  values = { availability_zone = "us-east-1b", vpc_id = "vpc-1" }
}

variables {
  name                = "analytics"
  prefix              = "analytics-use1"
  role                = "standalone"
  environment_owner   = "terraform"
  network             = { vpc_id = "vpc-1", subnet_ids = ["subnet-a", "subnet-b"] }
  dag_bucket          = { name = "dags", arn = "arn:aws:s3:::dags" }
  key_arn             = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234"
  environment_key_arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
}

run "the_first_apply_claims" {
  override_data {
    target = data.aws_ssm_parameters_by_path.ownership
    values = { values = [] }
  }

  assert {
    condition = jsondecode(aws_ssm_parameter.ownership.insecure_value) == {
      environment_owner   = "terraform"
      role                = "standalone"
      kms_key             = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
      subnet_ids          = ["subnet-a", "subnet-b"]
      endpoint_management = "SERVICE"
    }
    error_message = "The claim must hold the owner and what would replace the environment."
  }

  assert {
    condition     = startswith(aws_ssm_parameter.ownership.name, "${data.aws_ssm_parameters_by_path.ownership.path}/")
    error_message = "What is written must be where it is read."
  }
}

run "an_unchanged_claim_passes_in_any_order_of_subnets" {
  variables {
    network = { vpc_id = "vpc-1", subnet_ids = ["subnet-b", "subnet-a"] }
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.ownership
    values = { values = ["{\"environment_owner\":\"terraform\",\"role\":\"standalone\",\"kms_key\":\"arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\",\"subnet_ids\":[\"subnet-a\",\"subnet-b\"],\"endpoint_management\":\"SERVICE\"}"] }
  }

  assert {
    condition     = length(aws_mwaa_environment.this) == 1
    error_message = "The environment must stay."
  }
}

run "refuses_to_give_a_running_environment_to_the_state_machines" {
  command = plan

  variables {
    environment_owner = "lifecycle"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.ownership
    values = { values = ["{\"environment_owner\":\"terraform\",\"role\":\"standalone\",\"kms_key\":\"arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\",\"subnet_ids\":[\"subnet-a\",\"subnet-b\"],\"endpoint_management\":\"SERVICE\"}"] }
  }

  expect_failures = [terraform_data.ownership]
}

run "refuses_to_take_an_environment_from_the_state_machines" {
  command = plan

  override_data {
    target = data.aws_ssm_parameters_by_path.ownership
    values = { values = ["{\"environment_owner\":\"lifecycle\",\"role\":\"standalone\",\"kms_key\":\"arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\",\"subnet_ids\":[\"subnet-a\",\"subnet-b\"],\"endpoint_management\":\"SERVICE\"}"] }
  }

  expect_failures = [terraform_data.ownership]
}

run "refuses_another_key" {
  command = plan

  override_data {
    target = data.aws_ssm_parameters_by_path.ownership
    values = { values = ["{\"environment_owner\":\"terraform\",\"role\":\"standalone\",\"kms_key\":\"AWS_OWNED\",\"subnet_ids\":[\"subnet-a\",\"subnet-b\"],\"endpoint_management\":\"SERVICE\"}"] }
  }

  expect_failures = [terraform_data.ownership]
}

run "refuses_a_key_of_another_id" {
  command = plan

  variables {
    environment_key_arn = "arn:aws:kms:us-east-1:111122223333:key/aaaaaaaa-12ab-34cd-56ef-1234567890ab"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.ownership
    values = { values = ["{\"environment_owner\":\"terraform\",\"role\":\"standalone\",\"kms_key\":\"arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\",\"subnet_ids\":[\"subnet-a\",\"subnet-b\"],\"endpoint_management\":\"SERVICE\"}"] }
  }

  expect_failures = [terraform_data.ownership]
}

# Failure covered: a standalone that becomes a primary loses the key its snapshots are encrypted with.
run "refuses_another_role" {
  command = plan

  variables {
    role = "primary"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.ownership
    values = { values = ["{\"environment_owner\":\"terraform\",\"role\":\"standalone\",\"kms_key\":\"arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\",\"subnet_ids\":[\"subnet-a\",\"subnet-b\"],\"endpoint_management\":\"SERVICE\"}"] }
  }

  expect_failures = [terraform_data.ownership]
}

# Failure covered: unknown `subnet_ids` force a replacement of the environment.
run "refuses_other_subnets" {
  command = plan

  override_data {
    target = data.aws_ssm_parameters_by_path.ownership
    values = { values = ["{\"environment_owner\":\"terraform\",\"role\":\"standalone\",\"kms_key\":\"arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\",\"subnet_ids\":[\"subnet-a\",\"subnet-c\"],\"endpoint_management\":\"SERVICE\"}"] }
  }

  expect_failures = [terraform_data.ownership]
}

run "refuses_another_endpoint_management" {
  command = plan

  override_data {
    target = data.aws_ssm_parameters_by_path.ownership
    values = { values = ["{\"environment_owner\":\"terraform\",\"role\":\"standalone\",\"kms_key\":\"arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\",\"subnet_ids\":[\"subnet-a\",\"subnet-b\"],\"endpoint_management\":\"CUSTOMER\"}"] }
  }

  expect_failures = [terraform_data.ownership]
}

run "the_state_machines_may_be_given_other_subnets" {
  variables {
    environment_owner = "lifecycle"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.ownership
    values = { values = ["{\"environment_owner\":\"lifecycle\",\"role\":\"standalone\",\"kms_key\":\"AWS_OWNED\",\"subnet_ids\":[\"subnet-a\",\"subnet-c\"],\"endpoint_management\":\"SERVICE\"}"] }
  }

  assert {
    condition     = jsondecode(aws_ssm_parameter.ownership.insecure_value).subnet_ids == ["subnet-a", "subnet-b"]
    error_message = "Where Terraform owns no environment it replaces none, and the claim must follow."
  }
}
