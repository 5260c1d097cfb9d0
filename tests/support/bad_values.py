"""Bodies with wrong values, made from JSON Schema: each object of a document with one value in its fields."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

WRONG: tuple[Any, ...] = (
    None,
    True,
    0,
    1,
    0.5,
    -(10**30),
    "",
    "x",
    "0.5",
    "true",
    [],
    [1],
    ["x"],
    {},
    {"x": 1},
)
_DEEPEST = 5


@dataclass(frozen=True)
class Place:
    """An object within a well-formed document: its schema, and the way to it."""

    document: Any
    path: tuple[str | int, ...]
    properties: Mapping[str, Any]
    root: Mapping[str, Any] = field(repr=False)

    def filled(self, value: Any) -> Any:
        """The document with `value` in every field of this object."""
        document = copy.deepcopy(self.document)
        here = document
        for step in self.path:
            here = here[step]
        for name, schema in self.properties.items():
            if "const" not in _resolved(schema, self.root):
                here[name] = copy.deepcopy(value)
        return document

    def pointers(self, kind: str) -> set[str]:
        """JSON pointers to this object's fields of a kind: `boolean`, `integer`, `number` or `date-time`."""
        return {
            "".join(f"/{step}" for step in (*self.path, name))
            for name, schema in self.properties.items()
            if kind in _kinds(schema, self.root)
        }


def places(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[Place]:
    """Every object that a document of this schema may hold, in a document that is else well-formed."""
    for variant in _variants(schema, root):
        document = sample(variant, root)
        yield from _places(document, document, variant, root, ())


def _places(
    document: Any, here: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: tuple[str | int, ...]
) -> Iterator[Place]:
    if len(path) > _DEEPEST or not isinstance(here, dict):
        return
    properties: Mapping[str, Any] = schema.get("properties", {})
    yield Place(document, path, properties, root)
    for name, below in properties.items():
        for variant in _variants(below, root):
            inner, step = sample(variant, root), (*path, name)
            if variant.get("type") == "array":
                for item in _variants(variant.get("items", {}), root):
                    grown = _with(document, step, [sample(item, root)])
                    yield from _places(grown, sample(item, root), item, root, (*step, 0))
            elif variant.get("type") == "object":
                yield from _places(_with(document, step, inner), inner, variant, root, step)


def _with(document: Any, path: tuple[str | int, ...], value: Any) -> Any:
    grown = copy.deepcopy(document)
    here = grown
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    return grown


def sample(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """A value of this schema, with what is required and nothing else."""
    schema = _variants(schema, root)[0]
    for known in ("const", "default"):
        if known in schema:
            return schema[known]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {
                name: sample(below, root)
                for name, below in schema.get("properties", {}).items()
                if name in schema.get("required", ()) or "const" in below
            }
        case "array":
            return [sample(schema.get("items", {}), root)] * schema.get("minItems", 0)
        case "boolean":
            return True
        case "integer" | "number":
            return max(schema.get("minimum", 1), 1)
    if schema.get("format") == "uuid":
        return "00000000-0000-7000-8000-000000000001"
    if schema.get("format") in ("date-time", "date"):
        return "2026-01-01T00:00:00Z"[: 20 if schema["format"] == "date-time" else 10]
    return "x" * max(schema.get("minLength", 1), 1)


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        found: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = {**found, **{name: value for name, value in schema.items() if name != "$ref"}}
    return schema


def _variants(schema: Mapping[str, Any], root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    schema = _resolved(schema, root)
    members = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if not members:
        return [schema]
    found = [variant for member in members for variant in _variants(member, root)]
    return [variant for variant in found if variant.get("type") != "null"] or found


def _kinds(schema: Mapping[str, Any], root: Mapping[str, Any]) -> set[str]:
    """The one kind a field has; none where it may be of several."""
    kinds = {str(each.get("format") or each.get("type")) for each in _variants(schema, root)}
    return kinds if len(kinds) == 1 else set()
