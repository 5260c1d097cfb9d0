"""A form for a JSON Schema, as far as people fill in such things: names, numbers, choices, lists.

What does not fit is a field of JSON. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from api.web.words import readable

PREFIX = "config."
YES = "yes"


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `kind`: select, checkbox, number, text, checks, lines or json."""

    name: str
    label: str
    kind: str
    required: bool
    help: str = ""
    default: str = ""
    options: Sequence[str] = field(default_factory=tuple)
    minimum: float | None = None
    maximum: float | None = None
    is_integer: bool = False

    @property
    def key(self) -> str:
        """Its name in the form."""
        return PREFIX + self.name


def fields_of(schema: Mapping[str, Any]) -> list[Field]:
    """The fields of an object's schema, in its order."""
    required = set(schema.get("required", ()))
    properties = schema.get("properties", {})
    return [
        _field(name, raw if isinstance(raw, Mapping) else {}, schema, name in required)
        for name, raw in (properties.items() if isinstance(properties, Mapping) else ())
    ]


def _field(name: str, raw: Mapping[str, Any], root: Mapping[str, Any], required: bool) -> Field:
    schema = _resolve(raw, root)
    kind, options = _kind(schema, root)
    return Field(
        name=name,
        label=readable(name),
        kind=kind,
        required=required,
        # What a choice says about itself is about its type, not about this field.
        help=str(raw.get("description") or (schema.get("description") if kind != "select" else "") or ""),
        default=_shown(raw["default"]) if raw.get("default") not in (None, [], {}) else "",
        options=options,
        minimum=schema.get("minimum"),
        maximum=schema.get("maximum"),
        is_integer=schema.get("type") == "integer",
    )


def _resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference within the document, and see an optional value as the value."""
    for _ in range(8):
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/$defs/"):
            schema = root.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {})
            continue
        members = schema.get("anyOf") or schema.get("allOf") or ()
        real = [member for member in members if member.get("type") != "null"]
        if len(real) != 1:
            break
        schema = real[0]
    return schema


def _kind(schema: Mapping[str, Any], root: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
    if "enum" in schema and all(isinstance(value, str) for value in schema["enum"]):
        return "select", tuple(schema["enum"])
    match schema.get("type"):
        case "boolean":
            return "checkbox", ()
        case "integer" | "number":
            return "number", ()
        case "string":
            return "text", ()
        case "array":
            items = _resolve(schema.get("items") or {}, root)
            if "enum" in items:
                return "checks", tuple(map(str, items["enum"]))
            if items.get("type") == "string":
                return "lines", ()
    return "json", ()


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return YES if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def values_of(fields: Sequence[Field], config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as the form shows it, by the fields' keys."""
    shown: dict[str, Any] = {}
    for item in fields:
        if item.name not in config:
            continue
        value = config[item.name]
        if item.kind == "lines" and isinstance(value, list):
            shown[item.key] = "\n".join(map(str, value))
        elif item.kind == "json":
            shown[item.key] = json.dumps(value, ensure_ascii=False)
        else:
            shown[item.key] = value
    return shown


def read(fields: Sequence[Field], form: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The configuration a submitted form describes. What is left empty is left out.

    A value that does not fit its field stays text: the schema then says what is wrong with it.
    """
    config: dict[str, Any] = {}
    for item in fields:
        values = [value.strip() for value in form.get(item.key, ()) if value.strip()]
        if item.kind == "checkbox":
            # A browser says nothing of an unticked box; where ticked is the default, that is an answer.
            if values or item.required or item.default == YES:
                config[item.name] = bool(values)
            continue
        if not values:
            continue
        config[item.name] = _value(item, values)
    return config


def _value(item: Field, values: Sequence[str]) -> Any:
    match item.kind:
        case "checks":
            return list(values)
        case "lines":
            return [line.strip() for line in values[0].splitlines() if line.strip()]
        case "number":
            return _number(values[0], is_integer=item.is_integer)
        case "json":
            try:
                return json.loads(values[0])
            except (ValueError, RecursionError):
                return values[0]
        case _:
            return values[0]


def _number(text: str, *, is_integer: bool) -> int | float | str:
    try:
        return int(text) if is_integer else float(text)
    except ValueError:
        return text
