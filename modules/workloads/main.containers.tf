# Of each container: where its images are, how it is run, where it prints, and its two roles.

resource "aws_ecr_repository" "this" {
  for_each = local.repository_names

  name                 = each.value
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.force_destroy
  tags                 = var.tags

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = var.key_arn
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each = aws_ecr_repository.this

  repository = each.value.name

  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "What a push left without a tag"
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "All but the newest ${var.keep_images}"
        selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = var.keep_images }
        action       = { type = "expire" }
      },
    ]
  })
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:how long they are kept is the caller's decision
  for_each = local.log_groups

  name              = each.value
  retention_in_days = var.log_retention_days
  kms_key_id        = var.key_arn
  tags              = var.tags
}

locals {
  # What ECS calls; a role is taken on for tasks of this account only.
  trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ecs:${local.region}:${local.account_id}:*" }
      }
    }]
  })

  # What ECS does before the container starts: take its image and its secrets, and open its log.
  start_statements = { for name, container in var.containers : name => concat(
    [{
      Sid      = "ForwardedLogs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:${local.log_groups[name]}:*"
    }],
    [for repository in [local.image_repositories[name]] : {
      Sid      = "ForwardedImage"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = "arn:${local.partition}:ecr:${repository[1]}:${repository[0]}:repository/${repository[2]}"
    } if repository != null],
    [for repository in [local.image_repositories[name]] : {
      Sid      = "ForwardedRegistry"
      Effect   = "Allow"
      Action   = ["ecr:GetAuthorizationToken"]
      Resource = "*" # a token is for the registry as a whole, and opens what the role may read
    } if repository != null],
    [for arns in [[for arn in values(container.secrets) : arn if strcontains(arn, ":secretsmanager:")]] : {
      Sid      = "ForwardedSecrets"
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = arns
    } if length(arns) > 0],
    [for arns in [[for arn in values(container.secrets) : arn if strcontains(arn, ":ssm:")]] : {
      Sid      = "ForwardedParameters"
      Effect   = "Allow"
      Action   = ["ssm:GetParameters"]
      Resource = arns
    } if length(arns) > 0],
    [for arns in [values(container.secrets)] : {
      Sid      = "ForwardedSecretsKey"
      Effect   = "Allow"
      Action   = ["kms:Decrypt"]
      Resource = var.key_arn
      Condition = { StringEquals = { "kms:ViaService" = [
        "secretsmanager.${local.region}.${local.dns_suffix}", "ssm.${local.region}.${local.dns_suffix}",
      ] } }
    } if length(arns) > 0],
  ) }

  task_policies = merge([for name, container in var.containers : {
    for policy, document in container.policy_documents : "${name}/${policy}" => { container = name, policy = policy, document = document }
  }]...)
}

# Who the code in the container is.
resource "aws_iam_role" "task" {
  for_each = local.role_names.task

  name                 = each.value
  path                 = var.roles.path
  description          = "Container ${each.key} of ${var.name}"
  assume_role_policy   = local.trust
  permissions_boundary = var.roles.permissions_boundary
  tags                 = var.tags
}

resource "aws_iam_role_policy" "task" {
  for_each = local.task_policies

  name   = each.value.policy
  role   = aws_iam_role.task[each.value.container].name
  policy = each.value.document
}

# Who starts it.
resource "aws_iam_role" "start" {
  for_each = local.role_names.start

  name                 = each.value
  path                 = var.roles.path
  description          = "Starts container ${each.key} of ${var.name}"
  assume_role_policy   = local.trust
  permissions_boundary = var.roles.permissions_boundary
  tags                 = var.tags
}

resource "aws_iam_role_policy" "start" {
  for_each = local.start_statements

  name   = "start"
  role   = aws_iam_role.start[each.key].name
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value })
}

resource "aws_ecs_task_definition" "this" {
  for_each = var.containers

  family                   = local.families[each.key]
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  task_role_arn            = aws_iam_role.task[each.key].arn
  execution_role_arn       = aws_iam_role.start[each.key].arn
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = each.value.architecture
  }

  dynamic "ephemeral_storage" {
    for_each = each.value.ephemeral_storage_gib == null ? [] : [each.value.ephemeral_storage_gib]

    content {
      size_in_gib = ephemeral_storage.value
    }
  }

  volume {
    name = "tmp"
  }

  container_definitions = jsonencode([merge(
    {
      name                   = each.key
      image                  = local.images[each.key]
      essential              = true
      readonlyRootFilesystem = each.value.read_only_root
      environment            = [for name, value in each.value.environment : { name = name, value = value }]
      secrets                = [for name, arn in each.value.secrets : { name = name, valueFrom = arn }]
      mountPoints            = [{ sourceVolume = "tmp", containerPath = "/tmp", readOnly = false }]
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = aws_cloudwatch_log_group.this[each.key].name
          awslogs-region        = local.region
          awslogs-stream-prefix = "task"
        }
      }
    },
    each.value.command == null ? {} : { command = each.value.command },
    each.value.user == null ? {} : { user = each.value.user },
  )])

  # Its grants first: a task that starts without them fails.
  depends_on = [aws_iam_role_policy.start, aws_iam_role_policy.task]
}
