# EMR and ECS: work on clusters, under roles that the cluster's service takes on.

locals {
  emr_clusters = [for id in local.emr.cluster_ids : "${local.own.elasticmapreduce}:cluster/${id}"]
  emr_step_actions = [
    "elasticmapreduce:AddJobFlowSteps", "elasticmapreduce:CancelSteps", "elasticmapreduce:DescribeCluster", "elasticmapreduce:DescribeStep", "elasticmapreduce:ListSteps",
  ]
  emr_tagged   = { for key, value in local.emr.cluster_tags : "elasticmapreduce:ResourceTag/${key}" => value }
  emr_asked    = { for key, value in local.emr.cluster_tags : "elasticmapreduce:RequestTag/${key}" => value }
  emr_creates  = length(local.emr.pass_roles) > 0
  emr_services = ["elasticmapreduce.${var.account.dns_suffix}", "ec2.${var.account.dns_suffix}"]

  emr_statements = concat(
    [for clusters in [local.emr_clusters] : {
      Sid      = "StepsById"
      Effect   = "Allow"
      Action   = local.emr_step_actions
      Resource = clusters
    } if length(clusters) > 0],
    [for tags in [local.emr_tagged] : {
      Sid       = "StepsByTag"
      Effect    = "Allow"
      Action    = concat(local.emr_step_actions, local.emr_creates ? ["elasticmapreduce:TerminateJobFlows"] : [])
      Resource  = "${local.own.elasticmapreduce}:cluster/*" # ids are drawn by EMR; the tags bound it
      Condition = { StringEquals = tags }
    } if length(tags) > 0],
    [for tags in [local.emr_asked] : {
      Sid       = "CreateClusters"
      Effect    = "Allow"
      Action    = ["elasticmapreduce:RunJobFlow"]
      Resource  = "*" # a cluster that is not there has no ARN; the tags bound it
      Condition = { StringEquals = tags }
    } if local.emr_creates],
    [for tags in [local.emr_asked] : {
      # Made by RunJobFlow for the tags that it is given.
      Sid       = "ForwardedTags"
      Effect    = "Allow"
      Action    = ["elasticmapreduce:AddTags"]
      Resource  = "${local.own.elasticmapreduce}:cluster/*"
      Condition = { StringEquals = tags }
    } if local.emr_creates],
    [for roles in [local.emr.pass_roles] : {
      Sid       = "PassRoles"
      Effect    = "Allow"
      Action    = ["iam:PassRole"]
      Resource  = roles
      Condition = { StringEquals = { "iam:PassedToService" = local.emr_services } }
    } if local.emr_creates],
  )

  ecs_statements = concat(flatten([for number, grant in local.ecs : [
    {
      Sid       = "Run${number}"
      Effect    = "Allow"
      Action    = ["ecs:RunTask"]
      Resource  = flatten([for family in grant.task_definitions : ["${local.own.ecs}:task-definition/${family}", "${local.own.ecs}:task-definition/${family}:*"]])
      Condition = { ArnEquals = { "ecs:cluster" = "${local.own.ecs}:cluster/${grant.cluster}" } }
    },
    {
      Sid      = "Follow${number}"
      Effect   = "Allow"
      Action   = ["ecs:DescribeTasks", "ecs:StopTask"]
      Resource = ["${local.own.ecs}:task/${grant.cluster}/*"]
    },
    {
      # A task that is started again looks whether its container runs already.
      Sid       = "Find${number}"
      Effect    = "Allow"
      Action    = ["ecs:ListTasks"]
      Resource  = ["*"] # Fargate has no container instances, which is what ListTasks knows as its resource; the cluster bounds it
      Condition = { ArnEquals = { "ecs:cluster" = "${local.own.ecs}:cluster/${grant.cluster}" } }
    },
    {
      # Made by RunTask for the tags that a task is given or takes from its definition.
      Sid       = "ForwardedTags${number}"
      Effect    = "Allow"
      Action    = ["ecs:TagResource"]
      Resource  = ["${local.own.ecs}:task/${grant.cluster}/*"]
      Condition = { StringEquals = { "ecs:CreateAction" = "RunTask" } }
    },
    {
      Sid       = "PassRoles${number}"
      Effect    = "Allow"
      Action    = ["iam:PassRole"]
      Resource  = grant.pass_roles
      Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
    },
    ]]), flatten([for number, grant in local.ecs : [for groups in [grant.log_groups] : {
      Sid      = "ReadLogs${number}"
      Effect   = "Allow"
      Action   = ["logs:GetLogEvents"]
      Resource = [for group in groups : "${local.own.logs}:log-group:${group}:log-stream:*"]
  } if length(groups) > 0]]))
}
