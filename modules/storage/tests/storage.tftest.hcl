# Keys, buckets and replication, by role.

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

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:us-east-1:111122223333:key/mrk-own" }
  }

  mock_resource "aws_kms_replica_key" {
    defaults = { arn = "arn:aws:kms:us-east-1:111122223333:key/mrk-replica" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/replication" }
  }
}

variables {
  name   = "analytics"
  prefix = "Analytics-use1"
  role   = "standalone"
}

run "a_standalone_has_a_multi_region_key_with_rotation" {
  assert {
    condition     = aws_kms_key.this[0].multi_region && aws_kms_key.this[0].enable_key_rotation && aws_kms_key.this[0].deletion_window_in_days == 30
    error_message = "The key must be a multi-Region key with rotation, and not be gone at once."
  }

  assert {
    condition     = length(aws_kms_replica_key.this) == 0 && output.key_arn == aws_kms_key.this[0].arn
    error_message = "A standalone must use its own key."
  }

  assert {
    condition     = aws_kms_alias.this[0].name == "alias/Analytics-use1"
    error_message = "The key must have an alias that people know it by."
  }

  assert {
    condition     = length(aws_s3_bucket_replication_configuration.this) == 0 && output.replication_role_arn == null && output.replication_rules == {}
    error_message = "A standalone replicates nothing."
  }
}

run "buckets_are_named_before_they_exist" {
  command = plan

  assert {
    condition = (
      output.dag_bucket == { name = "analytics-use1-111122223333-dags", arn = "arn:aws:s3:::analytics-use1-111122223333-dags" } &&
      output.snapshot_bucket == { name = "analytics-use1-111122223333-snapshots", arn = "arn:aws:s3:::analytics-use1-111122223333-snapshots" }
    )
    error_message = "Names and ARNs of the buckets must be known while planning, in lower case."
  }
}

# Failure covered: the backup bucket is unversioned.
run "buckets_are_versioned_encrypted_and_closed" {
  assert {
    condition     = toset(keys(aws_s3_bucket.this)) == toset(["dag", "snapshot"])
    error_message = "There must be two buckets."
  }

  assert {
    condition     = length(aws_s3_bucket_versioning.this) == 2 && alltrue([for versioning in aws_s3_bucket_versioning.this : versioning.versioning_configuration[0].status == "Enabled"])
    error_message = "Both buckets must be versioned."
  }

  assert {
    condition = length(aws_s3_bucket_server_side_encryption_configuration.this) == 2 && alltrue(flatten([
      for encryption in aws_s3_bucket_server_side_encryption_configuration.this : [
        for rule in encryption.rule : rule.bucket_key_enabled && rule.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms" &&
        rule.apply_server_side_encryption_by_default[0].kms_master_key_id == output.key_arn
      ]
    ]))
    error_message = "Both buckets must be encrypted with the key of this Region, with a bucket key."
  }

  assert {
    condition = length(aws_s3_bucket_public_access_block.this) == 2 && alltrue([
      for block in aws_s3_bucket_public_access_block.this :
      block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets
    ])
    error_message = "All four public access flags must be on, on both buckets."
  }

  assert {
    condition     = length(aws_s3_bucket_ownership_controls.this) == 2 && alltrue([for controls in aws_s3_bucket_ownership_controls.this : controls.rule[0].object_ownership == "BucketOwnerEnforced"])
    error_message = "Both buckets must work without ACLs."
  }
}

run "buckets_refuse_requests_without_tls" {
  assert {
    condition = length(aws_s3_bucket_policy.this) == 2 && alltrue([
      for document in data.aws_iam_policy_document.bucket : anytrue([
        for statement in document.statement : statement.effect == "Deny" && contains(statement.actions, "s3:*") && length(statement.resources) == 2 &&
        anytrue([for condition in statement.condition : condition.test == "Bool" && condition.variable == "aws:SecureTransport" && contains(condition.values, "false")])
      ])
    ])
    error_message = "Both bucket policies must deny requests that do not come by TLS."
  }
}

# Failure covered: backups expire by age while no new ones come.
run "buckets_tell_of_their_objects_where_asked" {
  variables {
    send_events = true
  }

  assert {
    condition     = toset(keys(aws_s3_bucket_notification.this)) == toset(["dag", "snapshot"]) && alltrue([for notification in aws_s3_bucket_notification.this : notification.eventbridge])
    error_message = "Both buckets tell EventBridge, and nobody else."
  }
}

run "buckets_tell_nobody_by_default" {
  assert {
    condition     = length(aws_s3_bucket_notification.this) == 0
    error_message = "Without a standby a bucket's notifications are the caller's."
  }
}

run "only_superseded_snapshots_and_work_expire" {
  assert {
    condition = alltrue([
      for configuration in aws_s3_bucket_lifecycle_configuration.this :
      flatten([for rule in configuration.rule : rule.abort_incomplete_multipart_upload[*].days_after_initiation]) == [1]
    ])
    error_message = "Uploads that were never completed must be removed after a day."
  }

  assert {
    condition = { for rule in aws_s3_bucket_lifecycle_configuration.this["snapshot"].rule : rule.id => rule.expiration[0].days if try(rule.expiration[0].days > 0, false) } == {
      superseded-snapshots = 1
      work                 = 1
    }
    error_message = "In the snapshot bucket nothing but superseded snapshots, and work/, may expire."
  }

  assert {
    condition = [
      for rule in aws_s3_bucket_lifecycle_configuration.this["snapshot"].rule : [rule.filter[0].tag[0].key, rule.filter[0].tag[0].value] if rule.id == "superseded-snapshots"
    ] == [["continuity", "superseded"]]
    error_message = "Superseded is what retention tagged so."
  }

  assert {
    condition = toset([
      for rule in aws_s3_bucket_lifecycle_configuration.this["snapshot"].rule : rule.id if length(rule.noncurrent_version_expiration) > 0
    ]) == toset(["superseded-snapshots", "superseded-specs", "work"])
    error_message = "Versions below snapshots/ must not expire either, unless they are tagged."
  }

  assert {
    condition = [
      for rule in aws_s3_bucket_lifecycle_configuration.this["snapshot"].rule : [rule.filter[0].prefix, length(rule.noncurrent_version_expiration)]
      if try(rule.expiration[0].expired_object_delete_marker, null) == true
    ] == [["snapshots/", 0]]
    error_message = "Deletion markers that nothing lies under any more must go, by a rule that can do nothing else."
  }

  assert {
    condition = {
      for rule in aws_s3_bucket_lifecycle_configuration.this["dag"].rule : rule.filter[0].prefix => rule.noncurrent_version_expiration[0].noncurrent_days
      if length(rule.noncurrent_version_expiration) > 0
    } == { "dags/" = 90 }
    error_message = "Superseded DAGs must expire after 90 days, but no version of plugins, requirements and start-up scripts: a spec may name it."
  }
}

run "the_key_policy_serves_logs_and_notices_of_this_account_only" {
  assert {
    condition = anytrue([
      for statement in data.aws_iam_policy_document.key.statement :
      anytrue([for principal in statement.principals : contains(principal.identifiers, "logs.us-east-1.amazonaws.com")]) &&
      anytrue([for condition in statement.condition : condition.variable == "kms:EncryptionContext:aws:logs:arn" && contains(condition.values, "arn:aws:logs:us-east-1:111122223333:log-group:*")])
    ])
    error_message = "CloudWatch Logs of this Region must be able to use the key, for log groups of this account."
  }

  assert {
    condition = anytrue([
      for statement in data.aws_iam_policy_document.key.statement :
      anytrue([for principal in statement.principals : toset(principal.identifiers) == toset(["cloudwatch.amazonaws.com", "events.amazonaws.com"])]) &&
      anytrue([for condition in statement.condition : condition.variable == "kms:EncryptionContext:aws:sns:topicArn" && contains(condition.values, "arn:aws:sns:us-east-1:111122223333:*")])
    ])
    error_message = "Alarms and EventBridge must be able to publish to encrypted topics of this account."
  }

  assert {
    condition     = alltrue([for statement in data.aws_iam_policy_document.key.statement : alltrue([for action in statement.actions : !strcontains(action, "*")])])
    error_message = "The key policy may not have a wildcard action."
  }
}

run "the_secondary_owns_its_key_and_replicates_nothing" {
  variables {
    role = "secondary"
    peer = { region = "us-west-2" }
  }

  assert {
    condition     = aws_kms_key.this[0].multi_region && length(aws_kms_replica_key.this) == 0
    error_message = "The secondary must own the multi-Region key, because it must outlive the primary."
  }

  assert {
    condition     = length(aws_s3_bucket_replication_configuration.this) == 0 && output.batch_replication_role_arn == null
    error_message = "The secondary must not replicate: its plan must not need the primary's buckets."
  }
}

run "primary" {
  variables {
    role = "primary"
    peer = {
      region              = "us-west-2"
      dag_bucket_arn      = "arn:aws:s3:::peer-dags"
      snapshot_bucket_arn = "arn:aws:s3:::peer-snapshots"
      key_arn             = "arn:aws:kms:us-west-2:111122223333:key/mrk-own"
      lease_table_arn     = "arn:aws:dynamodb:us-west-2:111122223333:table/lease"
    }
  }

  assert {
    condition     = length(aws_kms_key.this) == 0 && aws_kms_replica_key.this[0].primary_key_arn == "arn:aws:kms:us-west-2:111122223333:key/mrk-own" && output.key_arn == aws_kms_replica_key.this[0].arn
    error_message = "The primary must use its replica of the secondary's key."
  }

  assert {
    condition = { for kind, configuration in aws_s3_bucket_replication_configuration.this : kind => [
      for rule in configuration.rule : [rule.filter[0].prefix, rule.destination[0].bucket, rule.delete_marker_replication[0].status]
      ] } == {
      dag = [["", "arn:aws:s3:::peer-dags", "Enabled"]]
      snapshot = [
        ["snapshots/", "arn:aws:s3:::peer-snapshots", "Disabled"],
        ["spec/", "arn:aws:s3:::peer-snapshots", "Disabled"],
      ]
    }
    error_message = "All of the DAG bucket with its deletions, and snapshots/ and spec/ without theirs, must be replicated to the peer."
  }
}

# Failure covered: KMS-encrypted objects are silently never replicated.
run "encrypted_objects_are_replicated_in_time" {
  variables {
    role = "primary"
    peer = {
      region              = "us-west-2"
      dag_bucket_arn      = "arn:aws:s3:::peer-dags"
      snapshot_bucket_arn = "arn:aws:s3:::peer-snapshots"
      key_arn             = "arn:aws:kms:us-west-2:111122223333:key/mrk-own"
    }
  }

  assert {
    condition = alltrue(flatten([
      for configuration in aws_s3_bucket_replication_configuration.this : [
        for rule in configuration.rule :
        rule.source_selection_criteria[0].sse_kms_encrypted_objects[0].status == "Enabled" &&
        rule.destination[0].encryption_configuration[0].replica_kms_key_id == "arn:aws:kms:us-west-2:111122223333:key/mrk-own"
      ]
    ]))
    error_message = "Every rule must select encrypted objects and encrypt them with the peer's key."
  }

  assert {
    condition = alltrue(flatten([
      for configuration in aws_s3_bucket_replication_configuration.this : [
        for rule in configuration.rule :
        rule.destination[0].replication_time[0].status == "Enabled" && rule.destination[0].replication_time[0].time[0].minutes == 15 &&
        rule.destination[0].metrics[0].status == "Enabled"
      ]
    ]))
    error_message = "Every rule must have replication time control and its metrics."
  }
}

run "replication_roles_may_do_no_more_than_replicate" {
  variables {
    role = "primary"
    peer = {
      region              = "us-west-2"
      dag_bucket_arn      = "arn:aws:s3:::peer-dags"
      snapshot_bucket_arn = "arn:aws:s3:::peer-snapshots"
      key_arn             = "arn:aws:kms:us-west-2:111122223333:key/mrk-own"
    }
  }

  assert {
    condition = alltrue(flatten([
      for document in [data.aws_iam_policy_document.replication[0], data.aws_iam_policy_document.batch_replication[0]] : [
        for statement in document.statement : [
          !contains(statement.resources, "*"),
          alltrue([for action in statement.actions : !strcontains(action, "*")]),
        ]
      ]
    ]))
    error_message = "Neither role may have a wildcard action or resource."
  }

  assert {
    condition = toset(flatten([for statement in data.aws_iam_policy_document.replication[0].statement : statement.resources if statement.sid == "WriteReplicas"])) == toset([
      "arn:aws:s3:::peer-dags/*", "arn:aws:s3:::peer-snapshots/snapshots/*", "arn:aws:s3:::peer-snapshots/spec/*",
    ])
    error_message = "Replicas must be writable only below the replicated prefixes."
  }

  assert {
    condition = alltrue([
      for statement in data.aws_iam_policy_document.replication[0].statement :
      anytrue([for condition in statement.condition : condition.variable == "kms:ViaService" && contains(condition.values, statement.sid == "Decrypt" ? "s3.us-east-1.amazonaws.com" : "s3.us-west-2.amazonaws.com")])
      if anytrue([for action in statement.actions : startswith(action, "kms:")])
    ])
    error_message = "Keys must be usable only through S3 of the Region they are in."
  }

  assert {
    condition = (
      contains(one(data.aws_iam_policy_document.replication_trust[0].statement[0].principals[*].identifiers), "s3.amazonaws.com") &&
      contains(one(data.aws_iam_policy_document.batch_replication_trust[0].statement[0].principals[*].identifiers), "batchoperations.s3.amazonaws.com")
    )
    error_message = "Only S3 may assume the replication role, only S3 Batch Operations the other."
  }
}

# Failure covered: PutBucketReplication replaces the customer's own rules.
run "a_bucket_of_the_callers_own_is_left_alone" {
  variables {
    role       = "primary"
    dag_bucket = { name = "my-dags" }
    peer = {
      region              = "us-west-2"
      dag_bucket_arn      = "arn:aws:s3:::peer-dags"
      snapshot_bucket_arn = "arn:aws:s3:::peer-snapshots"
      key_arn             = "arn:aws:kms:us-west-2:111122223333:key/mrk-own"
    }
  }

  assert {
    condition = alltrue([
      for resources in [
        aws_s3_bucket.this, aws_s3_bucket_lifecycle_configuration.this, aws_s3_bucket_ownership_controls.this, aws_s3_bucket_policy.this,
        aws_s3_bucket_public_access_block.this, aws_s3_bucket_replication_configuration.this, aws_s3_bucket_server_side_encryption_configuration.this,
        aws_s3_bucket_versioning.this,
      ] : keys(resources) == ["snapshot"]
    ])
    error_message = "Nothing may be set on a bucket of the caller's own."
  }

  assert {
    condition = (
      keys(output.replication_rules) == ["dag"] &&
      output.replication_rules["dag"].Rules[0].SourceSelectionCriteria.SseKmsEncryptedObjects.Status == "Enabled" &&
      output.replication_rules["dag"].Rules[0].Destination.Bucket == "arn:aws:s3:::peer-dags"
    )
    error_message = "The rules its bucket needs must be told to the caller."
  }

  assert {
    condition     = contains(flatten(data.aws_iam_policy_document.replication[0].statement[*].resources), "arn:aws:s3:::my-dags/*")
    error_message = "The replication role must be able to read the caller's bucket."
  }
}

run "rules_of_the_caller_go_beside_ours" {
  variables {
    role = "primary"
    peer = {
      region              = "us-west-2"
      dag_bucket_arn      = "arn:aws:s3:::peer-dags"
      snapshot_bucket_arn = "arn:aws:s3:::peer-snapshots"
      key_arn             = "arn:aws:kms:us-west-2:111122223333:key/mrk-own"
    }
    additional_replication_rules = {
      dag = [{
        id                     = "archive"
        priority               = 10
        prefix                 = "dags/"
        destination_bucket_arn = "arn:aws:s3:::archive"
        destination_key_arn    = "arn:aws:kms:eu-west-1:111122223333:key/archive"
        destination_region     = "eu-west-1"
        storage_class          = "GLACIER_IR"
      }]
    }
  }

  assert {
    condition     = [for rule in aws_s3_bucket_replication_configuration.this["dag"].rule : rule.id] == ["continuity-dags", "archive"]
    error_message = "The caller's rule must stand beside ours."
  }

  assert {
    condition     = [for rule in aws_s3_bucket_replication_configuration.this["snapshot"].rule : rule.id] == ["continuity-snapshots", "continuity-spec"]
    error_message = "A rule for one bucket must not reach the other."
  }

  assert {
    condition = anytrue([
      for statement in data.aws_iam_policy_document.replication[0].statement : statement.sid == "EncryptEuWest1" &&
      tolist(statement.resources) == tolist(["arn:aws:kms:eu-west-1:111122223333:key/archive"])
    ])
    error_message = "The replication role must be able to encrypt at the caller's destination."
  }
}

run "a_key_of_the_callers_own_is_used" {
  variables {
    key = { arn = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234" }
  }

  assert {
    condition     = length(aws_kms_key.this) == 0 && length(aws_kms_replica_key.this) == 0 && length(aws_kms_alias.this) == 0
    error_message = "No key and no alias may be created beside the caller's."
  }

  assert {
    condition     = output.key_arn == "arn:aws:kms:us-east-1:111122223333:key/mrk-1234"
    error_message = "The caller's key must be used."
  }
}

# Failure covered: MWAA is given an alias or a multi-Region key, neither of which it supports.
run "the_environment_has_a_single_region_key_of_its_own" {
  assert {
    condition     = !aws_kms_key.environment[0].multi_region && aws_kms_key.environment[0].enable_key_rotation && aws_kms_key.environment[0].deletion_window_in_days == 30
    error_message = "The environment's key must be a single-Region key with rotation, and not be gone at once."
  }

  assert {
    condition     = output.environment_key_arn == aws_kms_key.environment[0].arn && aws_kms_alias.environment[0].name == "alias/Analytics-use1-environment"
    error_message = "The environment must be given the ARN of the key; the alias is for people."
  }

  assert {
    condition = {
      for statement in data.aws_iam_policy_document.environment_key[0].statement : statement.sid => one(statement.principals[*].identifiers)
      } == {
      DelegateToIam                  = toset(["arn:aws:iam::111122223333:root"])
      CloudWatchLogsOfTheEnvironment = toset(["logs.us-east-1.amazonaws.com"])
    }
    error_message = "The account and CloudWatch Logs of this Region must be able to use the environment's key, and nobody else."
  }

  assert {
    condition = anytrue([
      for statement in data.aws_iam_policy_document.environment_key[0].statement :
      anytrue([for condition in statement.condition : condition.variable == "kms:EncryptionContext:aws:logs:arn" && tolist(condition.values) == tolist(["arn:aws:logs:us-east-1:111122223333:log-group:airflow-analytics-*"])])
    ])
    error_message = "CloudWatch Logs must be able to use the environment's key for the environment's log groups only."
  }
}

run "every_role_has_an_environment_key_of_its_own" {
  command = plan

  variables {
    role = "primary"
    peer = {
      region              = "us-west-2"
      dag_bucket_arn      = "arn:aws:s3:::peer-dags"
      snapshot_bucket_arn = "arn:aws:s3:::peer-snapshots"
      key_arn             = "arn:aws:kms:us-west-2:111122223333:key/mrk-own"
    }
  }

  assert {
    condition     = length(aws_kms_key.environment) == 1 && length(aws_kms_key.this) == 0
    error_message = "The primary replicates the peer's key and has a key of its own for the environment."
  }
}

run "an_environment_key_of_the_callers_own_is_used" {
  command = plan

  variables {
    environment_key = { arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" }
  }

  assert {
    condition     = length(aws_kms_key.environment) == 0 && length(aws_kms_alias.environment) == 0 && output.environment_key_arn == "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    error_message = "The caller's key must be used, and none created beside it."
  }
}

run "an_environment_under_a_key_aws_owns_needs_none" {
  command = plan

  variables {
    environment_key = null
  }

  assert {
    condition     = length(aws_kms_key.environment) == 0 && output.environment_key_arn == null
    error_message = "No key may be created that nothing is encrypted with."
  }
}

run "refuses_a_multi_region_key_for_the_environment" {
  command = plan

  variables {
    environment_key = { arn = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab" }
  }

  expect_failures = [var.environment_key]
}

run "refuses_an_alias_for_the_environment" {
  command = plan

  variables {
    environment_key = { arn = "arn:aws:kms:us-east-1:111122223333:alias/mine" }
  }

  expect_failures = [var.environment_key]
}

run "refuses_to_create_a_key_beside_the_callers" {
  command = plan

  variables {
    key = { arn = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234", create = true }
  }

  expect_failures = [var.key]
}

run "force_destroy_reaches_buckets_and_key" {
  variables {
    force_destroy = true
  }

  assert {
    condition     = alltrue([for bucket in aws_s3_bucket.this : bucket.force_destroy]) && aws_kms_key.this[0].deletion_window_in_days == 7
    error_message = "force_destroy must let buckets go with their objects, and the key soon after."
  }
}

run "refuses_an_unknown_role" {
  command = plan

  variables {
    role = "main"
  }

  expect_failures = [var.role]
}

run "refuses_a_primary_without_its_secondary" {
  command = plan

  variables {
    role = "primary"
    peer = { region = "us-west-2" }
  }

  expect_failures = [var.peer]
}

run "refuses_a_standalone_with_a_peer" {
  command = plan

  variables {
    peer = { region = "us-west-2" }
  }

  expect_failures = [var.peer]
}

run "refuses_a_single_region_key_in_a_secondary" {
  command = plan

  variables {
    role = "secondary"
    peer = { region = "us-west-2" }
    key  = { arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" }
  }

  expect_failures = [var.key]
}

# Failure covered: the primary's KMS key sent to the other Region.
run "refuses_a_key_the_secondary_could_not_open" {
  command = plan

  variables {
    role = "primary"
    peer = {
      region              = "us-west-2"
      dag_bucket_arn      = "arn:aws:s3:::peer-dags"
      snapshot_bucket_arn = "arn:aws:s3:::peer-snapshots"
      key_arn             = "arn:aws:kms:us-west-2:111122223333:key/mrk-one"
    }
    key = { arn = "arn:aws:kms:us-east-1:111122223333:key/mrk-another" }
  }

  expect_failures = [var.key]
}

run "refuses_an_alias_in_place_of_a_key" {
  command = plan

  variables {
    key = { arn = "arn:aws:kms:us-east-1:111122223333:alias/mine" }
  }

  expect_failures = [var.key]
}

run "refuses_a_dag_folder_with_a_slash_at_its_end" {
  command = plan

  variables {
    dag_s3_path = "dags/"
  }

  expect_failures = [var.dag_s3_path]
}

run "refuses_a_bucket_by_arn" {
  command = plan

  variables {
    dag_bucket = { name = "arn:aws:s3:::my-dags" }
  }

  expect_failures = [var.dag_bucket]
}

run "refuses_one_bucket_for_both" {
  command = plan

  variables {
    dag_bucket      = { name = "mine" }
    snapshot_bucket = { name = "mine" }
  }

  expect_failures = [var.snapshot_bucket]
}

run "refuses_rules_where_nothing_is_replicated" {
  command = plan

  variables {
    additional_replication_rules = {
      dag = [{ id = "a", priority = 10, destination_bucket_arn = "arn:aws:s3:::a", destination_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/a", destination_region = "eu-west-1" }]
    }
  }

  expect_failures = [var.additional_replication_rules]
}

run "refuses_a_rule_that_takes_our_place" {
  command = plan

  variables {
    role = "primary"
    peer = {
      region              = "us-west-2"
      dag_bucket_arn      = "arn:aws:s3:::peer-dags"
      snapshot_bucket_arn = "arn:aws:s3:::peer-snapshots"
      key_arn             = "arn:aws:kms:us-west-2:111122223333:key/mrk-own"
    }
    additional_replication_rules = {
      dag = [{ id = "continuity-dags", priority = 1, destination_bucket_arn = "arn:aws:s3:::a", destination_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/a", destination_region = "eu-west-1" }]
    }
  }

  expect_failures = [var.additional_replication_rules]
}
