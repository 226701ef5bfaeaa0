# What the caller brings may be made in the same root, unknown while planning: `create = false` says that it is brought.

mock_provider "aws" {
  source = "./tests/plan/mocks"
}

variables {
  brought = []
}

# Failure covered: "Invalid count argument" where what is brought is made in the same root.
run "network_made_in_the_same_root" {
  command = plan

  module {
    source = "./tests/plan/roots/brought"
  }

  variables {
    brought = ["network"]
  }

  assert {
    condition     = output.environment_arn == "arn:aws:airflow:us-west-2:111122223333:environment/analytics"
    error_message = "A root that brings its own network must be plannable before it exists."
  }
}

# Failure covered: "Invalid count argument" where what is brought is made in the same root.
run "key_made_in_the_same_root" {
  command = plan

  module {
    source = "./tests/plan/roots/brought"
  }

  variables {
    brought = ["key"]
  }

  assert {
    condition     = output.environment_arn == "arn:aws:airflow:us-west-2:111122223333:environment/analytics"
    error_message = "A root that brings its own key must be plannable before it exists."
  }
}

# Failure covered: "Invalid count argument" where what is brought is made in the same root.
run "environment_key_made_in_the_same_root" {
  command = plan

  module {
    source = "./tests/plan/roots/brought"
  }

  variables {
    brought = ["environment_key"]
  }

  assert {
    condition     = output.environment_arn == "arn:aws:airflow:us-west-2:111122223333:environment/analytics"
    error_message = "A root that brings its own environment_key must be plannable before it exists."
  }
}

# Failure covered: "Invalid count argument" where what is brought is made in the same root.
run "execution_role_made_in_the_same_root" {
  command = plan

  module {
    source = "./tests/plan/roots/brought"
  }

  variables {
    brought = ["execution_role"]
  }

  assert {
    condition     = output.environment_arn == "arn:aws:airflow:us-west-2:111122223333:environment/analytics"
    error_message = "A root that brings its own execution_role must be plannable before it exists."
  }
}

# Failure covered: "Invalid count argument" where what is brought is made in the same root.
run "security_group_made_in_the_same_root" {
  command = plan

  module {
    source = "./tests/plan/roots/brought"
  }

  variables {
    brought = ["security_group"]
  }

  assert {
    condition     = output.environment_arn == "arn:aws:airflow:us-west-2:111122223333:environment/analytics"
    error_message = "A root that brings its own security_group must be plannable before it exists."
  }
}

# Failure covered: "Invalid count argument" where what is brought is made in the same root.
run "notifications_made_in_the_same_root" {
  command = plan

  module {
    source = "./tests/plan/roots/brought"
  }

  variables {
    brought = ["notifications"]
  }

  assert {
    condition     = output.environment_arn == "arn:aws:airflow:us-west-2:111122223333:environment/analytics"
    error_message = "A root that brings its own notifications must be plannable before it exists."
  }
}

# Failure covered: "Invalid for_each argument" where what is brought is made in the same root.
run "dag_bucket_made_in_the_same_root" {
  command = plan

  module {
    source = "./tests/plan/roots/brought"
  }

  variables {
    brought = ["dag_bucket"]
  }

  assert {
    condition     = output.environment_arn == "arn:aws:airflow:us-west-2:111122223333:environment/analytics"
    error_message = "A root that brings its own dag_bucket must be plannable before it exists."
  }
}

# Failure covered: "Invalid for_each argument" where what is brought is made in the same root.
run "snapshot_bucket_made_in_the_same_root" {
  command = plan

  module {
    source = "./tests/plan/roots/brought"
  }

  variables {
    brought = ["snapshot_bucket"]
  }

  assert {
    condition     = output.environment_arn == "arn:aws:airflow:us-west-2:111122223333:environment/analytics"
    error_message = "A root that brings its own snapshot_bucket must be plannable before it exists."
  }
}
