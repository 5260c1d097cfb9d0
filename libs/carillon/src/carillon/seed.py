"""The demo tenant's connections, destinations and automations, made through the public API.

Planting again adds nothing. It moves the webhook to where the sandbox is now, and the reports of every minute
so that the first comes a few seconds from now; what a person has changed stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from carillon.client import Api, Document

TEAM = "Northwind Media"
OWNER = "ada@northwind.example"

# The sandbox's own, known to everybody.
FACEBOOK_TOKEN = "sandbox-fb-demo"  # noqa: S105
TIKTOK_TOKEN = "sandbox-tt-demo"  # noqa: S105
ZOOM_TOKEN = "sandbox-zoom-demo"  # noqa: S105
TELEGRAM_TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawX"  # noqa: S105  # any well-formed one is accepted there
CHAT_ID = -1001234567890
HOOK = "northwind"
FIRST_REPORT_AFTER = timedelta(seconds=5)
FIRST_RECORDINGS_AFTER = timedelta(seconds=12)

TO_CHAT = "Pulse: every minute to the team chat"
TO_HOOK = "Pulse: every minute to the warehouse"
GUARD = "Budget guard"
JOB = "Lectures, every hour"

_EVERY_MINUTE = {"period": "daily", "days": 1, "metric_types": ["ad_account", "pages"], "format": "html"}


@dataclass(frozen=True, slots=True)
class Seeds:
    """Ids of what the demo follows."""

    to_chat: str
    to_hook: str
    job: str


async def plant(api: Api, *, sandbox_origin: str, webhook_secret: str, now: datetime) -> Seeds:
    """Make sure that the demo's data is there."""
    for platform, name, token in (
        ("facebook", "Northwind on Facebook", FACEBOOK_TOKEN),
        ("tiktok", "Northwind on TikTok", TIKTOK_TOKEN),
    ):
        await _connect(api, platform, name, token)
    chat = await _ensure(
        api,
        "destinations",
        {
            "type": "telegram",
            "name": "Team chat",
            "config": {"chat_id": CHAT_ID},
            "bot_token": TELEGRAM_TOKEN,
        },
    )
    hook_url = {"url": f"{sandbox_origin}/hooks/{HOOK}"}
    hook = await _ensure(
        api,
        "destinations",
        {"type": "webhook", "name": "Data warehouse", "config": hook_url, "signing_secret": webhook_secret},
    )
    if hook["config"] != hook_url:
        await api.change("destinations", hook["id"], {"config": hook_url})
    automations = [
        await _ensure(api, "automations", _report(name, destination["id"], schedule, config))
        for name, destination, schedule, config in (
            (TO_CHAT, chat, _each_minute(now), _EVERY_MINUTE),
            (TO_HOOK, hook, _each_minute(now), _EVERY_MINUTE | {"format": "text"}),
            ("Morning numbers", chat, _daily(9), _EVERY_MINUTE),
            ("Week in review", chat, _mondays(8), _EVERY_MINUTE | {"period": "weekly", "days": 7}),
        )
    ]
    for pulse in automations[:2]:
        await _begin_anew(api, pulse, _each_minute(now))
    await _ensure(api, "automations", _budget_guard(chat["id"]))
    job = await _recordings(api, now)
    return Seeds(to_chat=automations[0]["id"], to_hook=automations[1]["id"], job=job["id"])


async def _recordings(api: Api, now: datetime) -> Document:
    """A course's recordings: whose they are, which of them are lectures, and the job that takes those."""
    zoom = await _connect(api, "zoom", "Northwind Academy on Zoom", ZOOM_TOKEN)
    await _ensure(api, "recording-sources", {"connection_id": zoom["id"], "name": "The lecturer"})
    lectures = await _ensure(
        api,
        "recording-templates",
        {"name": "Lectures", "matching_rules": {"keywords": ["course", "lesson", "lecture", "workshop"]}},
    )
    first = (now + FIRST_RECORDINGS_AFTER).isoformat(timespec="seconds")
    return await _ensure(
        api,
        "v1/automation/jobs",
        {
            "name": JOB,
            "template_ids": [lectures["number"]],
            "sync_config": {"sync_days": 7},
            "schedule": {"type": "interval", "interval_minutes": 60, "anchor": first},
        },
    )


async def _connect(api: Api, platform: str, name: str, token: str) -> Document:
    connection = await _ensure(api, "connections", {"platform": platform, "name": name, "token": token})
    if not connection.get("checked_at"):
        await api.check_connection(connection["id"])
    return connection


async def _begin_anew(api: Api, pulse: Document, schedule: dict[str, Any]) -> None:
    current = dict(pulse["schedule_config"])
    if current.pop("anchor", None) != schedule["anchor"] and current == _without_anchor(schedule):
        await api.change("automations", pulse["id"], {"schedule_config": schedule})


def _without_anchor(schedule: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in schedule.items() if name != "anchor"}


async def _ensure(api: Api, collection: str, wanted: Mapping[str, Any]) -> Document:
    for existing in await api.everything(collection):
        if existing["name"] == wanted["name"]:
            return existing
    return await api.create(collection, wanted)


def _report(
    name: str, destination_id: str, schedule: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "destination_id": destination_id,
        "name": name,
        "type": "scheduled_report",
        "schedule_config": dict(schedule),
        "automation_config": dict(config),
        "platforms": ["facebook"],
    }


def _budget_guard(destination_id: str) -> dict[str, Any]:
    return {
        "destination_id": destination_id,
        "name": GUARD,
        "type": "alert",
        "schedule_config": {"type": "interval", "interval_minutes": 30},
        "automation_config": {"thresholds": {"max_daily_spend": 1_000}, "window": "today"},
        "platforms": ["facebook", "tiktok"],
    }


def _each_minute(now: datetime) -> dict[str, Any]:
    first = now + FIRST_REPORT_AFTER
    return {"type": "interval", "interval_minutes": 1, "anchor": first.isoformat(timespec="seconds")}


def _daily(hour: int) -> dict[str, Any]:
    return {"type": "daily", "hour": hour, "minute": 0, "timezone": "Europe/Berlin"}


def _mondays(hour: int) -> dict[str, Any]:
    return {"type": "weekly", "weekday": 0, "hour": hour, "minute": 0, "timezone": "Europe/Berlin"}
