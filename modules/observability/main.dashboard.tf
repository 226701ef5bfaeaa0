# The dashboard: every metric of the functions, the outcome of the state machines, and the scheduler's own heartbeat.

locals {
  graphs = [
    for graph in [
      { title = "Age of the newest snapshot (s)", metrics = ["SnapshotAgeSeconds"], limit = var.snapshot_age_limit_minutes * 60, shown = true },
      { title = "Duration of a snapshot (s)", metrics = ["SnapshotDurationSeconds"], limit = null, shown = true },
      { title = "Bytes that a snapshot wrote", metrics = ["SnapshotBytes"], limit = null, shown = true },
      { title = "Snapshots that hold no history", metrics = ["SnapshotPortable"], limit = null, shown = true },
      { title = "Snapshots in the bucket", metrics = ["SnapshotsKept", "SnapshotsSuperseded"], limit = null, shown = true },
      { title = "Bytes in the bucket", metrics = ["SnapshotsKeptBytes", "SnapshotsSupersededBytes"], limit = null, shown = true },
      {
        title   = "Verdict on the primary"
        metrics = ["Healthy", "Unhealthy", "UnknownHealth", "EnvironmentChanging"]
        limit   = null
        shown   = contains(keys(var.function_arns), "heartbeat_check")
      },
      {
        title   = "What keeps the environment from being created"
        metrics = ["PreflightFailures"]
        limit   = null
        shown   = contains(keys(var.function_arns), "preflight")
      },
      { title = "Recovery point and time of drills (s)", metrics = ["DrillRpoSeconds", "DrillRtoSeconds"], limit = null, shown = contains(keys(var.function_arns), "drill") },
      { title = "Drills that failed or missed a promise", metrics = ["DrillsFailed"], limit = null, shown = contains(keys(var.function_arns), "drill") },
      { title = "Events delivered and refused", metrics = ["EventsDelivered", "EventsRefused"], limit = null, shown = var.takes_events },
      { title = "How long the oldest event waits for an environment that is not asleep (s)", metrics = ["EventWaitSeconds"], limit = null, shown = var.takes_events },
      { title = "Standby in step with its spec (1: it is)", metrics = ["StandbyInStep"], limit = null, shown = var.keeps_standby },
      { title = "Age of the state in the standby (s)", metrics = ["StandbyAgeSeconds"], limit = var.snapshot_age_limit_minutes * 60, shown = var.refreshes },
    ] : graph if graph.shown
  ]

  graph_widgets = [
    for graph in local.graphs : {
      type = "metric"
      properties = {
        title       = graph.title
        region      = local.region
        view        = "timeSeries"
        period      = 300
        metrics     = [for metric in graph.metrics : ["MwaaContinuity", metric, "Environment", var.name, { stat = "Maximum" }]]
        annotations = { horizontal = [for limit in [graph.limit] : { label = "too old", value = limit } if limit != null] }
      }
    }
  ]

  # A phase is published when it ends: a week holds whole nights.
  sleep_widgets = [for widget in [
    {
      type = "metric"
      properties = {
        title  = "Hours awake and asleep, by the day"
        region = local.region
        view   = "timeSeries"
        period = 86400
        metrics = [
          for metric in ["AwakeHours", "AsleepHours"] : ["MwaaContinuity", metric, "Environment", var.name, { stat = "Sum" }]
        ]
      }
    },
    {
      type = "metric"
      properties = {
        title  = "Share of the week asleep: environment hours that were not paid (%)"
        region = local.region
        view   = "singleValue"
        period = 604800
        metrics = [
          ["MwaaContinuity", "AwakeHours", "Environment", var.name, { id = "awake", stat = "Sum", visible = false }],
          ["MwaaContinuity", "AsleepHours", "Environment", var.name, { id = "asleep", stat = "Sum", visible = false }],
          [{ expression = "100 * asleep / (awake + asleep)", label = "asleep", id = "share" }],
        ]
      }
    },
  ] : widget if var.hibernates]

  smoke_widgets = [for widget in [
    {
      type = "metric"
      properties = {
        title   = "Smoke runs after a resume that did not succeed"
        region  = local.region
        view    = "timeSeries"
        period  = 86400
        metrics = [["MwaaContinuity", "SmokeFailed", "Environment", var.name, { stat = "Sum" }]]
      }
    },
  ] : widget if var.smokes]

  own_widgets = [
    {
      type = "metric"
      properties = {
        title  = "State machines that did not end well"
        region = local.region
        view   = "timeSeries"
        period = 300
        metrics = concat([], [
          for machine, arn in var.state_machine_arns : [
            for metric in ["ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"] :
            ["AWS/States", metric, "StateMachineArn", arn, { stat = "Sum", label = "${machine} ${lower(trimprefix(metric, "Executions"))}" }]
          ]
        ]...)
      }
    },
    {
      type = "metric"
      properties = {
        title   = "Functions that failed"
        region  = local.region
        view    = "timeSeries"
        period  = 300
        metrics = [for function, arn in var.function_arns : ["AWS/Lambda", "Errors", "FunctionName", element(split(":", arn), 6), { stat = "Sum", label = function }]]
      }
    },
    {
      type = "metric"
      properties = {
        title   = "Heartbeats of the scheduler"
        region  = local.region
        view    = "timeSeries"
        period  = 300
        metrics = [["AmazonMWAA", "SchedulerHeartbeat", "Function", "Scheduler", "Environment", var.name, { stat = "Sum" }]]
      }
    },
  ]

  # Three in a row of the 24 columns, below the alarms.
  widgets = [
    for place, widget in concat(local.graph_widgets, local.sleep_widgets, local.smoke_widgets, local.own_widgets) :
    merge(widget, { x = place % 3 * 8, y = 3 + floor(place / 3) * 6, width = 8, height = 6 })
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.dashboard ? 1 : 0

  dashboard_name = var.prefix

  dashboard_body = jsonencode({
    periodOverride = "inherit"
    widgets = concat(
      [{
        type       = "alarm"
        x          = 0
        y          = 0
        width      = 24
        height     = 3
        properties = { title = "${var.name} in ${local.region} (${var.role})", alarms = local.alarms[*].arn }
      }],
      local.widgets,
    )
  })
}
