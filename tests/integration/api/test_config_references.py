"""Ids in a configuration are checked when it is saved: another team's are refused like missing ones."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest

from common.ids import new_id
from common.models import POSTGRESQL
from tests.factories import Team, World
from tests.support import recordings

AUTOMATIONS, JOBS = "/api/automations", "/api/v1/automation/jobs"
HOURLY = {"type": "interval", "interval_minutes": 60}


async def ids_of(world: World, team: Team) -> dict[str, UUID]:
    """One of each kind of thing that a configuration can name."""
    return {
        "webhook": await world.webhook(team, "https://receiver.example/hook"),
        "database": await world.connection(team, POSTGRESQL, "postgresql://reports@db.example/figures"),
        "template": await recordings.template(world, team, {}),
        "chat": await world.telegram(team),
        "account": await world.facebook(team),
    }


def sync_to_webhook(identifier: UUID) -> dict[str, Any]:
    return {
        "type": "data_sync",
        "automation_config": {"sync_type": "webhook", "destination_id": str(identifier)},
    }


def sync_to_database(identifier: UUID) -> dict[str, Any]:
    config = {"sync_type": "database", "connection_id": str(identifier), "table": "ads.days"}
    return {"type": "data_sync", "automation_config": config}


def job(identifier: UUID) -> dict[str, Any]:
    return {"type": "recording_sync", "automation_config": {"template_ids": [str(identifier)]}}


CASES = {
    "a webhook": (sync_to_webhook, "webhook", "/automation_config/destination_id"),
    "a database": (sync_to_database, "database", "/automation_config/connection_id"),
    "a template": (job, "template", "/automation_config/template_ids/0"),
}


@pytest.mark.parametrize("case", CASES)
async def test_another_teams_ids_are_refused_like_missing_ones(
    api: httpx.AsyncClient, world: World, acme: Team, globex: Team, case: str
) -> None:
    configured, kind, pointer = CASES[case]
    own, foreign = await ids_of(world, acme), await ids_of(world, globex)
    base = {"name": "Sync", "destination_id": str(own["chat"]), "schedule_config": HOURLY}

    made = await api.post(AUTOMATIONS, json=base | configured(own[kind]))
    assert made.status_code == 201, made.text
    path = f"{AUTOMATIONS}/{made.json()['id']}"
    refusals = []
    for wrong in (foreign[kind], new_id()):
        for answer in (
            await api.post(AUTOMATIONS, json=base | configured(wrong)),
            await api.patch(path, json={"automation_config": configured(wrong)["automation_config"]}),
        ):
            assert answer.status_code == 422
            refusals.append(answer.json()["errors"])
    assert refusals == [refusals[0]] * 4
    assert refusals[0][0]["pointer"] == pointer
    # What was saved with ids that are gone by now can still be renamed.
    await world.sql.execute("DELETE FROM recording_template")
    assert (await api.patch(path, json={"name": "Other"})).status_code == 200


@pytest.mark.parametrize(("configured", "kind"), [(sync_to_webhook, "chat"), (sync_to_database, "account")])
async def test_what_is_of_another_kind_is_refused(
    api: httpx.AsyncClient, world: World, acme: Team, configured: Any, kind: str
) -> None:
    own = await ids_of(world, acme)
    base = {"name": "Sync", "destination_id": str(own["chat"]), "schedule_config": HOURLY}
    assert (await api.post(AUTOMATIONS, json=base | configured(own[kind]))).status_code == 422


async def test_a_recording_job_names_templates_and_targets_of_its_team(
    api: httpx.AsyncClient, world: World, acme: Team, globex: Team
) -> None:
    own, foreign = await ids_of(world, acme), await ids_of(world, globex)
    body = {"name": "Calls", "schedule": {"type": "daily", "hour": 6, "timezone": "UTC"}}
    foreign_target = {"upload": [{"type": "webhook", "destination_id": str(foreign["webhook"])}]}

    refused = await api.post(JOBS, json=body | {"template_ids": [1, str(foreign["template"]), 99]})
    assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/template_ids/1", "/template_ids/2"]
    refused = await api.post(JOBS, json=body | {"template_ids": [1], "processing_config": foreign_target})
    assert [fault["pointer"] for fault in refused.json()["errors"]] == [
        "/processing_config/upload/0/destination_id"
    ]
    made = await api.post(JOBS, json=body | {"template_ids": [str(own["template"])]})
    assert made.status_code == 201
    changed = await api.patch(f"{JOBS}/{made.json()['id']}", json={"template_ids": [7]})
    assert changed.status_code == 422
