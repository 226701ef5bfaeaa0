# What each preset grants, and what is refused. tests/integration/workloads puts requests to the documents.

variables {
  account = { partition = "aws", dns_suffix = "amazonaws.com", region = "us-west-2", id = "111122223333" }
}

run "nothing_asked_for_is_nothing_granted" {
  assert {
    condition     = length(output.policy_documents) == 0 && length(output.airflow_configuration_options) == 0 && length(output.endpoint_services) == 0
    error_message = "Without presets there must be no grant and no option."
  }
}

run "everything_asked_for_has_no_wildcard_action_and_says_why_a_resource_is_one" {
  variables {
    presets = {
      athena                  = { workgroups = ["reports"], databases = ["sales"], read = ["s3://landing/orders/"], write = ["s3://lake/results/", "s3://lake/tables/"], create_tables = true, key_arns = ["arn:aws:kms:us-west-2:111122223333:key/1234"] }
      glue                    = { jobs = ["orders"] }
      emr                     = { cluster_ids = ["j-1ABC"], cluster_tags = { team = "analytics" }, pass_roles = ["arn:aws:iam::111122223333:role/emr"] }
      lambda                  = { functions = ["score"] }
      ecs                     = [{ cluster = "batch", task_definitions = ["report"], pass_roles = ["arn:aws:iam::111122223333:role/report"], log_groups = ["/ecs/report"] }]
      secrets_manager_backend = { key_arns = ["arn:aws:kms:us-west-2:111122223333:key/1234"] }
    }
  }

  assert {
    condition     = keys(output.policy_documents) == ["athena", "ecs", "emr", "glue", "lambda", "secrets_manager_backend"]
    error_message = "Each preset has a document of its own."
  }

  assert {
    condition = alltrue(flatten([for document in values(output.policy_documents) : [
      for statement in jsondecode(document).Statement : [for action in flatten([statement.Action]) : !strcontains(action, "*")]
    ]]))
    error_message = "No statement may have a wildcard in an action."
  }

  assert {
    condition = flatten([for document in values(output.policy_documents) : [
      for statement in jsondecode(document).Statement : statement.Sid if contains(flatten([statement.Resource]), "*")
    ]]) == ["Find0", "CreateClusters"]
    error_message = "The resource \"*\" is for what has no finer resource only, and a condition bounds it."
  }

  assert {
    condition = alltrue(flatten([for document in values(output.policy_documents) : [
      for statement in jsondecode(document).Statement : try(statement.Condition.StringEquals["iam:PassedToService"] != null, false) if contains(flatten([statement.Action]), "iam:PassRole")
    ]]))
    error_message = "A role is passed to a named service only."
  }

  assert {
    condition     = output.endpoint_services == toset(["athena", "ecs", "elasticmapreduce", "glue", "lambda", "secretsmanager"])
    error_message = "A network without a way out needs an endpoint for each service that DAGs call."
  }

  assert {
    condition     = alltrue([for document in values(output.policy_documents) : length(document) <= 6144])
    error_message = "A managed policy takes 6144 characters."
  }
}

run "the_secrets_backend_is_an_option_and_no_grant" {
  variables {
    presets = { secrets_manager_backend = { variables_prefix = null } }
  }

  assert {
    condition     = length(output.policy_documents) == 0 && output.airflow_configuration_options["secrets.backend"] == "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"
    error_message = "Secrets under the AWS managed key need no grant beside the prefixes."
  }

  assert {
    condition     = jsondecode(output.airflow_configuration_options["secrets.backend_kwargs"]) == jsondecode("{\"connections_prefix\":\"airflow/connections\",\"variables_prefix\":\"airflow/variables\",\"config_prefix\":null}")
    error_message = "Prefixes have defaults; null switches look-ups of configuration off."
  }
}

run "steps_by_id_alone_create_nothing" {
  variables {
    presets = { emr = { cluster_ids = ["j-1ABC"] } }
  }

  assert {
    condition     = [for statement in jsondecode(output.policy_documents.emr).Statement : statement.Sid] == ["StepsById"]
    error_message = "Without roles to pass there is nothing to create clusters with."
  }
}

run "a_location_without_a_slash_is_refused" {
  command = plan

  variables {
    presets = { athena = { workgroups = ["reports"], databases = ["sales"], write = ["s3://lake/results"] } }
  }

  expect_failures = [var.presets]
}

run "a_pattern_for_a_name_is_refused" {
  command = plan

  variables {
    presets = { glue = { jobs = ["orders-*"] } }
  }

  expect_failures = [var.presets]
}

run "nothing_to_start_is_refused" {
  command = plan

  variables {
    presets = { lambda = { functions = [] } }
  }

  expect_failures = [var.presets]
}

run "steps_on_any_cluster_are_refused" {
  command = plan

  variables {
    presets = { emr = {} }
  }

  expect_failures = [var.presets]
}

run "clusters_that_nothing_tells_apart_are_refused" {
  command = plan

  variables {
    presets = { emr = { cluster_ids = ["j-1ABC"], pass_roles = ["arn:aws:iam::111122223333:role/emr"] } }
  }

  expect_failures = [var.presets]
}

run "any_role_is_refused" {
  command = plan

  variables {
    presets = { ecs = [{ cluster = "batch", task_definitions = ["report"], pass_roles = ["arn:aws:iam::111122223333:role/*"] }] }
  }

  expect_failures = [var.presets]
}

run "an_alias_of_a_key_is_refused" {
  command = plan

  variables {
    presets = { secrets_manager_backend = { key_arns = ["arn:aws:kms:us-west-2:111122223333:alias/secrets"] } }
  }

  expect_failures = [var.presets]
}

run "a_prefix_that_ends_with_a_slash_is_refused" {
  command = plan

  variables {
    presets = { secrets_manager_backend = { connections_prefix = "airflow/" } }
  }

  expect_failures = [var.presets]
}

# Failure covered: "Invalid for_each argument" where roles or keys are made in the same root.
run "what_is_named_may_be_made_in_the_same_root" {
  command = plan

  module {
    source = "./tests/made_here"
  }

  assert {
    condition     = toset(output.policies) == toset(["athena", "ecs", "emr", "secrets_manager_backend"])
    error_message = "Which policies there are must be known before the ARNs are."
  }
}
