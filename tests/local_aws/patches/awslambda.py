"""Patches of moto's Lambda (running a function is `lambda_runtime`'s)."""

from __future__ import annotations

from typing import Any

from moto.awslambda import models

#: Members of the API -> attributes that the patch keeps on a function.
_KEPT = {"DeadLetterConfig": "dead_letter_config", "LoggingConfig": "logging_config"}


def configuration_members() -> None:
    """moto drops DeadLetterConfig and LoggingConfig, ignores updates of tracing, key and storage. AWS keeps them."""
    function = models.LambdaFunction
    init, get, update = function.__init__, function.get_configuration, function.update_configuration

    def keeping_init(self: Any, account_id: str, spec: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        for member, attribute in _KEPT.items():
            setattr(self, attribute, spec.get(member))
        init(self, account_id, spec, *args, **kwargs)

    def full_configuration(self: Any, on_create: bool = False) -> dict[str, Any]:
        configuration: dict[str, Any] = get(self, on_create)
        if self.dead_letter_config and self.dead_letter_config.get("TargetArn"):
            configuration["DeadLetterConfig"] = self.dead_letter_config
        default = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{self.function_name}"}
        configuration["LoggingConfig"] = {**default, **(self.logging_config or {})}
        return configuration

    def full_update(self: Any, updates: dict[str, Any]) -> Any:
        for member, attribute in _KEPT.items():
            if member in updates:
                setattr(self, attribute, updates[member])
        if "TracingConfig" in updates:
            self.tracing_config = updates["TracingConfig"]
        if "KMSKeyArn" in updates:
            self.kms_key_arn = updates["KMSKeyArn"]
        if "EphemeralStorage" in updates:
            self.ephemeral_storage = updates["EphemeralStorage"]["Size"]
        return update(self, updates)

    function.__init__ = keeping_init
    function.get_configuration = full_configuration
    function.update_configuration = full_update


PATCHES = [configuration_members]
