# What Athena knows: the exported objects as tables that nobody has to crawl, where queries run and within what limits, and saved queries.
# The tables that queries read are made by the state machine, because Terraform cannot partition them.

locals {
  queries = { for file in fileset("${path.module}/queries", "*.sql") : trimsuffix(file, ".sql") => file("${path.module}/queries/${file}") }
}

resource "aws_glue_catalog_database" "this" {
  name         = local.database_name
  description  = "Run history of MWAA environments: ${join(", ", var.environments)}"
  location_uri = "s3://${local.bucket_name}/${var.key_prefix}tables/"
  tags         = var.tags
}

# By projection: a partition is where its name says, so that none has to be registered.
resource "aws_glue_catalog_table" "exported" {
  for_each = local.tables

  name          = "exported_${each.key}"
  database_name = aws_glue_catalog_database.this.name
  description   = "As it was exported, changed rows again and again: ${each.value.about} Queries go to ${each.key}."
  table_type    = "EXTERNAL_TABLE"

  parameters = {
    EXTERNAL                        = "TRUE"
    classification                  = "json"
    compressionType                 = "gzip"
    "projection.enabled"            = "true"
    "projection.environment.type"   = "enum"
    "projection.environment.values" = join(",", var.environments)
    "projection.date.type"          = "date"
    "projection.date.format"        = "yyyy-MM-dd"
    "projection.date.range"         = "${var.first_date},NOW+1DAYS"
    "projection.date.interval"      = "1"
    "projection.date.interval.unit" = "DAYS"
    "storage.location.template"     = "s3://${local.bucket_name}/${var.key_prefix}exports/${each.key}/environment=$${environment}/date=$${date}"
  }

  partition_keys {
    name = "environment"
    type = "string"
  }

  partition_keys {
    name    = "date"
    type    = "string"
    comment = "The day of the export (UTC)"
  }

  storage_descriptor {
    location      = "s3://${local.bucket_name}/${var.key_prefix}exports/${each.key}/"
    input_format  = "org.apache.hadoop.mapred.TextInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
    compressed    = true

    ser_de_info {
      serialization_library = "org.openx.data.jsonserde.JsonSerDe"
      # What cannot be read is to be told, not left out.
      parameters = { "ignore.malformed.json" = "false" }
    }

    dynamic "columns" {
      for_each = each.value.columns

      content {
        name = columns.value.name
        type = columns.value.type
      }
    }
  }
}

resource "aws_athena_workgroup" "this" {
  name          = "${var.prefix}-lake"
  description   = "Queries on the run history of MWAA environments"
  force_destroy = var.force_destroy
  tags          = var.tags

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.query_limit_gib * 1073741824

    engine_version {
      selected_engine_version = "Athena engine version 3"
    }

    result_configuration {
      output_location       = "s3://${local.bucket_name}/${var.key_prefix}results/"
      expected_bucket_owner = local.account_id

      encryption_configuration {
        encryption_option = "SSE_KMS"
        kms_key_arn       = var.key_arn
      }
    }
  }
}

resource "aws_athena_named_query" "this" {
  for_each = local.queries

  name        = each.key
  description = trimprefix(split("\n", each.value)[0], "-- ")
  workgroup   = aws_athena_workgroup.this.id
  database    = aws_glue_catalog_database.this.name
  query       = each.value
}
