import base64
import hashlib
from dataclasses import replace

from sandbox.settings import Settings
from tests.unit.sandbox.conftest import SandboxApp, sandbox_app
from tests.unit.sandbox.zoom_calls import (
    ACCOUNT_ID,
    DIALOG,
    RETURN_TO,
    api,
    basic,
    control,
    decide,
    ok,
    redeem,
    refresh,
    refused,
    signed_in,
    token,
)

VERIFIER = "a-verifier-that-is-at-least-forty-three-characters-long"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
DEAD = {"reason": "Invalid Token!", "error": "invalid_grant"}
NO_CODE = {"reason": "Invalid authorization code", "error": "invalid_grant"}


async def test_a_refresh_may_also_end_the_access_token_of_before(app: SandboxApp) -> None:
    await control(app, "PUT", "", {"refresh_ends_access": True})
    first = await signed_in(app)
    assert (await api(app, "users/me", first["access_token"])).status_code == 200
    second = (await refresh(app, first["refresh_token"])).json()
    assert await refused(app, "users/me", first["access_token"]) == (401, 124)
    assert (await api(app, "users/me", second["access_token"])).status_code == 200


async def test_a_code_nobody_exchanged_ends_no_pair(app: SandboxApp) -> None:
    pair = await signed_in(app)
    await decide(app, "allow")
    assert (await api(app, "users/me", pair["access_token"])).status_code == 200


async def test_a_refresh_token_is_for_its_own_app_and_is_no_access_token(app: SandboxApp) -> None:
    pair = await signed_in(app)
    assert (await refresh(app, pair["refresh_token"], "another")).json() == DEAD
    assert (await refresh(app, pair["access_token"])).json() == DEAD
    assert await refused(app, "users/me", pair["refresh_token"]) == (401, 124)
    assert (await refresh(app, "revoked-1")).json() == DEAD
    assert (await refresh(app, pair["refresh_token"])).status_code == 200


async def test_a_whole_account_has_many_live_tokens_and_no_refresh_token(app: SandboxApp) -> None:
    form = {"grant_type": "account_credentials", "account_id": ACCOUNT_ID}
    answers = [(await token(app, **form)).json() for _ in range(3)]
    assert len({answer["access_token"] for answer in answers}) == 3
    for answer in answers:
        assert "refresh_token" not in answer
        assert answer["expires_in"] == 3599
        assert "cloud_recording:read:list_user_recordings:admin" in answer["scope"].split(" ")
        assert (await ok(app, "users", answer["access_token"]))["total_records"] == 5
    app.clock.advance(3600)
    assert await refused(app, "users", answers[0]["access_token"]) == (401, 124)


async def test_with_apps_configured_only_those_get_tokens() -> None:
    configured = replace(
        Settings(),
        zoom_client_id="app",
        zoom_client_secret="hush",
        zoom_s2s_client_id="server",
        zoom_s2s_client_secret="quiet",
    )
    app = sandbox_app(configured)
    async with app.http:
        pair = await signed_in(app)
        assert (await refresh(app, pair["refresh_token"], "other")).json()["error"] == "invalid_client"
        form = {"grant_type": "account_credentials", "account_id": ACCOUNT_ID}
        assert (await token(app, "app", "hush", **form)).json()["error"] == "invalid_client"
        of_account = (await token(app, "server", "quiet", **form)).json()["access_token"]
        wrong = await app.http.post("/zoom/oauth/revoke", data={"token": of_account}, headers=basic())
        assert wrong.json()["error"] == "invalid_client"
        answer = await app.http.get("/zoom/oauth/authorize", params={**DIALOG, "client_id": "other"})
        assert answer.status_code == 400


async def test_revoking_a_token_of_the_account_leaves_the_others(app: SandboxApp) -> None:
    form = {"grant_type": "account_credentials", "account_id": ACCOUNT_ID}
    first, second = [(await token(app, **form)).json()["access_token"] for _ in range(2)]
    await app.http.post("/zoom/oauth/revoke", data={"token": first}, headers=basic())
    assert await refused(app, "users", first) == (401, 124)
    assert (await api(app, "users", second)).status_code == 200


async def test_a_forged_token_is_refused(app: SandboxApp) -> None:
    form = {"grant_type": "account_credentials", "account_id": ACCOUNT_ID}
    genuine = (await token(app, **form)).json()["access_token"]
    head, claims, signature = genuine.split(".")
    forged = base64.urlsafe_b64encode(base64.urlsafe_b64decode(claims + "==").replace(b'"exp":1', b'"exp":9'))
    assert await refused(app, "users", f"{head}.{forged.decode()}.{signature}") == (401, 124)


async def test_refreshes_can_be_counted(app: SandboxApp) -> None:
    await signed_in(app)
    await refresh(app, "sandbox-zoom-refresh-a")
    await refresh(app, "sandbox-zoom-refresh-a")
    told = (await app.http.get("/_sandbox/zoom")).json()
    assert told["token_requests"] == {"authorization_code": 1, "refresh_token": 2}
    stats = (await app.http.get("/_sandbox/stats")).json()["platforms"]["zoom"]
    assert stats["/zoom/oauth/token"] == {"200": 2, "400": 1}
    assert RETURN_TO in (await app.http.get("/_sandbox/received")).text


async def test_secrets_are_not_on_record(app: SandboxApp) -> None:
    pair = await signed_in(app, **PKCE)
    (code,) = (await decide(app, "allow", **PKCE))["code"]
    pair = (await redeem(app, code, code_verifier=VERIFIER)).json()
    await refresh(app, pair["refresh_token"])
    await app.http.post("/zoom/oauth/revoke", data={"token": pair["access_token"]}, headers=basic())
    text = (await app.http.get("/_sandbox/received")).text
    text += (await app.http.get("/_sandbox/grants")).text
    for secret in (code, VERIFIER, pair["refresh_token"], pair["access_token"], "hush"):
        assert secret not in text


async def test_lifetimes_can_be_chosen() -> None:
    app = sandbox_app(replace(Settings(), zoom_access_seconds=10.0, zoom_refresh_seconds=60.0))
    async with app.http:
        pair = await signed_in(app)
        assert pair["expires_in"] == 10
        app.clock.advance(10)
        assert await refused(app, "users/me", pair["access_token"]) == (401, 124)
        app.clock.advance(50)
        assert (await refresh(app, pair["refresh_token"])).json() == DEAD
