# Notices come from EventBridge, not from the state machines: what timed out or was stopped by hand cannot tell anybody.

locals {
  # What a failed machine means and what to do, in words for whoever is woken by it.
  failure_advice = {
    snapshot           = "No new snapshot was stored: the newest one keeps ageing, and with it what a failover would lose. Look at the cause; the next scheduled snapshot tries again."
    heartbeat_check    = "The health of the other Region was not judged. One failed check needs nothing; if these notices go on, no failover will start by itself."
    drill              = "The environment could not be shown to come back here as promised. The other Region was not touched. The report below drills/ in the snapshot bucket, where the cause names one, says how far it came; an environment that the drill made and could not remove is removed by the next one. Mend the cause, then start the state machine again."
    failover           = "The failover did not complete. Look at the cause and mend it; unless the cause says otherwise, start the state machine again: it goes on from where the environment is. Where a person was asked (FailoverRefused, FailoverNotApproved, NotUnhealthyAnyMore), nothing was taken over."
    failback           = "Look at the cause. Unless it says that the lease was taken, that DAGs stay paused (LeftPaused), or that the environment is live here, the other Region is active as before. Mend it, then start the state machine again: it goes on from where it is. Where it timed out or was aborted, start it again, or let the other Region go on by its state machine hand_over with operation put_back."
    hand_over          = "This Region did not hand over to the other one. Its DAGs run as before, unless the cause is LeftPaused, or the execution timed out or was aborted: then start it again with operation put_back. The failback in the other Region tells what became of it."
    stand_down         = "The environment was not removed after a failback, unless the cause says that it is being deleted: it costs, and a failover would find it in its way. Look at the cause and start the state machine again."
    hibernate          = "The environment was not put away, unless the cause says that it is being deleted; its DAGs run as before, unless the cause is LeftPaused. Look at the cause; starting hibernate again, or resume, goes on from where it is."
    resume             = "After SmokeFailed the environment is live and stays so: look at the run that the cause names, and start nothing again. After Refused nothing was done: the cause says what is in the way, or which input is missing. After any other error the environment did not come back as it was: look at the cause and mend it, then start the state machine again, and it goes on from where the environment is. The snapshot is kept."
    preflight          = "If the other Region were lost now, its environment might not be created here, or not start. Nothing was changed. The log of the function preflight says what each of the checks named in the cause found, its answer to an invocation by hand what to do. Mend that, then start the state machine again."
    standby            = "The standby was not brought in step with its spec. A failover would still use it where it is available, else create it. Look at the cause: it says what differs and what to do. The state machine looks again by its schedule, and when a spec arrives."
    refresh            = "The newest snapshot was not restored into the standby: a failover would do it itself, and take longer. Look at the cause; the next snapshot, or the schedule, tries again."
    retention          = "Superseded snapshots were not all tagged: nothing is lost, but the bucket grows until this is mended. Look at the cause; the next scheduled run goes on from here."
    replicate_existing = "Objects that were in the buckets before replication was set up are not all in the other Region. Look at the cause and start the state machine again."
  }

  # Of machines whose success is told: what its output holds where something was done (an execution that found nothing to do succeeds as well), and what to say.
  success = {
    drill = {
      output   = "*drilled*"
      sentence = "A drill of the MWAA environment ${var.name} passed in <region> at <time>: the newest snapshot was restored there and looked at, nothing went live, the other Region was not touched. What a failover would have lost, and how long it would have taken until the state was back, in seconds, and where the report is: <output>. Execution: <execution>"
    }
    failover = {
      output   = "*went_live*"
      sentence = "The failover of the MWAA environment ${var.name} is complete: since <time> it is live in <region>. What it restored, how (restore_mode portable: without history and work in flight), and the work of how many seconds is run again or lost (rpo_seconds): <output>. Tell its users the new web address, and keep the other Region's environment from running until it is failed back. Execution: <execution>"
    }
    failback = {
      output   = "*failed_back*"
      sentence = "The failback of the MWAA environment ${var.name} is complete: since <time> it is live in <region> again, with what the other Region had done; that has removed its environment. Files that were changed in both Regions' DAG buckets were left as they are here (dags_in_conflict). What was restored and carried over: <output>. Tell its users the web address. Execution: <execution>"
    }
    hibernate = {
      output   = "*fell_asleep*"
      sentence = "The MWAA environment ${var.name} in <region> sleeps since <time>: it was deleted after a snapshot of it was verified. The state machine resume brings it back, by schedule or by hand. Snapshot: <output>. Execution: <execution>"
    }
    standby = {
      output   = "*brought_in_step*"
      sentence = "The standby of the MWAA environment ${var.name} in <region> was created or updated, and is in step with its spec since <time>: <output>. Its DAGs stay hidden; nothing runs there until a failover. Execution: <execution>"
    }
    resume = {
      output   = "*came_back*"
      sentence = "The MWAA environment ${var.name} in <region> is back since <time>, with another web address (url). Where published_version is not null, Terraform publishes that version of Airflow, but the environment came back with the version of its snapshot. What was restored: <output>. Execution: <execution>"
    }
  }

  # What is told beside failures and successes, where there is a machine that fails over.
  more = {
    failover-dry-run = {
      description = "Tells what a dry run of failover of ${var.name} found"
      sentence    = "A dry run of a failover of the MWAA environment ${var.name} to <region> ended at <time>; nothing was changed. What a failover would do, and why: <output>. Execution: <execution>"
      pattern = {
        source      = ["aws.states"]
        detail-type = ["Step Functions Execution Status Change"]
        detail      = { stateMachineArn = [lookup(var.state_machine_arns, "failover", "none")], status = ["SUCCEEDED"], output = [{ wildcard = "*dry_run*" }] }
      }
    }
    failover-question = {
      description = "Asks a person whether ${var.name} fails over"
      sentence    = "Shall the MWAA environment ${var.name} fail over from <primary> to <region>? Why: <why> Nothing is done before a person answers; without an answer until <until>, <without_answer>. To approve: <approve> To refuse: <refuse> Approving looks at the primary once more; with force true in the payload it does not. What the failover would do, and why, says the state machine failover with dry_run true as its input. Question: <request_id>"
      pattern = {
        source      = ["mwaa-continuity"]
        detail-type = ["Failover Wants Approval"]
        detail      = { environment = [var.name] }
      }
    }
  }

  notices = merge(
    {
      for machine, arn in var.state_machine_arns : "${machine}-failure" => {
        description = "Tells when ${machine} of ${var.name} failed, timed out or was aborted"
        sentence    = "${machine} of the MWAA environment ${var.name} in <region> ended as <status> at <time>. ${lookup(local.failure_advice, machine, "Look at the cause.")} Error: <error>. Cause: <cause>. Execution: <execution>"
        pattern = {
          source      = ["aws.states"]
          detail-type = ["Step Functions Execution Status Change"]
          detail      = { stateMachineArn = [arn], status = ["FAILED", "TIMED_OUT", "ABORTED"] }
        }
      }
    },
    {
      for machine, arn in var.state_machine_arns : "${machine}-success" => {
        description = "Tells when ${machine} of ${var.name} succeeded"
        sentence    = local.success[machine].sentence
        pattern = {
          source      = ["aws.states"]
          detail-type = ["Step Functions Execution Status Change"]
          detail      = { stateMachineArn = [arn], status = ["SUCCEEDED"], output = [{ wildcard = local.success[machine].output }] }
        }
      } if contains(keys(local.success), machine)
    },
    { for notice, told in local.more : notice => told if contains(keys(var.state_machine_arns), "failover") },
  )

  # What a sentence may name.
  input_paths = {
    approve        = "$.detail.approve"
    cause          = "$.detail.cause"
    error          = "$.detail.error"
    execution      = "$.detail.executionArn"
    output         = "$.detail.output"
    primary        = "$.detail.primary"
    refuse         = "$.detail.refuse"
    region         = "$.region"
    request_id     = "$.detail.request_id"
    status         = "$.detail.status"
    time           = "$.time"
    until          = "$.detail.until"
    why            = "$.detail.why"
    without_answer = "$.detail.without_answer"
  }

  rule_names = { for notice in keys(local.notices) : notice => "${var.prefix}-${notice}" }
  rule_arns  = { for notice, name in local.rule_names : notice => "arn:${local.partition}:events:${local.region}:${local.account_id}:rule/${name}" }
}

resource "aws_cloudwatch_event_rule" "notice" {
  for_each = local.notices

  name        = local.rule_names[each.key]
  description = each.value.description
  tags        = var.tags

  event_pattern = jsonencode(each.value.pattern)
}

resource "aws_cloudwatch_event_target" "notice" {
  for_each = local.notices

  rule      = aws_cloudwatch_event_rule.notice[each.key].name
  target_id = "topic"
  arn       = local.topic_arn

  input_transformer {
    input_paths = { for name, path in local.input_paths : name => path if strcontains(each.value.sentence, "<${name}>") }
    # Written out, because jsonencode would escape the angle brackets that EventBridge looks for.
    input_template = "\"${each.value.sentence}\""
  }
}
