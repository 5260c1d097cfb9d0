"""Every field of every body with wrong values: refusals name the field in words of JSON, not of Python."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter

from api.gallery.templates import TEMPLATES
from common.automation_config import BUILT_IN
from common.recordings.settings import ProcessingSettings
from common.scheduling.kinds import Schedule
from tests.factories import Team, World
from tests.support.bad_values import WRONG, Place, places, sample

PYTHON = re.compile(
    r"\b(tuple|dict|dictionary|NoneType|None|True|False|frozenset|frozen set|pydantic|isinstance|datetime\."
    r"|instance of|ValidationError|Traceback|constrained-\w+|function-\w+|is-instance|\w+Config|\w+Create"
    r"|\w+Patch|\w+Request|\w+Settings)\b|<[\w.]+[:>]|0x[0-9a-f]{6}|Value error|nullable\["
)
REFUSES: Mapping[str, tuple[Any, ...]] = {
    "boolean": (0, 1, 0.5, "", "true", "x"),
    "integer": (True, 0.5, "x", "0.5"),
    "number": (True, "x", "0.5"),
    "date-time": (True, 0, 1, 0.5, "0.5", "x"),
    "date": (True, 0, 1, 0.5, "0.5", "x"),
    "duration": (True, "x", ""),
}
"""What a field of a kind must refuse: one spelling for each value."""
SCHEDULE = {"type": "daily", "hour": 9}
SHARES = 8
"""Tests that share the fields, so that several processes can check them at a time."""


def mounted(place: Place, at: str, body: Mapping[str, Any]) -> Place:
    """A place within a field that the HTTP schema leaves open."""
    return Place({**body, at: place.document}, (at, *place.path), place.properties, place.root)


def open_fields(destination: str) -> Iterator[tuple[str, Place]]:
    """The objects of fields whose schema depends on another field: schedules, configurations, answers."""
    automation = {"name": "x", "destination_id": destination, "schedule_config": SCHEDULE}
    for name, model in BUILT_IN.items():
        schema = model.model_json_schema()
        for place in places(schema, schema):
            yield "/api/automations", mounted(place, "automation_config", {**automation, "type": name})
    schema = TypeAdapter(Schedule).json_schema()
    for place in places(schema, schema):
        yield "/api/schedules/preview", mounted(place, "schedule", {})
    for template in TEMPLATES.values():
        schema = template.parameters.model_json_schema()
        for place in places(schema, schema):
            body = {"template": template.id, "destination_id": destination}
            yield "/api/automations/from-template", mounted(place, "parameters", body)
    schema = ProcessingSettings.model_json_schema()
    job = {"name": "x", "template_ids": [1], "schedule": SCHEDULE}
    for place in places(schema, schema):
        yield "/api/v1/automation/jobs", mounted(place, "processing_config", job)


def bodies(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Place]]:
    """Every object of every body of the API."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is None or not path.startswith("/api/"):
                continue
            for place in places(content["schema"], document):
                yield method, re.sub(r"\{[^}]*\}", "00000000-0000-7000-8000-000000000001", path), place


@pytest.fixture
async def destination(world: World, acme: Team) -> str:
    return str(await world.telegram(acme))


@pytest.mark.parametrize("share", range(SHARES))
async def test_each_kind_of_field_has_one_spelling(
    api: httpx.AsyncClient, app: FastAPI, destination: str, share: int
) -> None:
    requests = [
        *bodies(app.openapi()),
        *(("post", path, place) for path, place in open_fields(destination)),
    ][share::SHARES]
    accepted, python, refused = [], [], 0
    for method, path, place in requests:
        for value in WRONG:
            response = await api.request(method, path, json=place.filled(value))
            assert response.status_code < 500, f"{method} {path} {place.path} {value!r}: {response.text}"
            if found := PYTHON.search(response.text) if response.status_code >= 400 else None:
                python.append((found[0], method, path, place.path, value, response.text[:300]))
            named = (
                {fault["pointer"] for fault in response.json().get("errors", ())}
                if response.content
                else set()
            )
            refused += response.status_code == 422
            for kind, wrong in REFUSES.items():
                if any(value is each or (type(value) is type(each) and value == each) for each in wrong):
                    accepted += [
                        (path, pointer, value)
                        for pointer in place.pointers(kind)
                        if not any(name == pointer or name.startswith(f"{pointer}/") for name in named)
                    ]

    assert not python, python[:10]
    assert not accepted, accepted[:20]
    assert refused > 1_000 / SHARES


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/api/recordings?to=0.5", "/to"),
        ("/api/recordings?from=1767225600", "/from"),
        ("/api/automations/00000000-0000-7000-8000-000000000001/slots?from=0", "/from"),
        ("/api/runs?limit=1_0", "/limit"),
        ("/api/runs?limit=5.0", "/limit"),
        ("/api/runs?limit=%2B5", "/limit"),
    ],
)
async def test_parameters_have_one_spelling_too(api: httpx.AsyncClient, path: str, pointer: str) -> None:
    response = await api.get(path)

    assert response.status_code == 422, response.text
    assert [fault["pointer"] for fault in response.json()["errors"]] == [pointer]


async def test_thousands_of_unknown_fields_get_a_short_answer(api: httpx.AsyncClient) -> None:
    body = {f"{'x' * 2_000}{number}": 1 for number in range(60)} | {
        f"y{number}": 1 for number in range(9_000)
    }

    response = await api.post("/api/automations", json=body)

    problem = response.json()
    assert response.status_code == 422
    assert len(problem["errors"]) == 50
    assert problem["detail"].startswith("90")
    assert problem["detail"].endswith("the first 50 are named.")
    assert len(response.content) < 32_768


async def test_a_schema_of_an_executor_refuses_without_repeating(
    api: httpx.AsyncClient, world: World, acme: Team, destination: str
) -> None:
    schema = {
        "type": "object",
        "properties": {"to": {"type": "string"}, "mode": {"enum": ["a", None]}, "n": {"maximum": 3}},
        "anyOf": [{"required": ["to"]}],
    }
    await world.sql.execute(
        "INSERT INTO automation_type (type, title, config_schema) VALUES ('custom', 'Custom', $1::jsonb)",
        schema,
    )
    body = {"name": "x", "destination_id": destination, "type": "custom", "schedule_config": SCHEDULE}
    secret = {"hunter2": None}

    response = await api.post(
        "/api/automations", json={**body, "automation_config": {"to": secret, "mode": secret, "n": 7}}
    )

    assert response.status_code == 422
    assert {fault["pointer"]: fault["detail"] for fault in response.json()["errors"]} == {
        "/automation_config/to": "Input should be of type string",
        "/automation_config/mode": 'Input should be one of "a", null',
        "/automation_config/n": "Input should be at most 3",
    }


def test_the_samples_are_well_formed() -> None:
    """Else the walk would only see what is wrong with the rest."""
    for model in BUILT_IN.values():
        schema = model.model_json_schema()
        assert isinstance(sample(schema, schema), dict)
