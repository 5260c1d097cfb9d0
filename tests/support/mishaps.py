"""What goes wrong with secrets: at the vendors, at receivers, in databases, and on the way from dialogs."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, urlsplit
from uuid import UUID

from common.broker import create_producer
from common.models import ConnectionKind
from tests.support import echoes, scenes
from tests.support.desks import Desk, settled
from tests.support.echoes import Trouble
from tests.support.pages import Person
from tests.support.stage import Stage

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


async def troubled_team(stage: Stage, trouble: Trouble) -> None:
    """A team with every kind of account and destination, all of which answer with the same trouble."""
    desk = await stage.desk(f"Team {trouble.__name__}")
    new = stage.canaries.new
    tokens = {
        "facebook": new("a troubled Facebook token", "sandbox-fb-"),
        "tiktok": new("a troubled TikTok token", "sandbox-tt-"),
        "creator_refresh": new("a troubled creator's refresh token", "rft.sandbox-"),
        "zoom": new("a troubled Zoom token", "sandbox-zoom-"),
        "zoom_refresh": new("a troubled Zoom refresh token", "sandbox-zoom-refresh-"),
    }
    bot, secret = scenes.bot_token(stage), scenes.signing_secret(stage)
    for platform, token in (
        ("facebook", tokens["facebook"]),
        ("tiktok_business", tokens["tiktok"]),
        ("tiktok_organic", tokens["creator_refresh"]),
        ("zoom", tokens["zoom"]),
        ("telegram", bot),
    ):
        await stage.fault(**trouble(platform, token))
    if trouble is echoes.refused:
        # What is refused is renewed, which is refused as well.
        token = tokens["zoom_refresh"]
        refusal = {"code": 400, "body": echoes.oauth_refusal(token)}
        await stage.fault(**trouble("zoom", token) | refusal)
    name = f"troubled-{trouble.__name__}"
    await stage.fault(**trouble("webhook", secret) | {"match": {"hook": name}})
    hook = await desk.hook(f"{stage.vendor}/hooks/{name}", secret)
    chat = await desk.chat(bot)
    for destination in (chat, hook):
        await desk.post(f"/api/destinations/{destination}/test")
    accounts = await scenes.paste_everything(stage, desk, **tokens)
    automations = await scenes.automate_everything(desk, chat=chat, hook=hook)
    job = await scenes.take_recordings(desk, accounts.zoom, "trouble", {"type": "store"})
    await desk.run_all([*automations, job])
    for connection in (accounts.facebook, accounts.tiktok, accounts.creator, accounts.zoom):
        await desk.post(f"/api/connections/{connection}/check")


async def refused_server(stage: Stage) -> None:
    """A server-to-server app whose credentials are refused, and repeated."""
    desk = await stage.desk("Refused academy")
    accounts = await scenes.paste_everything(stage, desk)
    secret = stage.canaries.of("a Zoom app's secret")
    await stage.fault(
        kind="status",
        match={"path": "/zoom/oauth/token"},
        code=400,
        body=echoes.oauth_refusal(secret, _basic("ServerClientId", secret), error="invalid_client"),
    )
    await desk.post(f"/api/connections/{accounts.server}/check")
    await stage.no_faults()


async def poison(stage: Stage) -> None:
    """A record that no consumer can read."""
    producer = create_producer(stage.kafka, client_id="poison")
    await producer.start()
    try:
        await producer.send_and_wait(stage.kafka.kafka_topic_prefix + POISONED, b"{")
    finally:
        await producer.stop()


async def unusable_databases(stage: Stage, customers: str, closed_port: int) -> None:
    """Databases that cannot be written to, each for a reason of its own."""
    new, parts = stage.canaries.new, urlsplit(customers)
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
        desk = await stage.desk(f"Ada {number}")
        await desk.connect("facebook", token=new("a Facebook token", "sandbox-fb-"))
        chat = await desk.chat(scenes.bot_token(stage))
        store = {"platform": "postgresql", "name": "Store", "token": address}
        answer = await desk.api.post("/api/connections", json=store)
        if answer.is_success:
            await desk.run(await scenes.sync_to(desk, answer.json()["id"], chat))


async def unlucky_recordings(stage: Stage) -> None:
    """Recordings that meet the same troubles on their way: at the download, the transcript and the upload."""
    desk = await stage.desk("Unlucky academy")
    accounts = await scenes.paste_everything(
        stage, desk, zoom=stage.canaries.new("a downloading token", "sandbox-zoom-")
    )
    secret = scenes.signing_secret(stage)
    hook = await desk.hook(f"{stage.vendor}/hooks/unlucky/files", secret)
    targets = (
        {"type": "s3", "connection_id": accounts.bucket},
        {"type": "webhook", "destination_id": hook},
    )
    job = await scenes.take_recordings(desk, accounts.zoom, "luck", *targets)
    webhook_secret = stage.canaries.of("a Zoom webhook secret")
    told = {"topic": "Luck told of", "files": [{"file_type": "M4A"}]}
    ways = (
        ({"path": DOWNLOADS}, "zoom", stage.canaries.of("a downloading token")),
        ({"path": TRANSCRIPTIONS}, "transcription", stage.canaries.of("TRANSCRIPTION_API_KEY")),
        (STORING, "webhook", stage.canaries.of("a bucket's key")),
        (POSTING, "webhook", secret),
    )
    for number, (match, platform, token) in enumerate(ways):
        for trouble in echoes.TROUBLES:
            await stage.fault(**trouble(platform, token) | {"match": match, "times": 1})
            await scenes.record(stage, f"Luck {number} {trouble.__name__}")
        await scenes.announce(stage, accounts.zoom, webhook_secret, recording=told)
        await desk.run(job)
        await settled(stage.world.sql)
    await stage.no_faults()


async def refused_consents(stage: Stage) -> None:
    """Consents that come to nothing: codes that are refused, answers that are somebody else's or none."""
    desk, other = await stage.desk("Consenting"), await stage.desk("Somebody else")
    person, stranger = await stage.visitor(), await stage.visitor()
    await person.sign_in(desk.team)
    await stranger.sign_in(other.team)
    for kind, path in TOKEN_ENDPOINTS.items():
        address = await scenes.set_out(stage, desk, kind)
        back = await scenes.agree(stage, address, kind)
        app = await _own_secrets(stage, kind)
        body = {"error": {"message": echoes.echo(*app), "type": "OAuthException", "code": 100}}
        refusal = json.dumps(body) if kind == "facebook_user" else echoes.oauth_refusal(*app)
        await stage.fault(kind="status", match={"path": path}, code=400, body=refusal)
        await person.open(back)
        await person.open(back)
        await stage.no_faults()
        await stranger.open(await scenes.agree(stage, await scenes.set_out(stage, desk, kind), kind))
        denied = await scenes.set_out(stage, desk, kind)
        await person.open(
            f"/oauth/callback?state={denied.params['state']}&error=access_denied"
            f"&error_description={stage.canaries.new('the words of an error')}"
        )
    await person.open(
        f"/oauth/callback?code={stage.canaries.new('a code')}&state={stage.canaries.new('a state')}"
    )
    for kind in ("tiktok_business", "zoom_user"):
        await _disconnect(stage, desk, person, kind)


async def _disconnect(stage: Stage, desk: Desk, person: Person, kind: str) -> None:
    """Forget an account whose grant cannot be given back."""
    page = await scenes.consent(stage, desk, person, kind)
    assert page.status == 200
    connection = UUID(person.path.rpartition("/")[2])
    await stage.fault(
        kind="status",
        match={"path": "*/revoke*"},
        code=400,
        body=echoes.oauth_refusal(stage.canaries.of(APP_SECRETS[kind])),
    )
    assert (await desk.api.delete(f"/api/connections/{connection}")).status_code == 204
    await stage.no_faults()


async def spoilt_rows(stage: Stage) -> None:
    """Secrets no request would get past the API, as an earlier version may have stored them."""
    desk = await stage.desk("Spoilt")
    new, world = stage.canaries.new, stage.world
    for kind in (ConnectionKind.FACEBOOK_USER, ConnectionKind.TIKTOK_BUSINESS, ConnectionKind.ZOOM_USER):
        for gap in ("\n", "\u2028"):
            token = f"{new('half of a token')}{gap}{new('the other half')}"
            await world.connection(desk.team, kind, token, name=repr(gap))
    bad_chat = await world.telegram(desk.team, token=new("no bot's token", "bot token "))
    bad_hook = await world.webhook(desk.team, f"{stage.vendor}/hooks/spoilt", new("no signing secret"))
    for destination in (bad_chat, bad_hook):
        await desk.post(f"/api/destinations/{destination}/test")
    automations = await scenes.automate_everything(desk, chat=str(bad_chat), hook=str(bad_hook))
    zoom = await stage.world.sql.fetchval(
        "SELECT id FROM connection WHERE platform = 'zoom' AND tenant_id = $1", desk.team.tenant_id
    )
    job = await scenes.take_recordings(desk, str(zoom), "spoilt", {"type": "store"})
    await desk.run_all([*automations, job])


async def _own_secrets(stage: Stage, kind: str) -> list[str]:
    """What is sent with a code: the code, the app's secret, and the verifier, if there is one."""
    rows = await stage.world.sql.fetch("SELECT id FROM oauth_attempt ORDER BY created_at DESC LIMIT 1")
    verifiers = stage.canaries.named(f"oauth_attempt.verifier_sealed of {rows[0]['id']}")
    names = (f"a code for {kind}", APP_SECRETS[kind], *verifiers)
    return [stage.canaries.of(name) for name in names]


def _basic(name: str, secret: str) -> str:
    return base64.b64encode(f"{name}:{secret}".encode()).decode()
