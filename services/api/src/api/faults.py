"""What is wrong with which field, in the words of JSON: refusals of Pydantic and of JSON Schema. Pure.

Both speak of Python (a *tuple*, a *dictionary*, `<Platform.ZOOM: 'zoom'>`), and JSON Schema's also repeat the
value, which a refusal must not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jsonschema.exceptions import ValidationError as SchemaViolation
from pydantic import ValidationError

from common.errors import FieldError

MAX_POINTER = 300
"""Characters of a pointer: names of unknown fields are the client's, and may be long."""

_OBJECT, _ARRAY = "Input should be an object", "Input should be an array"
_WORDS: Mapping[str, str] = {
    "bool_parsing": "Input should be true or false",
    "bool_type": "Input should be true or false",
    "dataclass_type": _OBJECT,
    "date_type": "write it as 2026-12-24",
    "datetime_type": "write it as 2026-12-24T09:00:00Z",
    "decimal_parsing": "Input should be a number",
    "decimal_type": "Input should be a number",
    "dict_type": _OBJECT,
    "frozen_set_type": _ARRAY,
    "is_instance_of": "Input is not acceptable",
    "iterable_type": _ARRAY,
    "list_type": _ARRAY,
    "mapping_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "model_type": _OBJECT,
    "none_required": "Input should be null",
    "set_type": _ARRAY,
    "time_delta_parsing": "write a duration, in seconds or as PT6H",
    "time_delta_type": "write a duration, in seconds or as PT6H",
    "tuple_type": _ARRAY,
    "uuid_parsing": "Input should be a valid UUID",
    "uuid_type": "Input should be a valid UUID",
}
_MEMBER = re.compile(r"<\w+\.\w+: ('[^']*'|\d+)>")
_SCHEMA_BOUNDS: Mapping[str, str] = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "greater than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "text of at least {} characters",
    "maxLength": "text of at most {} characters",
    "pattern": "text that matches {}",
    "format": "text in the format {}",
    "minItems": "an array of at least {} items",
    "maxItems": "an array of at most {} items",
    "minProperties": "an object of at least {} fields",
    "maxProperties": "an object of at most {} fields",
}
_LONGEST = 200


def pointer(path: Sequence[str | int]) -> str:
    """A path into a document as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def within(document: Any, path: Sequence[str | int], *, missing: bool) -> list[str | int]:
    """`path` without the steps that are Pydantic's names for the members of a union, not the document's."""
    steps: list[str | int] = []
    here: Any = document
    for position, step in enumerate(path):
        known = isinstance(here, dict) and step in here
        if known or (isinstance(here, list) and isinstance(step, int) and step < len(here)):
            here = here[step]
        elif not (missing and position == len(path) - 1):
            continue
        steps.append(step)
    return steps


def field_errors(error: ValidationError, document: Any, *at: str) -> list[FieldError]:
    """Each field of the `document` that was refused; `at` is where the document is in the request."""
    faults = error.errors(include_url=False, include_input=False)
    return [
        FieldError(
            pointer((*at, *within(document, fault["loc"], missing=fault["type"] == "missing"))),
            in_words(fault),
        )
        for fault in faults
    ]


def in_words(fault: Mapping[str, Any]) -> str:
    """What one of Pydantic's errors asks for."""
    kind: str = fault["type"]
    limits: Mapping[str, Any] = fault.get("ctx") or {}
    if kind in _WORDS:
        return _WORDS[kind]
    if kind == "union_tag_invalid":
        return f"Input should be one of {limits['expected_tags']}"
    if kind == "too_short" and "min_length" in limits:
        return f"Input should have at least {_items(limits['min_length'])}"
    if kind == "too_long" and "max_length" in limits:
        return f"Input should have at most {_items(limits['max_length'])}"
    message = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return _MEMBER.sub(r"\1", message)


def _items(number: int) -> str:
    return f"{number} item{'' if number == 1 else 's'}"


def schema_errors(violation: SchemaViolation, *at: str) -> list[FieldError]:
    """What a violation of a JSON Schema asks for; `at` is where the document is in the request."""
    path = (*at, *violation.absolute_path)
    wanted: Any = violation.validator_value
    given: Any = violation.instance
    if violation.validator == "required" and isinstance(given, dict):
        return [FieldError(pointer((*path, name)), "Field required") for name in wanted if name not in given]
    if violation.validator == "additionalProperties" and isinstance(given, dict):
        known = violation.schema.get("properties", {}) if isinstance(violation.schema, dict) else {}
        extra = [name for name in given if name not in known]
        return [FieldError(pointer((*path, name)), "Extra inputs are not permitted") for name in extra]
    return [
        FieldError(pointer(path), f"Input should be {_wanted(str(violation.validator), wanted)}"[:_LONGEST])
    ]


def _wanted(rule: str, wanted: Any) -> str:
    if rule == "type":
        return "of type " + " or ".join([wanted] if isinstance(wanted, str) else map(str, wanted))
    if rule in ("enum", "const"):
        choices = wanted if rule == "enum" and isinstance(wanted, list) else [wanted]
        return "one of " + ", ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)
    if rule == "uniqueItems":
        return "an array of different items"
    if rule in _SCHEMA_BOUNDS:
        return _SCHEMA_BOUNDS[rule].format(wanted)
    return f"as the rule {rule} of its schema has it"
