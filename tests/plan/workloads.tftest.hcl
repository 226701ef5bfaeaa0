# What workloads mean for the rest of the module: options, endpoints, policies.

mock_provider "aws" {
  source = "./tests/plan/mocks"
}

variables {
  name              = "analytics"
  role              = "secondary"
  environment_owner = "lifecycle"
  peer              = { region = "us-east-1" }
}

run "workloads_reach_their_services_from_a_network_without_a_way_out" {
  command = plan

  variables {
    network = { cidr = "10.1.0.0/16", egress = "endpoints", additional_endpoints = ["ssm"] }
    workloads = {
      containers = { report = { tag = "1.4.0" } }
      access     = { glue = { jobs = ["orders"] }, secrets_manager_backend = {} }
    }
  }

  assert {
    condition     = length(setsubtract(["ecs", "glue", "secretsmanager", "ssm"], keys(module.network[0].endpoint_ids))) == 0
    error_message = "What DAGs call must have an endpoint."
  }

  assert {
    condition     = local.environment.airflow_configuration_options["secrets.backend"] == "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend" && toset(keys(local.environment.regional_airflow_configuration_options)) == toset(["workloads.report"])
    error_message = "The options of workloads are options of the environment; those of containers are of this Region."
  }

  assert {
    condition     = toset(keys(output.execution_role_policies)) == toset(["continuity", "ecs", "glue", "mwaa"])
    error_message = "What the execution role needs is told."
  }
}

run "a_backend_beside_the_preset_is_refused" {
  command = plan

  variables {
    environment = { airflow_configuration_options = { "secrets.backend" = "mine.Backend" } }
    workloads   = { access = { secrets_manager_backend = {} } }
  }

  expect_failures = [terraform_data.workloads]
}

run "options_of_the_section_of_containers_are_refused" {
  command = plan

  variables {
    environment = { regional_airflow_configuration_options = { "workloads.report" = "mine" } }
    workloads   = { access = { glue = { jobs = ["orders"] } } }
  }

  expect_failures = [terraform_data.workloads]
}
