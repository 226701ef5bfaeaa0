# Who owns the environment, and which role its Region has, is decided once. What was decided is kept in SSM and compared in every plan, because Terraform itself would
# carry out a change of mind by deleting the environment, and its database with it.

locals {
  ownership_path = "/mwaa-continuity/${var.name}/ownership"

  # Beside the owner, the arguments MWAA cannot update: another value replaces a native environment.
  claim = {
    environment_owner   = var.environment_owner
    role                = var.role
    kms_key             = var.environment.aws_owned_key ? "AWS_OWNED" : var.environment_key_arn
    subnet_ids          = sort(var.network.subnet_ids)
    endpoint_management = var.environment.endpoint_management
  }

  # Nothing in it is secret; the provider only cannot know that.
  held_claims = [for value in nonsensitive(data.aws_ssm_parameters_by_path.ownership.values) : jsondecode(value)]

  other_roles  = [for held in local.held_claims : held.role if try(held.role, var.role) != var.role]
  other_owners = [for held in local.held_claims : held.environment_owner if held.environment_owner != var.environment_owner]
  replacing = distinct(flatten([
    for held in local.held_claims : [for argument in ["kms_key", "subnet_ids", "endpoint_management"] : argument if jsonencode(held[argument]) != jsonencode(local.claim[argument])]
    if var.environment_owner == "terraform" && held.environment_owner == "terraform"
  ]))

  # Subnets the claim does not know. Not known before apply, if something replaces the subnets themselves.
  strange_subnets = flatten([
    for held in local.held_claims : tolist(setsubtract(var.network.subnet_ids, held.subnet_ids)) if var.environment_owner == "terraform" && held.environment_owner == "terraform"
  ])

  forget_claim = "aws ssm delete-parameter --region ${local.region} --name ${local.ownership_path}/claim"
}

# Empty until the first apply, and again when someone has deleted the parameter to allow a change.
data "aws_ssm_parameters_by_path" "ownership" {
  path = local.ownership_path
}

resource "terraform_data" "ownership" {
  input = local.claim

  lifecycle {
    precondition {
      condition     = length(local.other_roles) == 0
      error_message = <<-EOT
        `role` of ${var.name} in ${local.region} is "${join("", local.other_roles)}" and cannot become "${var.role}": Terraform would destroy the key that
        buckets and snapshots are encrypted with, and the lease table. Undo it; docs/migration.md says how to get to a primary and a secondary.
      EOT
    }

    precondition {
      condition     = length(local.other_owners) == 0
      error_message = <<-EOT
        `environment_owner` of ${var.name} in ${local.region} is "${join("", local.other_owners)}" and cannot just become "${var.environment_owner}".
        ${var.environment_owner == "lifecycle" ? "Terraform would delete the running environment and its database. To hand it over:" : "Terraform would try to create an environment that may exist already. To take it over:"}
        ${var.environment_owner == "lifecycle" ? "1. terraform state rm 'ADDRESS.aws_mwaa_environment.this[0]' (it keeps running)" : "1. put an `import` block for ADDRESS.aws_mwaa_environment.this[0] with id \"${var.name}\" into the root, if the environment exists"}
        2. ${local.forget_claim}
        3. terraform plan: it must not show the environment as destroyed${var.environment_owner == "lifecycle" ? "" : " or replaced"}; then apply.
        `terraform state list` shows the ADDRESS.
      EOT
    }

    precondition {
      condition     = length(local.replacing) == 0
      error_message = <<-EOT
        A change of ${join(", ", local.replacing)} would replace the environment ${var.name} in ${local.region} and delete its database. Undo it, or:
        1. take a snapshot and see that it is verified
        2. terraform destroy -target='ADDRESS.aws_mwaa_environment.this'
        3. ${local.forget_claim}
        4. terraform apply, and restore the snapshot.
        `terraform state list` shows the ADDRESS.
      EOT
    }
  }
}

# No instance ever comes of this. A condition on values that are not known before apply is put off until then, which is too late; `for_each`
# on them fails the plan. So it does where the subnets of a native environment are about to be replaced, and also with `depends_on` on the
# module, if something named there is about to change: Terraform then reads the claim during apply only.
resource "terraform_data" "subnets_must_be_known" {
  for_each = toset(local.strange_subnets) # New subnets would replace the environment and delete its database, or `depends_on` on the module hides the claim: see "Ownership" in README.md

  input = each.key

  depends_on = [terraform_data.ownership]
}

resource "aws_ssm_parameter" "ownership" {
  #checkov:skip=CKV2_AWS_34:names and ARNs, which a plan is to show
  name        = "${local.ownership_path}/claim"
  description = "Who owns MWAA environment ${var.name}, and what would replace it. Delete it only to allow such a change."
  type        = "String"
  # Not `value`, which would hide from every plan what changes.
  insecure_value = jsonencode(local.claim)

  tags = var.tags

  # What is refused, or failed to be created, is not written down.
  depends_on = [
    aws_mwaa_environment.this,
    terraform_data.ownership,
  ]
}
