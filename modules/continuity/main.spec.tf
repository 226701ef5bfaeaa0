# The spec, where the run time and the other Region find it. As objects rather than parameters: a plan shows the diff.

resource "aws_s3_object" "spec" {
  for_each = {
    published = var.spec_json
    binding   = var.binding_json
  }

  bucket       = var.snapshot_bucket.name
  key          = "spec/${var.name}/${each.key}.${local.region}.json"
  content      = each.value
  content_type = "application/json"

  override_provider {
    default_tags {
      tags = {}
    }
  }
}
