"""Delivers what AWS services send of their own accord, with the permission that AWS would ask for."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, replace
from typing import Any

from tests.local_aws.authz.actions import key_arn
from tests.local_aws.authz.evaluate import Decision, Request, Statement, evaluate, statements_of
from tests.local_aws.authz.policies import key_statements
from tests.local_aws.contract import ACCOUNT_ID
from tests.local_aws.platform import LocalPlatform
from tests.local_aws.sessions import Session

#: Names of universal targets -> botocore's.
_SDK_SERVICES = {"sfn": "stepfunctions", "eventbridge": "events"}


class NotDelivered(RuntimeError):
    """The target did not take the message; the text says why."""


@dataclass(frozen=True)
class Sender:
    """A service that sends for a resource of the account; `topic_arn` is set where SNS encrypts for it."""

    principal: str
    source_arn: str
    topic_arn: str = ""

    def context(self) -> dict[str, str]:
        """Condition keys of what it does. EventBridge, unlike the others, names no account to topics."""
        context = {"aws:SourceArn": self.source_arn, "aws:SecureTransport": "true"}
        if self.principal != "events.amazonaws.com":
            context["aws:SourceAccount"] = ACCOUNT_ID
        if self.topic_arn:
            context["kms:EncryptionContext:aws:sns:topicArn"] = self.topic_arn
        return context


class Delivery:
    """Sends messages to targets and remembers every notice that was published."""

    def __init__(self, platform: LocalPlatform) -> None:
        self._platform = platform
        self._notices: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def install(self) -> None:
        """Remember every message that any topic takes."""
        from moto.sns.models import Topic

        publish, delivery = Topic.publish, self

        def remembering_publish(topic: Any, message: str, subject: str | None = None, *args: Any, **kwargs: Any) -> Any:
            delivery._remember(topic, message, subject)
            return publish(topic, message, subject, *args, **kwargs)

        Topic.publish = remembering_publish

    def _remember(self, topic: Any, message: str, subject: str | None) -> None:
        region = topic.arn.split(":")[3]
        notice = {
            "at": round(time.time(), 3),
            "region": region,
            "topic": topic.arn,
            "subject": subject,
            "message": message,
        }
        with self._lock:
            self._notices.append(notice)
        self._platform.record("notice", region, topic=topic.arn, subject=subject)

    def notices(self) -> list[dict[str, Any]]:
        """Every published notice: at, region, topic, subject, message."""
        with self._lock:
            return list(self._notices)

    def as_role(self, target: str, payload: str, session: Session, region: str) -> None:
        """Deliver in a session of the role that the sender assumed; raises NotDelivered or botocore's errors."""
        service = target.split(":")[2]
        where = target.split(":")[3] or region

        def client(name: str) -> Any:
            return self._platform.session_client(name, where, session)

        if service == "scheduler" and ":aws-sdk:" in target:
            _, sdk_service, action = target.rsplit(":", 2)
            _call(client(_SDK_SERVICES.get(sdk_service, sdk_service)), action, json.loads(payload or "{}"))
            return
        self._send(target, payload, client)

    def as_service(self, target: str, payload: str, principal: str, source_arn: str) -> None:
        """Deliver as a service that no role stands for; the target's resource policy, and its key's, must admit it."""
        service, region = target.split(":")[2:4]
        sender = Sender(principal, source_arn)
        if service == "sns":
            self._check_topic(target, sender)
        elif service == "lambda":
            self._check_function(target, sender)
        elif service == "sqs":
            self._check_queue(target, sender)
        self._send(target, payload, lambda name: self._platform.client(name, region))

    def _send(self, target: str, payload: str, client: Any) -> None:
        service = target.split(":")[2]
        if service == "lambda":
            client("lambda").invoke(FunctionName=target, InvocationType="Event", Payload=payload.encode())
        elif service == "states":
            client("stepfunctions").start_execution(stateMachineArn=target, input=payload)
        elif service == "sns":
            client("sns").publish(TopicArn=target, Message=payload)
        elif service == "sqs":
            queues = client("sqs")
            url = queues.get_queue_url(QueueName=target.rsplit(":", 1)[-1])["QueueUrl"]
            queues.send_message(QueueUrl=url, MessageBody=payload)
        else:
            raise NotDelivered(f"the stand-in cannot deliver to {target}")

    def _admits(self, statements: list[Statement], action: str, resource: str, sender: Sender) -> bool:
        request = Request(action, resource, sender.context(), {"Service": sender.principal})
        return evaluate(statements, request) is Decision.ALLOWED

    def _check_topic(self, arn: str, sender: Sender) -> None:
        from moto.sns.models import sns_backends

        region = arn.split(":")[3]
        topic = sns_backends[ACCOUNT_ID][region].topics.get(arn)
        if topic is None:
            raise NotDelivered(f"topic {arn} does not exist")
        if not self._admits(statements_of(json.loads(topic.policy)), "sns:Publish", arn, sender):
            raise NotDelivered(f"the policy of {arn} does not admit {sender.principal} for {sender.source_arn}")
        key = topic.kms_master_key_id
        if not key or key == "alias/aws/sns":
            # The key that AWS manages admits nobody but the caller's own account: services cannot use it.
            if key:
                raise NotDelivered(f"{arn} is encrypted with alias/aws/sns, which {sender.principal} cannot use")
            return
        if not self._may_use(key, region, replace(sender, topic_arn=arn)):
            raise NotDelivered(f"the key policy of {key} does not admit {sender.principal}")

    def _check_queue(self, arn: str, sender: Sender) -> None:
        from moto.sqs.models import sqs_backends

        queues = sqs_backends[ACCOUNT_ID][arn.split(":")[3]].queues
        queue = queues.get(arn.rsplit(":", 1)[-1])
        if queue is None:
            raise NotDelivered(f"queue {arn} does not exist")
        if not self._admits(statements_of(json.loads(queue.policy or "{}")), "sqs:SendMessage", arn, sender):
            raise NotDelivered(f"the policy of {arn} does not admit {sender.principal} for {sender.source_arn}")
        key, region = queue.kms_master_key_id, arn.split(":")[3]
        if key and not self._may_use(key, region, sender):
            raise NotDelivered(f"the key policy of {key} does not admit {sender.principal}")

    def _may_use(self, key: str, region: str, sender: Sender) -> bool:
        """Whether a key's policy lets a sender encrypt for what it sends to."""
        statements, arn = key_statements(key_arn(key, region)), key_arn(key, region)
        return all(self._admits(statements, action, arn, sender) for action in ("kms:GenerateDataKey", "kms:Decrypt"))

    def _check_function(self, arn: str, sender: Sender) -> None:
        region = arn.split(":")[3]
        client = self._platform.client("lambda", region)
        try:
            policy = json.loads(client.get_policy(FunctionName=arn)["Policy"])
        except client.exceptions.ResourceNotFoundException as error:
            raise NotDelivered(f"{arn} has no resource policy that admits {sender.principal}") from error
        if not self._admits(statements_of(policy), "lambda:InvokeFunction", arn, sender):
            raise NotDelivered(f"the policy of {arn} does not admit {sender.principal} for {sender.source_arn}")


def _call(client: Any, action: str, parameters: dict[str, Any]) -> None:
    names = client.meta.service_model.operation_names
    operation = next((name for name in names if name.lower() == action.lower()), None)
    if operation is None:
        raise NotDelivered(f"{client.meta.service_model.service_name} has no operation {action}")
    client._make_api_call(operation, parameters)
