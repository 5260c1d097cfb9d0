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

FACEBOOK_TOKEN = "sandbox-fb-demo"  # noqa: S105  # the sandbox's own, known to everybody
TELEGRAM_TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawX"  # noqa: S105  # any well-formed one is accepted there
CHAT_ID = -1001234567890
HOOK = "northwind"
FIRST_REPORT_AFTER = timedelta(seconds=5)

TO_CHAT = "Pulse: every minute to the team chat"
TO_HOOK = "Pulse: every minute to the warehouse"

_EVERY_MINUTE = {"period": "daily", "days": 1, "metric_types": ["ad_account", "pages"], "format": "html"}


@dataclass(frozen=True, slots=True)
class Seeds:
    """Ids of what the demo follows."""

    to_chat: str
    to_hook: str


async def plant(api: Api, *, sandbox_origin: str, webhook_secret: str, now: datetime) -> Seeds:
    """Make sure that the demo's data is there."""
    await _ensure(
        api,
        "connections",
        {"platform": "facebook", "name": "Northwind on Facebook", "token": FACEBOOK_TOKEN},
    )
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
    return Seeds(to_chat=automations[0]["id"], to_hook=automations[1]["id"])


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


def _each_minute(now: datetime) -> dict[str, Any]:
    first = now + FIRST_REPORT_AFTER
    return {"type": "interval", "interval_minutes": 1, "anchor": first.isoformat(timespec="seconds")}


def _daily(hour: int) -> dict[str, Any]:
    return {"type": "daily", "hour": hour, "minute": 0, "timezone": "Europe/Berlin"}


def _mondays(hour: int) -> dict[str, Any]:
    return {"type": "weekly", "weekday": 0, "hour": hour, "minute": 0, "timezone": "Europe/Berlin"}
