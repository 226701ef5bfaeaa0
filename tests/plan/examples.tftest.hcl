# Every example can be planned.

mock_provider "aws" {
  source = "./tests/plan/mocks"
}

run "minimal" {
  command = plan

  module {
    source = "./examples/minimal"
  }

  assert {
    condition     = startswith(output.dag_bucket.name, "minimal-us-west-2-111122223333")
    error_message = "The DAG bucket is named by environment, Region and account."
  }
}

run "hibernation" {
  command = plan

  module {
    source = "./examples/hibernation"
  }

  assert {
    condition     = output.webserver_url_parameter == "/office-hours-us-west-2/webserver-url"
    error_message = "The address is told by a parameter that is named by environment and Region."
  }
}

run "event_trigger" {
  command = plan

  module {
    source = "./examples/event-trigger"
  }

  assert {
    condition     = keys(output.event_queue) == ["dead_letters", "events"]
    error_message = "The example tells its queues."
  }
}

run "metadata_lake" {
  command = plan

  module {
    source = "./examples/metadata-lake"
  }

  assert {
    condition     = output.workgroup == "reporting-us-west-2-lake"
    error_message = "The example tells where the saved queries are."
  }
}

run "complete" {
  command = plan

  module {
    source = "./examples/complete"
  }

  assert {
    condition     = toset(keys(output.containers)) == toset(["report"]) && output.dashboard_name == "platform-us-west-2"
    error_message = "The example tells its containers and its dashboard."
  }
}

run "workloads" {
  command = plan

  module {
    source = "./examples/workloads"
  }

  assert {
    condition     = toset(output.policies) == toset(["athena", "continuity", "ecs", "emr", "glue", "mwaa"]) && toset(keys(output.containers)) == toset(["report"])
    error_message = "The execution role is allowed what the pipelines need, and no other service."
  }
}

run "customer_managed_endpoints" {
  module {
    source = "./examples/customer-managed-endpoints"
  }

  variables {
    vpc_id     = "vpc-mocked"
    subnet_ids = ["subnet-1", "subnet-2"]
  }

  assert {
    condition     = length(output.security_group_ids) == 1
    error_message = "The endpoints need the security group of the environment."
  }
}

run "customer_managed_endpoints_of_it" {
  command = plan

  module {
    source = "./examples/customer-managed-endpoints/endpoints"
  }

  variables {
    vpc_id             = "vpc-mocked"
    subnet_ids         = ["subnet-1", "subnet-2"]
    security_group_ids = run.customer_managed_endpoints.security_group_ids
    endpoint_services  = { database = "com.amazonaws.vpce.us-west-2.vpce-svc-1", webserver = "com.amazonaws.vpce.us-west-2.vpce-svc-2" }
  }

  assert {
    condition     = toset(keys(aws_vpc_endpoint.this)) == toset(["database", "webserver"])
    error_message = "An environment has two services to reach."
  }
}

run "bring_your_own" {
  command = plan

  module {
    source = "./examples/bring-your-own"
  }

  variables {
    network             = { vpc_id = "vpc-mocked", subnet_ids = ["subnet-1", "subnet-2"] }
    key_arn             = "arn:aws:kms:us-west-2:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
    environment_key_arn = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    dag_bucket          = "mine-dags"
    snapshot_bucket     = "mine-snapshots"
    execution_role_name = "mine"
    security_group_id   = "sg-1"
    topic_arn           = "arn:aws:sns:us-west-2:111122223333:mine"
  }

  assert {
    condition     = toset(output.policy_names) == toset(["continuity", "lambda", "mwaa"]) && output.environment_arn == "arn:aws:airflow:us-west-2:111122223333:environment/brought"
    error_message = "A role of the caller's own gets what the module says it needs."
  }
}

run "private_network" {
  command = plan

  module {
    source = "./examples/private-network"
  }

  assert {
    condition     = startswith(output.dag_bucket.name, "private-us-west-2-111122223333")
    error_message = "The DAG bucket is named by environment, Region and account."
  }
}

run "disaster_recovery_secondary" {
  module {
    source = "./examples/disaster-recovery-secondary"
  }

  assert {
    condition     = output.peer.region == "us-west-2"
    error_message = "The secondary says where it is."
  }
}

run "disaster_recovery_secondary_that_stands_by" {
  command = plan

  module {
    source = "./examples/disaster-recovery-secondary"
  }

  variables {
    strategy = "warm_standby"
  }

  assert {
    condition     = output.strategy == "warm_standby"
    error_message = "The strategy is the caller's to choose."
  }
}

run "disaster_recovery_primary" {
  command = plan

  module {
    source = "./examples/disaster-recovery-primary"
  }

  # Mocks know one Region; the primary of this pair must see its peer in another.
  variables {
    peer = merge(run.disaster_recovery_secondary.peer, { region = "us-east-2" })
  }

  assert {
    condition     = startswith(output.dag_bucket.name, "analytics-us-west-2-111122223333")
    error_message = "The DAG bucket is named by environment, Region and account."
  }
}
