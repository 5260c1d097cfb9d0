"""Failures that involve secrets: at vendors, receivers and databases, and in OAuth consents."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, urlsplit
from uuid import UUID

from common.broker import create_producer
from platforms.facebook import FACEBOOK_USER
from platforms.tiktok_business import TIKTOK_BUSINESS
from platforms.zoom import ZOOM_USER
from tests.support import secret_echoes, team_actions
from tests.support.console_browser import Person
from tests.support.secret_echoes import Trouble
from tests.support.team_client import TeamClient, settled
from tests.support.watched_services import WatchedServices

DOWNLOADS = "/zoom/rec/download/*"
TRANSCRIPTIONS = "/transcription/*"
UPLOADS = "/hooks/*/*"
STORING, POSTING = {"path": UPLOADS, "method": "PUT"}, {"path": UPLOADS, "method": "POST"}
POISONED = "automation.due.normal"
TOKEN_ENDPOINTS = {
    "facebook_user": "*/oauth/access_token",
    "tiktok_business": "*/oauth2/access_token/",
    "tiktok_organic": "/v2/oauth/token/",
    "zoom_user": "/zoom/oauth/token",
}
APP_SECRETS = {
    "facebook_user": "FACEBOOK_APP_SECRET",
    "tiktok_business": "TIKTOK_APP_SECRET",
    "tiktok_organic": "TIKTOK_CLIENT_SECRET",
    "zoom_user": "ZOOM_CLIENT_SECRET",
}


async def troubled_team(watched: WatchedServices, trouble: Trouble) -> None:
    """A team with every kind of account and destination, all of which answer with the same trouble."""
    team_client = await watched.team_client(f"Team {trouble.__name__}")
    new = watched.planted.new
    tokens = {
        "facebook": new("a troubled Facebook token", "sandbox-fb-"),
        "tiktok": new("a troubled TikTok token", "sandbox-tt-"),
        "creator_refresh": new("a troubled creator's refresh token", "rft.sandbox-"),
        "zoom": new("a troubled Zoom token", "sandbox-zoom-"),
        "zoom_refresh": new("a troubled Zoom refresh token", "sandbox-zoom-refresh-"),
    }
    bot, secret = team_actions.bot_token(watched), team_actions.signing_secret(watched)
    for platform, token in (
        ("facebook", tokens["facebook"]),
        ("tiktok_business", tokens["tiktok"]),
        ("tiktok_organic", tokens["creator_refresh"]),
        ("zoom", tokens["zoom"]),
        ("telegram", bot),
    ):
        await watched.fault(**trouble(platform, token))
    if trouble is secret_echoes.refused:
        # What is refused is renewed, which is refused as well.
        token = tokens["zoom_refresh"]
        refusal = {"code": 400, "body": secret_echoes.oauth_refusal(token)}
        await watched.fault(**trouble("zoom", token) | refusal)
    name = f"troubled-{trouble.__name__}"
    await watched.fault(**trouble("webhook", secret) | {"match": {"hook": name}})
    hook = await team_client.hook(f"{watched.vendor}/hooks/{name}", secret)
    chat = await team_client.chat(bot)
    for destination in (chat, hook):
        await team_client.post(f"/api/destinations/{destination}/test")
    accounts = await team_actions.connect_every_kind(watched, team_client, **tokens)
    automations = await team_actions.create_every_automation(team_client, chat=chat, hook=hook)
    job = await team_actions.create_recording_job(team_client, accounts.zoom, "trouble", {"type": "store"})
    await team_client.run_all([*automations, job])
    for connection in (accounts.facebook, accounts.tiktok, accounts.creator, accounts.zoom):
        await team_client.post(f"/api/connections/{connection}/check")


async def refused_server(watched: WatchedServices) -> None:
    """A server-to-server app whose credentials are refused, and repeated."""
    team_client = await watched.team_client("Refused academy")
    accounts = await team_actions.connect_every_kind(watched, team_client)
    secret = watched.planted.of("a Zoom app's secret")
    await watched.fault(
        kind="status",
        match={"path": "/zoom/oauth/token"},
        code=400,
        body=secret_echoes.oauth_refusal(secret, _basic("ServerClientId", secret), error="invalid_client"),
    )
    await team_client.post(f"/api/connections/{accounts.server}/check")
    await watched.no_faults()


async def malformed_record(watched: WatchedServices) -> None:
    """A record that no consumer can read."""
    producer = create_producer(watched.kafka, client_id="poison")
    await producer.start()
    try:
        await producer.send_and_wait(watched.kafka.kafka_topic_prefix + POISONED, b"{")
    finally:
        await producer.stop()


async def unusable_databases(watched: WatchedServices, customers: str, closed_port: int) -> None:
    """Databases that cannot be written to, each for a reason of its own."""
    new, parts = watched.planted.new, urlsplit(customers)
    user, place = parts.username, f"{parts.hostname}:{parts.port}"
    addresses = [
        f"postgresql://ada:{new('a password')}@127.0.0.1:{closed_port}/ads",
        f"postgresql://{user}:{new('a wrong password')}@{place}{parts.path}",
        f"postgresql://{new('an unknown user')}:{new('a password')}@{place}{parts.path}",
        f"{customers}?options={quote('-c DateStyle=' + new('an option'))}",
        f"{customers}?passfile={new('a parameter')}",
        f"{customers}?sslmode={new('a mode')}",
        f"postgresql://ada:{new('a password')}/{new('the rest of it')}@{place}/ads",
        f"postgresql://ada:{new('a password')}@nobody.invalid/ads",
    ]
    for number, address in enumerate(addresses):
        team_client = await watched.team_client(f"Ada {number}")
        await team_client.connect("facebook", token=new("a Facebook token", "sandbox-fb-"))
        chat = await team_client.chat(team_actions.bot_token(watched))
        store = {"platform": "postgresql", "name": "Store", "token": address}
        answer = await team_client.api.post("/api/connections", json=store)
        if answer.is_success:
            await team_client.run(
                await team_actions.create_database_sync(team_client, answer.json()["id"], chat)
            )


async def failing_recordings(watched: WatchedServices) -> None:
    """Recordings that meet the same troubles on their way: at the download, the transcript and the upload."""
    team_client = await watched.team_client("Unlucky academy")
    accounts = await team_actions.connect_every_kind(
        watched, team_client, zoom=watched.planted.new("a downloading token", "sandbox-zoom-")
    )
    secret = team_actions.signing_secret(watched)
    hook = await team_client.hook(f"{watched.vendor}/hooks/unlucky/files", secret)
    targets = (
        {"type": "s3", "connection_id": accounts.bucket},
        {"type": "webhook", "destination_id": hook},
    )
    job = await team_actions.create_recording_job(team_client, accounts.zoom, "luck", *targets)
    webhook_secret = watched.planted.of("a Zoom webhook secret")
    told = {"topic": "Luck told of", "files": [{"file_type": "M4A"}]}
    ways = (
        ({"path": DOWNLOADS}, "zoom", watched.planted.of("a downloading token")),
        ({"path": TRANSCRIPTIONS}, "transcription", watched.planted.of("TRANSCRIPTION_API_KEY")),
        (STORING, "webhook", watched.planted.of("a bucket's key")),
        (POSTING, "webhook", secret),
    )
    for number, (match, platform, token) in enumerate(ways):
        for trouble in secret_echoes.TROUBLES:
            await watched.fault(**trouble(platform, token) | {"match": match, "times": 1})
            await team_actions.add_recording(watched, f"Luck {number} {trouble.__name__}")
        await team_actions.send_zoom_event(watched, accounts.zoom, webhook_secret, recording=told)
        await team_client.run(job)
        await settled(watched.world.sql)
    await watched.no_faults()


async def refused_consents(watched: WatchedServices) -> None:
    """Consents that come to nothing: codes that are refused, answers that are somebody else's or none."""
    team_client, other = await watched.team_client("Consenting"), await watched.team_client("Somebody else")
    person, stranger = await watched.visitor(), await watched.visitor()
    await person.sign_in(team_client.team)
    await stranger.sign_in(other.team)
    for kind, path in TOKEN_ENDPOINTS.items():
        address = await team_actions.begin_consent(watched, team_client, kind)
        back = await team_actions.accept_consent(watched, address, kind)
        app = await _own_secrets(watched, kind)
        body = {"error": {"message": secret_echoes.echo(*app), "type": "OAuthException", "code": 100}}
        refusal = json.dumps(body) if kind == "facebook_user" else secret_echoes.oauth_refusal(*app)
        await watched.fault(kind="status", match={"path": path}, code=400, body=refusal)
        await person.open(back)
        await person.open(back)
        await watched.no_faults()
        await stranger.open(
            await team_actions.accept_consent(
                watched, await team_actions.begin_consent(watched, team_client, kind), kind
            )
        )
        denied = await team_actions.begin_consent(watched, team_client, kind)
        await person.open(
            f"/oauth/callback?state={denied.params['state']}&error=access_denied"
            f"&error_description={watched.planted.new('the words of an error')}"
        )
    await person.open(
        f"/oauth/callback?code={watched.planted.new('a code')}&state={watched.planted.new('a state')}"
    )
    for kind in ("tiktok_business", "zoom_user"):
        await _disconnect(watched, team_client, person, kind)


async def _disconnect(watched: WatchedServices, team_client: TeamClient, person: Person, kind: str) -> None:
    """Forget an account whose grant cannot be given back."""
    page = await team_actions.complete_consent(watched, team_client, person, kind)
    assert page.status == 200
    connection = UUID(person.path.rpartition("/")[2])
    await watched.fault(
        kind="status",
        match={"path": "*/revoke*"},
        code=400,
        body=secret_echoes.oauth_refusal(watched.planted.of(APP_SECRETS[kind])),
    )
    assert (await team_client.api.delete(f"/api/connections/{connection}")).status_code == 204
    await watched.no_faults()


async def malformed_rows(watched: WatchedServices) -> None:
    """Stored secrets that the API would refuse today, as an earlier version may have stored them."""
    team_client = await watched.team_client("Spoilt")
    new, world = watched.planted.new, watched.world
    for kind in (FACEBOOK_USER, TIKTOK_BUSINESS, ZOOM_USER):
        for gap in ("\n", "\u2028"):
            token = f"{new('half of a token')}{gap}{new('the other half')}"
            await world.connection(team_client.team, kind, token, name=repr(gap))
    bad_chat = await world.telegram(team_client.team, token=new("no bot's token", "bot token "))
    bad_hook = await world.webhook(
        team_client.team, f"{watched.vendor}/hooks/spoilt", new("no signing secret")
    )
    for destination in (bad_chat, bad_hook):
        await team_client.post(f"/api/destinations/{destination}/test")
    automations = await team_actions.create_every_automation(
        team_client, chat=str(bad_chat), hook=str(bad_hook)
    )
    zoom = await watched.world.sql.fetchval(
        "SELECT id FROM connection WHERE platform = 'zoom' AND tenant_id = $1", team_client.team.tenant_id
    )
    job = await team_actions.create_recording_job(team_client, str(zoom), "spoilt", {"type": "store"})
    await team_client.run_all([*automations, job])


async def _own_secrets(watched: WatchedServices, kind: str) -> list[str]:
    """What is sent with a code: the code, the app's secret, and the verifier, if there is one."""
    rows = await watched.world.sql.fetch("SELECT id FROM oauth_attempt ORDER BY created_at DESC LIMIT 1")
    verifiers = watched.planted.named(f"oauth_attempt.verifier_sealed of {rows[0]['id']}")
    names = (f"a code for {kind}", APP_SECRETS[kind], *verifiers)
    return [watched.planted.of(name) for name in names]


def _basic(name: str, secret: str) -> str:
    return base64.b64encode(f"{name}:{secret}".encode()).decode()
