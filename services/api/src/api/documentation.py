"""The OpenAPI document: what FastAPI derives, and what it cannot know."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.idempotency import HEADER
from api.problems import Problem, TooManyRequests, problem_responses

TITLE = "Carillon"
VERSION = "1.0.0"
DESCRIPTION = """Runs a team's automations on time, and delivers what they find.

Send an API key with every request: `Authorization: Bearer car_…`. Everything you see and change belongs to
the team of that key.

Times are RFC 3339 in UTC. Lists are pages, newest first: follow `next` until it is absent. Every refusal is
an RFC 9457 problem that names the fields at fault; a refused request changes nothing.

Requests beyond those of a minute are answered with 429 and `Retry-After`: 30,000 of a key, 60,000 from an
address, 600 of those without a key, and 20 with keys that are not valid, unless the installation sets other
limits.
"""
TAGS: list[dict[str, Any]] = [
    {"name": "automations", "description": "What to do, when, and where to send it"},
    {"name": "gallery", "description": "Automations that are ready but for a few questions"},
    {"name": "automation types", "description": "The kinds of automation there are"},
    {"name": "recording jobs", "description": "Automations that fetch and process your recordings"},
    {"name": "runs", "description": "Executions of automations: one for each slot or manual trigger"},
    {"name": "schedules", "description": "When automations run, tried out before they do"},
    {"name": "backfills", "description": "Past slots that are run after all"},
    {"name": "quota", "description": "How much your team may have, and how often it may run"},
    {"name": "destinations", "description": "Telegram chats and webhooks that results go to"},
    {"name": "deliveries", "description": "Results on their way to a destination"},
    {"name": "connections", "description": "Your accounts on Facebook, TikTok and Zoom"},
    {"name": "recordings", "description": "What was recorded, and how far its processing has come"},
    {"name": "recording sources", "description": "Whose recordings are taken"},
    {
        "name": "recording templates",
        "description": "Which recordings belong together, and what is done with them",
    },
    {
        "name": "zoom events",
        "description": "Where Zoom announces recordings by itself, signed instead of with a key",
    },
    {"name": "live feed", "description": "What is happening now"},
    {"name": "team", "description": "Your team, its people and their API keys"},
    {"name": "operations", "description": "Health, without a key"},
]


_IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Any text of your own, such as a UUID. A request that is sent again with it within 24 "
    "hours, after a 503 or a lost connection, does nothing more and is answered as it was the first time; "
    "with another body it is refused",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the application."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    document = get_openapi(
        title=TITLE, version=VERSION, description=DESCRIPTION, routes=app.routes, tags=TAGS
    )
    schemas = document["components"]["schemas"]
    definition = Problem.model_json_schema(ref_template="#/components/schemas/{model}", by_alias=True)
    schemas.update(definition.pop("$defs", {}))
    schemas["Problem"] = definition
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    too_many = problem_responses(TooManyRequests.status_code)[TooManyRequests.status_code]
    for path, operations in document["paths"].items():
        if not path.startswith("/api/"):
            continue
        for operation in operations.values():
            operation["responses"].setdefault(str(TooManyRequests.status_code), too_many)
        if "post" in operations:
            operations["post"].setdefault("parameters", []).append(dict(_IDEMPOTENCY_KEY))
    app.openapi_schema = document
    return document
