"""Tokens stay valid: the leader sends reminders, an executor refreshes or checks, with all services as
processes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx

from carillon.services import vendors_at
from common.ids import new_id
from common.secrets.crypto import KeyRing
from platforms.facebook import FACEBOOK_USER
from platforms.oauth.base import Stored, TokenSet
from platforms.zoom import ZOOM_USER
from platforms.zoom.oauth import ZoomUser
from platforms.zoom.settings import ZoomSettings
from tests.factories import World
from tests.support.polling import eventually
from tests.support.stack import Service, Stack

BACK = "https://carillon.example/connections/callback"


async def consent(zoom: ZoomUser, http: httpx.AsyncClient) -> TokenSet:
    """What a person's agreement on Zoom's page is worth."""
    page = zoom.authorize_url(state="s", redirect_uri=BACK, challenge=None)
    answer = await http.get(f"{page}&sandbox_decision=allow")
    [code] = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
    return await zoom.exchange(code, redirect_uri=BACK, verifier=None, now=datetime.now(UTC))


async def test_due_tokens_are_refreshed_or_checked_without_a_run(
    stack: Stack, database_url: str, encryption_keys: str, sandbox_server: Service
) -> None:
    vendors = {name.lower(): value for name, value in vendors_at(sandbox_server.port).items()}
    vendors["zoom_dialog_url"] = vendors["zoom_oauth_url"]
    app = {"ZOOM_CLIENT_ID": f"app-{new_id().hex}", "ZOOM_CLIENT_SECRET": "a-secret-of-the-app"}
    settings = ZoomSettings.model_validate(
        {**vendors, **{name.lower(): value for name, value in app.items()}}
    )
    world = await World.open(database_url, encryption_keys)
    ring = KeyRing.parse(encryption_keys)
    try:
        team = await world.team()
        now = datetime.now(UTC)
        due = {"refresh_at": now - timedelta(seconds=1)}
        async with httpx.AsyncClient() as http:
            zoom = ZoomUser(http, settings)
            pair = await consent(zoom, http)
            rotating = await world.connection(
                team,
                ZOOM_USER,
                pair.access_token,
                refresh_token=pair.refresh_token,
                expires_at=now + timedelta(minutes=4),
                refreshed_at=now - timedelta(minutes=56),
                **due,
            )
            facebook = await world.connection(team, FACEBOOK_USER, f"sandbox-fb-{new_id().hex}", **due)
            await stack.start("scheduler", "executor", "executor", **app)

            async def version(connection_id: UUID) -> int:
                found: int = (await world.row("connection", connection_id))["token_version"]
                return found

            async def both() -> bool:
                seen = (await world.row("connection", facebook))["checked_at"]
                return await version(rotating) == 2 and seen is not None

            await eventually(both, within=20)
            row = await world.row("connection", rotating)
            access, refresh = (
                ring.open(row[f"{name}_sealed"], tenant_id=team.tenant_id, row_id=rotating, column=name)
                for name in ("token", "refresh_token")
            )
            assert {access, refresh}.isdisjoint({pair.access_token, pair.refresh_token})
            assert (await zoom.discover(Stored(access, refresh), now=now)).external_id, "the pair lives"
        looked = await world.row("connection", facebook)
        assert looked["token_version"] == 1
        assert {account["type"] for account in looked["accounts"]} == {"ad_account", "page"}
        assert looked["refresh_at"] > now + timedelta(hours=20)
        renewals = await world.sql.fetch("SELECT outcome FROM token_refresh")
        assert [row["outcome"] for row in renewals] == ["refreshed"]
        assert not [secret for secret in (access, refresh, *app.values()) if secret in stack.logs()]
    finally:
        await world.sql.close()
