"""What teams do with their secrets when all goes well."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.support.desks import Desk
from tests.support.pages import Page, Person
from tests.support.stage import Stage

CONSENTS = ("facebook_user", "tiktok_business", "tiktok_organic", "zoom_user")
"""Kinds of account that are connected by their platform's dialog."""
REPORT = {"period": "daily", "attachments": ["csv"]}
ALERT = {"thresholds": {"max_daily_spend": 1}}
"""Every account spends more than that."""
JOBS = "/api/v1/automation/jobs"
TABLE = "ads.days"
_LONG_AGO = "2026-01-01T00:00:00Z"


def signing_secret(stage: Stage) -> str:
    """A webhook's, with every kind of character that base64 has."""
    key = base64.b64encode(b"\xfb\xef\xbe\xff" + os.urandom(28)).decode()
    return stage.canaries.plant("a signing secret", f"whsec_{key}", public="whsec_")


def bot_token(stage: Stage) -> str:
    """A bot's, whose number is no secret."""
    return stage.canaries.new("a bot's token", "110201543:", length=35)


@dataclass(frozen=True)
class Accounts:
    """Ids of connections, one of each kind."""

    facebook: str
    tiktok: str
    creator: str
    zoom: str
    server: str
    bucket: str


async def paste_everything(stage: Stage, desk: Desk, **tokens: str) -> Accounts:
    """Connect one account of every kind by pasting. `tokens` replace those that work."""
    new = stage.canaries.new
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
        facebook=await desk.connect("facebook", token=working["facebook"]),
        tiktok=await desk.connect("tiktok", token=working["tiktok"]),
        creator=await desk.connect(
            "tiktok",
            kind="tiktok_organic",
            token=working["creator"],
            refresh_token=working["creator_refresh"],
            expires_at=_LONG_AGO,
        ),
        zoom=await desk.connect(
            "zoom",
            token=working["zoom"],
            refresh_token=working["zoom_refresh"],
            webhook_secret=new("a Zoom webhook secret"),
        ),
        server=await desk.connect("zoom", kind="zoom_server", credentials=server),
        bucket=await desk.connect(
            "s3", credentials=key, settings={"bucket": "hooks", "endpoint": stage.vendor}
        ),
    )


async def set_out(stage: Stage, desk: Desk, kind: str, **wanted: str) -> httpx.URL:
    """Begin to connect an account by its platform's dialog; the dialog's address."""
    begun = await desk.post("/api/connections/authorize", {"kind": kind, **wanted})
    address = httpx.URL(begun["authorize_url"])
    stage.canaries.plant("state", address.params["state"])
    await stage.adopt()
    return address


async def agree(stage: Stage, address: httpx.URL, kind: str) -> str:
    """Agree in the dialog; where the person is sent back to."""
    decided = await stage.sandbox.get(address.copy_merge_params({"sandbox_decision": "allow"}))
    back = urlsplit(decided.headers["location"])
    for name, values in parse_qs(back.query).items():
        if name in ("code", "auth_code"):
            stage.canaries.plant(f"a code for {kind}", values[0])
    return f"{back.path}?{back.query}"


async def consent(stage: Stage, desk: Desk, person: Person, kind: str) -> Page:
    """All of it; the page the person ends up on."""
    page = await person.open(await agree(stage, await set_out(stage, desk, kind), kind))
    await stage.adopt()
    return page


async def automate_everything(desk: Desk, *, chat: str, hook: str, database: str | None = None) -> list[str]:
    """An automation of every type that reads accounts."""
    by_webhook = {"sync_type": "webhook", "destination_id": hook}
    made = [
        await desk.automate("scheduled_report", REPORT, chat, "facebook"),
        await desk.automate("scheduled_report", REPORT, hook, "tiktok"),
        await desk.automate("alert", ALERT, hook, "facebook", "tiktok"),
        await desk.automate("data_sync", by_webhook, chat, "facebook", "tiktok"),
    ]
    if database is not None:
        made.append(await sync_to(desk, database, chat))
    return made


async def sync_to(desk: Desk, database: str, destination: str) -> str:
    """An automation that writes to a customer's database."""
    table = {
        "sync_type": "database",
        "connection_id": database,
        "table": TABLE,
        "create_schema": True,
    }
    return await desk.automate("data_sync", table, destination, "facebook", "tiktok")


async def record(stage: Stage, topic: str, **more: Any) -> None:
    """A meeting of the demo person's, recorded without a transcript of Zoom's own."""
    files = [{"file_type": "MP4"}, {"file_type": "M4A"}]
    answer = await stage.sandbox.post(
        "/_sandbox/zoom/recordings", json={"topic": topic, "files": files, **more}
    )
    assert answer.is_success, answer.text


async def take_recordings(desk: Desk, connection_id: str, keyword: str, *targets: dict[str, str]) -> str:
    """A source, a template and a job for what has the keyword in its topic; the job's id."""
    source = {"connection_id": connection_id, "name": f"Whoever says {keyword}"}
    await desk.post("/api/recording-sources", source)
    template = await desk.post(
        "/api/recording-templates",
        {
            "name": f"About {keyword}",
            "matching_rules": {"keywords": [keyword]},
            "processing": {"upload": list(targets)},
        },
    )
    job = await desk.post(
        JOBS,
        {
            "name": f"All about {keyword}",
            "template_ids": [template["number"]],
            "schedule": {"type": "cron", "expression": "0 0 1 1 *", "timezone": "UTC"},
        },
    )
    return str(job["id"])


async def announce(
    stage: Stage, connection_id: str, secret: str, *, event: str = "recording.completed", **more: Any
) -> int:
    """Have Zoom send an event; the status it was answered with."""
    answer = await stage.sandbox.post(
        "/_sandbox/zoom/webhooks",
        json={
            "url": f"{stage.origin}/hooks/zoom/{connection_id}",
            "secret": secret,
            "event": event,
            **more,
        },
    )
    assert answer.is_success, answer.text
    told = answer.json()
    if (token := _download_token(told["request"]["body"])) is not None:
        stage.canaries.plant("a download token", token, public=token[: token.index(".") + 1])
    return int(told["answer"]["status"])


def _download_token(body: str) -> str | None:
    token: str | None = httpx.Response(200, text=body).json().get("download_token")
    return token
