"""The spec: what GetEnvironment says of one Region -> a CreateEnvironment document for another.

Pure functions over botocore's own model of MWAA. Messages never repeat a configuration value: only the path to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape
from botocore.session import Session

from mwaa_continuity.errors import BadSpec

Document = dict[str, Any]

#: What belongs to a Region and must come from its binding.
REGION_BOUND: Final = ("ExecutionRoleArn", "KmsKey", "NetworkConfiguration", "SourceBucketArn")

#: Object versions of files in the DAG bucket: field -> field with the key of the object.
OBJECT_VERSIONS: Final[Mapping[str, str]] = {
    "PluginsS3ObjectVersion": "PluginsS3Path",
    "RequirementsS3ObjectVersion": "RequirementsS3Path",
    "StartupScriptS3ObjectVersion": "StartupScriptS3Path",
}

PYTHON_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "string": str,
    "integer": int,
    "long": int,
    "boolean": bool,
    "structure": Mapping,
    "map": Mapping,
    "list": list,
}


@cache
def service_model() -> ServiceModel:
    """botocore's model of MWAA."""
    return Session().get_service_model("mwaa")


def input_of(operation: str) -> StructureShape:
    """The input of an operation of MWAA."""
    shape = service_model().operation_model(operation).input_shape
    if not isinstance(shape, StructureShape):
        raise TypeError(f"botocore's model of MWAA has no input for {operation}")
    return shape


def create_shape() -> StructureShape:
    """The input of CreateEnvironment."""
    return input_of("CreateEnvironment")


def update_members() -> set[str]:
    """What UpdateEnvironment can change."""
    return set(input_of("UpdateEnvironment").members)


def ordered(version: str) -> tuple[int, ...]:
    """A version as something that sorts; what is no number counts for nothing."""
    return tuple(int(part) if part.isdigit() else -1 for part in version.split("."))


def from_environment(environment: Mapping[str, Any]) -> Document:
    """The CreateEnvironment document of a live environment (the member `Environment` of GetEnvironment's answer).

    Keeps exactly what CreateEnvironment knows: statuses, addresses, ARNs of log groups and the like fall away.
    """
    document: Document = known(create_shape(), environment)
    tags = {key: value for key, value in document.get("Tags", {}).items() if not key.lower().startswith("aws:")}
    document["Tags"] = tags
    if document.get("StartupScriptS3Path"):
        document["StartupScriptS3Path"] = relative_key(document["StartupScriptS3Path"])
    return without_empty(document)


def known(shape: Shape, value: Any) -> Any:
    """The part of a value that a shape knows."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        return {name: known(shape.members[name], inner) for name, inner in value.items() if name in shape.members}
    return value


def without_empty(document: Mapping[str, Any]) -> Document:
    """The document without members that say nothing: GetEnvironment and Terraform write them as null, "" or {}."""
    return {name: value for name, value in document.items() if value is not None and value not in ("", {}, [])}


def relative_key(path: str) -> str:
    """The key of an object, from a key or an s3:// address."""
    return re.sub(r"^s3://[^/]+/", "", path).lstrip("/")


def for_region(document: Mapping[str, Any], source_region: str, binding: Mapping[str, Any], region: str) -> Document:
    """The document for another Region: what is bound to the source falls away, what the binding says is laid over.

    Configuration options are merged option by option, everything else of the binding replaces. Raises `BadSpec` where
    the result is not what CreateEnvironment accepts.
    """
    moved = {name: value for name, value in document.items() if name not in REGION_BOUND}
    options = document.get("AirflowConfigurationOptions") or {}
    if source_region != region:
        options = {name: in_region(value, source_region, region) for name, value in options.items()}
    laid_over = without_empty(binding)
    moved |= laid_over
    moved["AirflowConfigurationOptions"] = {**options, **laid_over.get("AirflowConfigurationOptions", {})}
    result = without_empty(moved)
    validate(result)
    return result


def in_region(value: Any, source: str, target: str) -> Any:
    """A configuration value with a Region's name, where it stands alone, replaced: in ARNs, endpoints, JSON, lists."""
    if not isinstance(value, str):
        return value
    return re.sub(rf"(?<![A-Za-z0-9-]){re.escape(source)}(?![A-Za-z0-9-])", target, value)


def validate(document: Mapping[str, Any]) -> None:
    """Raise `BadSpec`, naming every field at fault, where CreateEnvironment would not accept the document."""
    faults = list(faults_of(create_shape(), document, ""))
    if faults:
        raise BadSpec("the spec is not what CreateEnvironment accepts: " + "; ".join(faults))


def faults_of(shape: Shape, value: Any, path: str) -> list[str]:
    """What is wrong with a value by botocore's model: members, types, lengths, ranges, patterns and enums."""
    if not has_type(shape, value):
        return [f"{path or 'spec'} is {type(value).__name__}; accepted: {shape.type_name}"]
    if isinstance(shape, StructureShape):
        return faults_of_members(shape, value, path)
    faults = faults_of_size(shape, value, path)
    if isinstance(shape, ListShape):
        for place, inner in enumerate(value):
            faults += faults_of(shape.member, inner, f"{path}[{place}]")
    elif isinstance(shape, MapShape):
        for key, inner in value.items():
            faults += faults_of(shape.key, key, f"{path} key")
            faults += faults_of(shape.value, inner, f"{path}.{key}")
    elif isinstance(shape, StringShape):
        faults += faults_of_text(shape, value, path)
    return faults


def has_type(shape: Shape, value: Any) -> bool:
    """Whether a value is of the shape's kind; to Python, true and false are numbers, to MWAA they are not."""
    if isinstance(value, bool):
        return shape.type_name == "boolean"
    return isinstance(value, PYTHON_TYPES.get(shape.type_name, object))


def faults_of_members(shape: StructureShape, value: Mapping[str, Any], path: str) -> list[str]:
    """Missing, unknown and wrong members of a structure."""
    prefix = f"{path}." if path else ""
    faults = [f"{prefix}{name} is missing" for name in shape.required_members if value.get(name) is None]
    faults += [f"{prefix}{name} is unknown" for name in sorted(set(value) - set(shape.members))]
    for name, member in shape.members.items():
        if value.get(name) is not None:
            faults += faults_of(member, value[name], f"{prefix}{name}")
    return faults


def faults_of_size(shape: Shape, value: Any, path: str) -> list[str]:
    """A number out of its range, or a text, list or map of a wrong length."""
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if isinstance(value, bool) or (low is None and high is None):
        return []
    size = value if isinstance(value, int) else len(value)
    if (low is not None and size < low) or (high is not None and size > high):
        what = "value" if isinstance(value, int) else "length"
        return [f"{path} has the {what} {size}; accepted: {low or 0} to {high or 'any'}"]
    return []


def faults_of_text(shape: StringShape, value: str, path: str) -> list[str]:
    """A text that is none of an enum, or not of the form of a pattern."""
    if shape.enum and value not in shape.enum:
        return [f"{path} is of no known kind; accepted: {', '.join(shape.enum)}"]
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(in_python(pattern), value):
        return [f"{path} is not of the form {pattern}"]
    return []


def in_python(pattern: str) -> str:
    """A pattern of the model with the Unicode classes that Python does not have replaced by the nearest wider ones."""
    return pattern.replace(r"\p{L}", r"\w").replace(r"\p{N}", r"\w").replace(r"\p{Z}", r"\s")
