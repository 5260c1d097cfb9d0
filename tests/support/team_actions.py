"""What a team does with its secrets when nothing fails: connects accounts, creates automations and jobs."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.support.console_browser import Page, Person
from tests.support.team_client import TeamClient
from tests.support.watched_services import WatchedServices

CONSENTS = ("facebook_user", "tiktok_business", "tiktok_organic", "zoom_user")
"""Kinds of account that are connected by their platform's dialog."""
REPORT = {"period": "daily", "attachments": ["csv"]}
ALERT = {"thresholds": {"max_daily_spend": 1}}
"""Every account spends more than that."""
JOBS = "/api/v1/automation/jobs"
TABLE = "ads.days"
_LONG_AGO = "2026-01-01T00:00:00Z"


def signing_secret(watched: WatchedServices) -> str:
    """A webhook's, with every kind of character that base64 has."""
    key = base64.b64encode(b"\xfb\xef\xbe\xff" + os.urandom(28)).decode()
    return watched.planted.plant("a signing secret", f"whsec_{key}", public="whsec_")


def bot_token(watched: WatchedServices) -> str:
    """A bot's, whose number is no secret."""
    return watched.planted.new("a bot's token", "110201543:", length=35)


@dataclass(frozen=True)
class Accounts:
    """Ids of connections, one of each kind."""

    facebook: str
    tiktok: str
    creator: str
    zoom: str
    server: str
    bucket: str


async def connect_every_kind(watched: WatchedServices, team_client: TeamClient, **tokens: str) -> Accounts:
    """Connect one account of every kind by pasting. `tokens` replace those that work."""
    new = watched.planted.new
    working = {
        "facebook": new("a Facebook token", "sandbox-fb-"),
        "tiktok": new("a TikTok token", "sandbox-tt-"),
        "creator": new("a creator's token", "act.expired-"),
        "creator_refresh": new("a creator's refresh token", "rft.sandbox-brightpath-"),
        "zoom": new("a Zoom token", "expired-"),
        "zoom_refresh": new("a Zoom refresh token", "sandbox-zoom-refresh-"),
        "server": new("a Zoom app's secret"),
        "bucket": new("a bucket's key"),
        **tokens,
    }
    server = {
        "account_id": "wTJw8LgeT8GlOSjLjOU9Hw",
        "client_id": "ServerClientId",
        "client_secret": working["server"],
    }
    key = {"access_key_id": "AKIACUSTOMER", "secret_access_key": working["bucket"]}
    return Accounts(
        facebook=await team_client.connect("facebook", token=working["facebook"]),
        tiktok=await team_client.connect("tiktok", token=working["tiktok"]),
        creator=await team_client.connect(
            "tiktok",
            kind="tiktok_organic",
            token=working["creator"],
            refresh_token=working["creator_refresh"],
            expires_at=_LONG_AGO,
        ),
        zoom=await team_client.connect(
            "zoom",
            token=working["zoom"],
            refresh_token=working["zoom_refresh"],
            webhook_secret=new("a Zoom webhook secret"),
        ),
        server=await team_client.connect("zoom", kind="zoom_server", credentials=server),
        bucket=await team_client.connect(
            "s3", credentials=key, settings={"bucket": "hooks", "endpoint": watched.vendor}
        ),
    )


async def begin_consent(
    watched: WatchedServices, team_client: TeamClient, kind: str, **wanted: str
) -> httpx.URL:
    """Begin an OAuth consent; returns the address of the platform's dialog."""
    begun = await team_client.post("/api/connections/authorize", {"kind": kind, **wanted})
    address = httpx.URL(begun["authorize_url"])
    watched.planted.plant("state", address.params["state"])
    await watched.adopt()
    return address


async def accept_consent(watched: WatchedServices, address: httpx.URL, kind: str) -> str:
    """Accept the consent in the dialog; returns the callback's path and query."""
    decided = await watched.sandbox.get(address.copy_merge_params({"sandbox_decision": "allow"}))
    back = urlsplit(decided.headers["location"])
    for name, values in parse_qs(back.query).items():
        if name in ("code", "auth_code"):
            watched.planted.plant(f"a code for {kind}", values[0])
    return f"{back.path}?{back.query}"


async def complete_consent(
    watched: WatchedServices, team_client: TeamClient, person: Person, kind: str
) -> Page:
    """Complete an OAuth consent; returns the console page at its end."""
    page = await person.open(
        await accept_consent(watched, await begin_consent(watched, team_client, kind), kind)
    )
    await watched.adopt()
    return page


async def create_every_automation(
    team_client: TeamClient, *, chat: str, hook: str, database: str | None = None
) -> list[str]:
    """An automation of every type that reads accounts."""
    by_webhook = {"sync_type": "webhook", "destination_id": hook}
    made = [
        await team_client.automate("scheduled_report", REPORT, chat, "facebook"),
        await team_client.automate("scheduled_report", REPORT, hook, "tiktok"),
        await team_client.automate("alert", ALERT, hook, "facebook", "tiktok"),
        await team_client.automate("data_sync", by_webhook, chat, "facebook", "tiktok"),
    ]
    if database is not None:
        made.append(await create_database_sync(team_client, database, chat))
    return made


async def create_database_sync(team_client: TeamClient, database: str, destination: str) -> str:
    """An automation that writes to a customer's database."""
    table = {
        "sync_type": "database",
        "connection_id": database,
        "table": TABLE,
        "create_schema": True,
    }
    return await team_client.automate("data_sync", table, destination, "facebook", "tiktok")


async def add_recording(watched: WatchedServices, topic: str, **more: Any) -> None:
    """A meeting of the demo person's, recorded without a transcript of Zoom's own."""
    files = [{"file_type": "MP4"}, {"file_type": "M4A"}]
    answer = await watched.sandbox.post(
        "/_sandbox/zoom/recordings", json={"topic": topic, "files": files, **more}
    )
    assert answer.is_success, answer.text


async def create_recording_job(
    team_client: TeamClient, connection_id: str, keyword: str, *targets: dict[str, str]
) -> str:
    """A source, a template and a job for what has the keyword in its topic; the job's id."""
    source = {"connection_id": connection_id, "name": f"Whoever says {keyword}"}
    await team_client.post("/api/recording-sources", source)
    template = await team_client.post(
        "/api/recording-templates",
        {
            "name": f"About {keyword}",
            "matching_rules": {"keywords": [keyword]},
            "processing": {"upload": list(targets)},
        },
    )
    job = await team_client.post(
        JOBS,
        {
            "name": f"All about {keyword}",
            "template_ids": [template["number"]],
            "schedule": {"type": "cron", "expression": "0 0 1 1 *", "timezone": "UTC"},
        },
    )
    return str(job["id"])


async def send_zoom_event(
    watched: WatchedServices,
    connection_id: str,
    secret: str,
    *,
    event: str = "recording.completed",
    **more: Any,
) -> int:
    """Have Zoom send an event; the status it was answered with."""
    answer = await watched.sandbox.post(
        "/_sandbox/zoom/webhooks",
        json={
            "url": f"{watched.origin}/hooks/zoom/{connection_id}",
            "secret": secret,
            "event": event,
            **more,
        },
    )
    assert answer.is_success, answer.text
    told = answer.json()
    if (token := _download_token(told["request"]["body"])) is not None:
        watched.planted.plant("a download token", token, public=token[: token.index(".") + 1])
    return int(told["answer"]["status"])


def _download_token(body: str) -> str | None:
    token: str | None = httpx.Response(200, text=body).json().get("download_token")
    return token
