import base64
import hashlib
from dataclasses import replace

import pytest

from sandbox.settings import Settings
from tests.unit.sandbox.conftest import SandboxApp, sandbox_app
from tests.unit.sandbox.zoom_calls import (
    ACCOUNT_ID,
    DIALOG,
    PERSON,
    RETURN_TO,
    WHOLE_ACCOUNT,
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


async def test_the_dialog_asks_for_what_the_app_wants(app: SandboxApp) -> None:
    params = {**DIALOG, "scope": "cloud_recording:read:list_user_recordings", "state": '"><script>'}
    answer = await app.http.get("/zoom/oauth/authorize", params=params)
    assert answer.headers["content-type"].startswith("text/html")
    assert "See a list of your cloud recordings" in answer.text
    assert "Zoom" in answer.text
    assert "<script>" not in answer.text


async def test_agreeing_returns_a_code_and_the_state(app: SandboxApp) -> None:
    query = await decide(app, "allow")
    assert (query["state"], query["from"]) == (["s&1"], ["zoom"])
    assert query["code"][0]


async def test_declining_says_so(app: SandboxApp) -> None:
    query = await decide(app, "deny")
    assert query["error"] == ["access_denied"]
    assert "code" not in query


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": ""},
        {"redirect_uri": "javascript:alert(1)"},
        {"response_type": "token"},
        {"scope": "world:domination"},
        {"code_challenge": CHALLENGE, "code_challenge_method": "plain"},
        {"code_challenge_method": "S256"},
        {"code_challenge": CHALLENGE},
    ],
)
async def test_a_link_that_cannot_work_is_not_followed(app: SandboxApp, changes: dict[str, str]) -> None:
    answer = await app.http.post(
        "/zoom/oauth/authorize", data={**DIALOG, **changes, "sandbox_decision": "allow"}
    )
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_a_code_becomes_a_pair_once(app: SandboxApp) -> None:
    (code,) = (await decide(app, "allow"))["code"]
    pair = (await redeem(app, code)).json()
    assert (pair["token_type"], pair["expires_in"]) == ("bearer", 3599)
    assert pair["access_token"].startswith("eyJ")
    assert pair["refresh_token"].startswith("eyJ")
    assert "user:read:user" in pair["scope"].split(" ")
    assert pair["api_url"] == "http://graph.test/zoom"
    assert (await ok(app, "users/me", pair["access_token"]))["display_name"] == "Dana Demo"
    again = await redeem(app, code)
    assert (again.status_code, again.json()) == (400, NO_CODE)


async def test_a_code_is_for_its_own_app_and_address_and_not_for_long(app: SandboxApp) -> None:
    (code,) = (await decide(app, "allow"))["code"]
    assert (await redeem(app, code, "another")).json() == NO_CODE
    elsewhere = await redeem(app, code, redirect_uri="https://elsewhere.test/")
    assert (elsewhere.status_code, elsewhere.json()["error"]) == (400, "invalid_request")
    app.clock.advance(301)
    assert (await redeem(app, code)).json() == NO_CODE
    assert (await redeem(app, "invented")).json() == NO_CODE


async def test_a_code_with_a_challenge_needs_its_verifier(app: SandboxApp) -> None:
    (code,) = (await decide(app, "allow", **PKCE))["code"]
    for verifier in ("", "another", CHALLENGE):
        answer = await redeem(app, code, code_verifier=verifier)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert (await redeem(app, code, code_verifier=VERIFIER)).status_code == 200


async def test_declined_scopes_are_missing_from_the_token(app: SandboxApp) -> None:
    pair = await signed_in(
        app,
        scope="user:read:user cloud_recording:read:list_user_recordings",
        declined="cloud_recording:read:list_user_recordings",
    )
    assert pair["scope"] == "user:read:user"
    answer = await api(app, "users/me/recordings", pair["access_token"])
    assert (answer.status_code, answer.json()["code"]) == (400, 4711)
    assert answer.json()["message"].startswith(
        "Invalid access token, does not contain scopes:[cloud_recording:read:list_user_recordings, "
    )


async def test_an_access_token_lives_an_hour_by_the_clock(app: SandboxApp) -> None:
    pair = await signed_in(app)
    app.clock.advance(3598)
    assert (await api(app, "users/me", pair["access_token"])).status_code == 200
    app.clock.advance(1)
    answer = await api(app, "users/me", pair["access_token"])
    assert (answer.status_code, answer.json()) == (401, {"code": 124, "message": "Access token is expired."})
    assert (await refresh(app, pair["refresh_token"])).status_code == 200


async def test_a_refresh_token_works_once(app: SandboxApp) -> None:
    first = await signed_in(app)
    second = (await refresh(app, first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert (second["scope"], second["expires_in"]) == (first["scope"], 3599)
    again = await refresh(app, first["refresh_token"])
    assert (again.status_code, again.json()) == (400, DEAD)
    third = (await refresh(app, second["refresh_token"])).json()
    for pair in (first, second, third):
        assert (await api(app, "users/me", pair["access_token"])).status_code == 200


async def test_a_refresh_may_also_end_the_access_token_of_before(app: SandboxApp) -> None:
    await control(app, "PUT", "", {"refresh_ends_access": True})
    first = await signed_in(app)
    assert (await api(app, "users/me", first["access_token"])).status_code == 200
    second = (await refresh(app, first["refresh_token"])).json()
    assert await refused(app, "users/me", first["access_token"]) == (401, 124)
    assert (await api(app, "users/me", second["access_token"])).status_code == 200


async def test_a_refresh_token_dies_after_ninety_days_unless_used(app: SandboxApp) -> None:
    pair = await signed_in(app)
    app.clock.advance(89 * 86_400)
    renewed = (await refresh(app, pair["refresh_token"])).json()
    app.clock.advance(91 * 86_400)
    assert (await refresh(app, renewed["refresh_token"])).json() == DEAD


async def test_only_the_latest_consent_of_a_person_and_an_app_lives(app: SandboxApp) -> None:
    older = await signed_in(app)
    of_another_app = await signed_in(app, client_id="other-app")
    of_another_person = await signed_in(app, sandbox_user="mateo.ruiz@brightpath.example")
    newer = await signed_in(app)
    answer = await api(app, "users/me", older["access_token"])
    assert (answer.status_code, answer.json()) == (401, {"code": 124, "message": "Invalid access token."})
    assert (await refresh(app, older["refresh_token"])).json() == DEAD
    assert (await refresh(app, newer["refresh_token"])).status_code == 200
    assert (await refresh(app, of_another_app["refresh_token"], "other-app")).status_code == 200
    assert (await ok(app, "users/me", of_another_person["access_token"]))["first_name"] == "Mateo"


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


async def test_a_refresh_whose_answer_is_lost_has_happened(app: SandboxApp) -> None:
    first = await signed_in(app)
    await app.fault("server_error", match={"path": "/zoom/oauth/token"}, stage="answer", times=1)
    lost = await refresh(app, first["refresh_token"])
    assert (lost.status_code, lost.json()["error"]) == (500, "server_error")
    assert (await refresh(app, first["refresh_token"])).json() == DEAD
    (grant,) = (await app.http.get("/_sandbox/grants", params={"platform": "zoom"})).json()["grants"]
    assert (grant["refreshes"], grant["refused_refreshes"]) == (1, 1)


async def test_a_refresh_that_did_not_get_through_has_not_happened(app: SandboxApp) -> None:
    first = await signed_in(app)
    await app.fault("server_error", match={"path": "/zoom/oauth/token"}, times=1)
    assert (await refresh(app, first["refresh_token"])).status_code == 500
    assert (await refresh(app, first["refresh_token"])).status_code == 200


async def test_a_pasted_refresh_token_rotates_too(app: SandboxApp) -> None:
    first = (await refresh(app, "sandbox-zoom-refresh-a")).json()
    assert (await api(app, "users/me", first["access_token"])).status_code == 200
    assert (await refresh(app, "sandbox-zoom-refresh-a")).json() == DEAD
    assert (await refresh(app, "sandbox-zoom-refresh-b")).status_code == 200
    assert (await refresh(app, first["refresh_token"])).status_code == 200
    assert await refused(app, "users/me", "sandbox-zoom-refresh-c") == (401, 124)
    await app.http.post("/_sandbox/reset")
    assert (await refresh(app, "sandbox-zoom-refresh-a")).status_code == 200


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


async def test_another_account_is_refused(app: SandboxApp) -> None:
    for account in ("", "other"):
        answer = await token(app, grant_type="account_credentials", account_id=account)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_parameters_in_the_address_are_refused(app: SandboxApp) -> None:
    form = {"grant_type": "account_credentials", "account_id": ACCOUNT_ID}
    for request in ({"params": form}, {"params": {"x": "1"}, "data": form}, {"json": form}, {}):
        answer = await app.http.post("/zoom/oauth/token", headers=basic(), **request)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_grants_there_are_none_of(app: SandboxApp) -> None:
    answer = await token(app, grant_type="password")
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")
    assert (await token(app, grant_type="refresh_token")).json()["error"] == "invalid_request"
    assert (await app.http.get("/zoom/oauth/token")).status_code == 404


async def test_an_app_proves_itself_by_basic_credentials(app: SandboxApp) -> None:
    form = {"grant_type": "account_credentials", "account_id": ACCOUNT_ID}
    for headers in ({}, {"authorization": "Basic ?"}, {"authorization": "Bearer x"}, basic("app", "")):
        answer = await app.http.post("/zoom/oauth/token", data=form, headers=headers)
        assert answer.status_code == 401
        assert answer.json() == {"reason": "Invalid client_id or client_secret", "error": "invalid_client"}


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


async def test_revoking_ends_the_pair(app: SandboxApp) -> None:
    pair = await signed_in(app)
    (await refresh(app, "sandbox-zoom-refresh-a")).raise_for_status()
    answer = await app.http.post("/zoom/oauth/revoke", data={"token": pair["access_token"]}, headers=basic())
    assert answer.json() == {"status": "success"}
    assert await refused(app, "users/me", pair["access_token"]) == (401, 124)
    assert (await refresh(app, pair["refresh_token"])).json() == DEAD
    unknown = await app.http.post("/zoom/oauth/revoke", data={"token": "x"}, headers=basic())
    assert (unknown.status_code, unknown.json()) == (400, DEAD)


async def test_revoking_a_token_of_the_account_leaves_the_others(app: SandboxApp) -> None:
    form = {"grant_type": "account_credentials", "account_id": ACCOUNT_ID}
    first, second = [(await token(app, **form)).json()["access_token"] for _ in range(2)]
    await app.http.post("/zoom/oauth/revoke", data={"token": first}, headers=basic())
    assert await refused(app, "users", first) == (401, 124)
    assert (await api(app, "users", second)).status_code == 200


async def test_older_wordings_can_be_had(app: SandboxApp) -> None:
    await control(app, "PUT", "", {"old_wording": True})
    answer = await refresh(app, "revoked-1")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_request")
    assert await refused(app, "users/me/recordings", "unscoped-1") == (401, 4700)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("expired-1", "Access token is expired."),
        ("revoked-1", "Invalid access token."),
        ("nonsense", "Invalid access token."),
        ("eyJ.eyJ.x", "Invalid access token."),
        ("", "Invalid access token."),
    ],
)
async def test_tokens_that_are_dead_by_convention(app: SandboxApp, value: str, message: str) -> None:
    answer = await api(app, "users/me", value)
    assert (answer.status_code, answer.json()) == (401, {"code": 124, "message": message})


async def test_a_forged_token_is_refused(app: SandboxApp) -> None:
    form = {"grant_type": "account_credentials", "account_id": ACCOUNT_ID}
    genuine = (await token(app, **form)).json()["access_token"]
    head, claims, signature = genuine.split(".")
    forged = base64.urlsafe_b64encode(base64.urlsafe_b64decode(claims + "==").replace(b'"exp":1', b'"exp":9'))
    assert await refused(app, "users", f"{head}.{forged.decode()}.{signature}") == (401, 124)


async def test_pasted_tokens_never_expire(app: SandboxApp) -> None:
    app.clock.advance(1000 * 86_400)
    for value in (PERSON, WHOLE_ACCOUNT):
        assert (await api(app, "users/me", value)).status_code == 200


async def test_faults_of_the_token_endpoint_have_its_words(app: SandboxApp) -> None:
    await app.fault("rate_limit", times=1)
    assert (await refresh(app, "sandbox-zoom-refresh-a")).status_code == 429
    await app.fault("expired_token", times=1)
    assert (await refresh(app, "sandbox-zoom-refresh-a")).json() == DEAD
    await app.fault("code", code="unauthorized_client", message="Disabled.", status=401, times=1)
    answer = await refresh(app, "sandbox-zoom-refresh-a")
    assert (answer.status_code, answer.json()) == (
        401,
        {"reason": "Disabled.", "error": "unauthorized_client"},
    )


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
