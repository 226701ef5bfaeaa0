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
