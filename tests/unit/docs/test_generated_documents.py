"""The generated documents are current, valid, and true to what the services publish."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest
import yaml

from common.broker import DEAD_LETTER_SUFFIX, TOPICS
from common.events import EVENT_TYPES, Event, to_record
from common.ids import new_id
from docs import generate

ASYNCAPI: dict[str, Any] = yaml.safe_load((generate.DOCS / "asyncapi.yaml").read_text())
NOW = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def _schema(event_type: str) -> dict[str, Any]:
    path = generate.DOCS / generate.EVENTS / f"{event_type}.schema.json"
    schema: dict[str, Any] = json.loads(path.read_text())
    return schema


def _example(event: type[Event]) -> Event:
    """An event with a value in every field."""
    values: dict[str, Any] = {}
    for name, described in event.model_json_schema()["properties"].items():
        kinds = [described, *described.get("anyOf", ())]
        if any(kind.get("format") == "uuid" for kind in kinds):
            values[name] = new_id()
        elif any(kind.get("format") == "date-time" for kind in kinds):
            values[name] = NOW
        elif described.get("type") == "array":
            values[name] = [str(new_id())]
        elif described.get("type") == "integer":
            values[name] = 3
        elif "$ref" in described:
            definition = event.model_json_schema()["$defs"][described["$ref"].rpartition("/")[2]]
            values[name] = definition["enum"][0]
        else:
            values[name] = "text"
    return event.model_validate(values)


def test_the_committed_documents_are_what_the_code_says() -> None:
    for name, text in generate.documents().items():
        path = generate.DOCS / name
        assert path.is_file(), f"docs/{name} is missing: run `python docs/generate.py`"
        assert path.read_text() == text, f"docs/{name} is out of date: run `python docs/generate.py`"


def test_no_document_is_left_of_an_event_that_is_gone() -> None:
    kept = {path.name for path in (generate.DOCS / generate.EVENTS).iterdir()}
    assert kept == {f"{name}.schema.json" for name in EVENT_TYPES}


def test_no_event_breaks_its_readers() -> None:
    """A fault here means: add an event type ending in `.v2`, and publish both for a while."""
    assert generate.broken_promises(generate.DOCS / generate.EVENTS) == []


@pytest.mark.parametrize("event", EVENT_TYPES.values(), ids=EVENT_TYPES)
def test_a_published_event_is_valid_by_its_schema_and_its_description(event: type[Event]) -> None:
    example = _example(event)
    record = to_record(
        example, source=event.sources[0], time=NOW, traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01"
    )
    schema = _schema(event.type)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(record.value), schema, format_checker=jsonschema.FormatChecker())
    assert record.headers["ce_dataschema"] == schema["$id"]

    message = ASYNCAPI["components"]["messages"][event.__name__]
    jsonschema.validate(record.headers, message["headers"], format_checker=jsonschema.FormatChecker())
    assert set(record.headers) <= set(message["headers"]["properties"])
    jsonschema.validate(record.key, message["bindings"]["kafka"]["key"])
    assert str(UUID(record.key)) == record.key
    assert ASYNCAPI["channels"][record.topic]["messages"].keys() >= {event.__name__}


@pytest.mark.parametrize("event", EVENT_TYPES.values(), ids=EVENT_TYPES)
def test_a_payload_that_lacks_a_required_field_is_invalid(event: type[Event]) -> None:
    schema = _schema(event.type)
    payload = json.loads(to_record(_example(event), source=event.sources[0], time=NOW).value)
    for name in schema["required"]:
        incomplete = {field: value for field, value in payload.items() if field != name}
        with pytest.raises(jsonschema.ValidationError, match=name):
            jsonschema.validate(incomplete, schema)


def test_every_topic_is_a_channel() -> None:
    live = {topic.name for topic in TOPICS if not topic.name.endswith(DEAD_LETTER_SUFFIX)}
    channels = dict(ASYNCAPI["channels"])
    dead = channels.pop("deadLetters")
    assert set(channels) == live
    assert {name + DEAD_LETTER_SUFFIX for name in dead["parameters"]["topic"]["enum"]} == {
        topic.name for topic in TOPICS
    } - live


def test_every_reference_leads_somewhere() -> None:
    found = list(_references(ASYNCAPI))
    assert found
    for reference in found:
        if reference.startswith("./"):
            assert (generate.DOCS / reference).is_file(), reference
            continue
        target: Any = ASYNCAPI
        for token in reference.removeprefix("#/").split("/"):
            target = target[token]
        assert target


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def test_every_setting_of_every_service_is_listed() -> None:
    page = (generate.DOCS / "settings.md").read_text()
    rows = [
        [cell.strip() for cell in line.split(" | ")] for line in page.splitlines() if line.startswith("| `")
    ]
    listed = {(row[0].strip("|` "), service.strip()) for row in rows for service in row[1].split(",")}
    for service, settings in generate.SERVICES.items():
        for name, field in settings.model_fields.items():
            assert (name.upper(), service) in listed or (name.upper(), "all") in listed
            assert field.description, f"{service}: {name} has no description"
    assert not [row for row in rows if not row[-1].strip("| ")]


def test_a_document_that_is_out_of_date_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "DOCS", tmp_path / "docs")
    (tmp_path / "docs").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "9.9.9"\n')
    monkeypatch.setattr("sys.argv", ["generate.py", "--check"])
    with pytest.raises(SystemExit, match=r"out of date: asyncapi.yaml, .*settings.md; run"):
        generate.main()
    assert not list((tmp_path / "docs").iterdir())

    monkeypatch.setattr("sys.argv", ["generate.py"])
    generate.main()
    assert "version: 9.9.9" in (tmp_path / "docs" / "asyncapi.yaml").read_text()
    monkeypatch.setattr("sys.argv", ["generate.py", "--check"])
    generate.main()


def test_a_broken_promise_is_refused_and_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "DOCS", tmp_path / "docs")
    schemas = tmp_path / "docs" / generate.EVENTS
    schemas.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "9.9.9"\n')
    name, event = next(iter(EVENT_TYPES.items()))
    published = event.model_json_schema()
    published["properties"]["colour"] = {"type": "string"}
    path = schemas / f"{name}.schema.json"
    path.write_text(json.dumps(published))
    monkeypatch.setattr("sys.argv", ["generate.py"])
    with pytest.raises(SystemExit, match=rf"(?s){name}: `colour` is gone.*\.v2"):
        generate.main()
    assert json.loads(path.read_text()) == published
