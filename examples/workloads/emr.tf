# The roles of clusters that DAGs create. EMR's own permissions are two policies of AWS; what steps may do in the lake is the instances' policy.

locals {
  emr_roles = { service = "elasticmapreduce.amazonaws.com", instances = "ec2.amazonaws.com" }
}

resource "aws_iam_role" "emr" {
  for_each = local.emr_roles

  name = "${local.name}-emr-${each.key}"

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = each.value } }]
  })
}

resource "aws_iam_role_policy_attachment" "emr_service" {
  role       = aws_iam_role.emr["service"].name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2"
}

resource "aws_iam_instance_profile" "emr" {
  name = "${local.name}-emr"
  role = aws_iam_role.emr["instances"].name
}

resource "aws_iam_role_policy" "emr_instances" {
  name   = "lake"
  role   = aws_iam_role.emr["instances"].name
  policy = data.aws_iam_policy_document.emr_instances.json
}

data "aws_iam_policy_document" "emr_instances" {
  statement {
    actions   = ["s3:GetObject"]
    resources = [for prefix in ["scripts", "orders", "statistics"] : "arn:aws:s3:::${local.bucket}/${prefix}/*"]
  }

  statement {
    actions   = ["s3:DeleteObject", "s3:PutObject"]
    resources = [for prefix in ["statistics", "emr-logs"] : "arn:aws:s3:::${local.bucket}/${prefix}/*"]
  }

  statement {
    actions   = ["s3:GetBucketLocation", "s3:ListBucket"]
    resources = ["arn:aws:s3:::${local.bucket}"]
  }
}
