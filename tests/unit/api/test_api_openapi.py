"""The OpenAPI document: current, complete, and without what a client cannot rely on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from api import openapi

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    rendered: dict[str, Any] = json.loads(openapi.render())
    return rendered


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_committed_document_is_current() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == openapi.render(), "run `python -m api.openapi`"


def test_every_operation_is_described_and_tagged(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    for name, operation in operations(document):
        assert operation.get("description"), name
        assert set(operation["tags"]) <= tags, name
        assert operation["summary"], name


def test_every_api_operation_wants_a_key_and_says_how_it_refuses(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        if " /api/" not in name:
            continue
        assert operation["security"] == [{"apiKey": []}], name
        refusals = {status for status in operation["responses"] if status.startswith("4")}
        assert "401" in refusals, name
        assert ("404" in refusals) == ("{" in name), name
        if "requestBody" in operation:
            assert {"400", "413", "415", "422"} <= refusals, name
        for status in refusals:
            assert set(operation["responses"][status]["content"]) == {"application/problem+json"}, name


def test_bodies_have_examples(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in ("AutomationCreate", "ConnectionCreate", "SchedulePreviewRequest"):
        assert schemas[name]["examples"]
    destination = document["paths"]["/api/destinations"]["post"]["requestBody"]["content"]
    assert set(destination["application/json"]["examples"]) == {"telegram", "webhook"}


def test_fields_that_may_be_left_out_of_a_patch_may_not_be_null(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["AutomationPatch"]
    assert "required" not in schema
    for name, field in schema["properties"].items():
        assert "default" not in field, name
        assert {"type": "null"} not in field.get("anyOf", []), name


def test_nothing_is_loaded_from_elsewhere(document: dict[str, Any]) -> None:
    assert "servers" not in document
    assert "HTTPValidationError" not in document["components"]["schemas"]
