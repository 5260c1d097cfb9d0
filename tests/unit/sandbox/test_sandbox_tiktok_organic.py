import base64
import hashlib
from dataclasses import replace
from typing import Any

import httpx
import pytest

from sandbox.settings import Settings
from tests.unit.sandbox.conftest import NOON, SandboxApp, sandbox_app
from tests.unit.sandbox.tiktok_calls import CLIENT, DIALOG, SCOPES, TikTok

HOUR = 3_600
DAY = 86_400
VERIFIER = "a-verifier-of-at-least-forty-three-characters-0123456789"
DIGEST = hashlib.sha256(VERIFIER.encode()).digest()
CHALLENGE = base64.urlsafe_b64encode(DIGEST).decode().rstrip("=")
PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
EVERYTHING = (
    "open_id,union_id,avatar_url,avatar_large_url,display_name,bio_description,profile_deep_link,"
    "is_verified,username,follower_count,following_count,likes_count,video_count"
)


@pytest.fixture
def tiktok(app: SandboxApp) -> TikTok:
    return TikTok(app)


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and error of a refused token request."""
    document = answer.json()
    assert set(document) == {"error", "error_description", "log_id"}
    return answer.status_code, document["error"]


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refused call."""
    document = answer.json()
    assert document["data"] == {}
    assert document["error"]["log_id"] == answer.headers["x-tt-logid"]
    return answer.status_code, document["error"]["code"]


async def test_the_dialog_names_what_is_asked_for(tiktok: TikTok) -> None:
    answer = await tiktok.app.http.get("/v2/auth/authorize/", params={**DIALOG, "state": '"><script>'})
    assert answer.headers["content-type"].startswith("text/html")
    assert "Continue as Brightpath Courses?" in answer.text
    assert "See your public videos" in answer.text
    assert "<script>" not in answer.text


async def test_agreeing_returns_a_code_the_scopes_and_the_state(tiktok: TikTok) -> None:
    query = await tiktok.consent(declined="video.list")
    assert query["scopes"] == ["user.info.basic,user.info.profile,user.info.stats"]
    assert query["state"] == ["s&1"]
    assert "*" in query["code"][0]
    assert "!" in query["code"][0]


async def test_declining_says_so(tiktok: TikTok) -> None:
    query = await tiktok.consent("deny")
    assert query["error"] == ["access_denied"]
    assert "code" not in query


@pytest.mark.parametrize(
    "changes",
    [
        {"client_key": ""},
        {"redirect_uri": "javascript:alert(1)"},
        {"response_type": "token"},
        {"scope": ""},
        {"scope": "world.domination"},
        {"code_challenge": CHALLENGE},
        {"code_challenge": CHALLENGE, "code_challenge_method": "plain"},
        {"code_challenge": "short", "code_challenge_method": "S256"},
        {"code_challenge_method": "S256"},
    ],
)
async def test_a_link_that_cannot_work_is_not_followed(tiktok: TikTok, changes: dict[str, str]) -> None:
    params = {**DIALOG, "sandbox_decision": "allow", **changes}
    answer = await tiktok.app.http.get("/v2/auth/authorize/", params=params)
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_a_code_becomes_a_pair_once(tiktok: TikTok) -> None:
    (code,) = (await tiktok.consent())["code"]
    pair = (await tiktok.redeem(code)).json()
    assert pair["access_token"].startswith("act.")
    assert pair["refresh_token"].startswith("rft.")
    assert (pair["expires_in"], pair["refresh_expires_in"]) == (7_200, 15_552_000)
    assert (pair["scope"], pair["token_type"]) == (SCOPES, "Bearer")
    user = (await tiktok.user(pair["access_token"])).json()
    assert user["data"]["user"] == {"open_id": pair["open_id"], "display_name": "Brightpath Courses"}
    assert user["error"]["code"] == "ok"
    assert refused(await tiktok.redeem(code)) == (400, "invalid_grant")


async def test_a_code_is_for_its_own_app_and_address_and_not_for_long(tiktok: TikTok) -> None:
    (code,) = (await tiktok.consent())["code"]
    assert refused(await tiktok.redeem(code, redirect_uri="https://elsewhere.test/")) == (
        400,
        "invalid_request",
    )
    assert refused(await tiktok.redeem(code, client_key="other")) == (400, "invalid_grant")
    assert refused(await tiktok.redeem("invented")) == (400, "invalid_grant")
    tiktok.app.clock.advance(601)
    assert refused(await tiktok.redeem(code)) == (400, "invalid_grant")


@pytest.mark.parametrize("challenge", [CHALLENGE, DIGEST.hex()])
async def test_the_verifier_has_to_match_the_challenge(tiktok: TikTok, challenge: str) -> None:
    (code,) = (await tiktok.consent(code_challenge=challenge, code_challenge_method="S256"))["code"]
    for verifier in ({}, {"code_verifier": VERIFIER + "x"}, {"code_verifier": challenge}):
        answer = await tiktok.redeem(code, **verifier)
        assert refused(answer) == (400, "invalid_request")
        assert answer.json()["error_description"] == "Code verifier or code challenge is invalid."
    assert (await tiktok.redeem(code, code_verifier=VERIFIER)).status_code == 200


async def test_an_access_token_dies_by_the_clock(tiktok: TikTok) -> None:
    pair = await tiktok.pair()
    tiktok.app.clock.advance(2 * HOUR - 1)
    assert (await tiktok.user(pair["access_token"])).status_code == 200
    tiktok.app.clock.advance(1)
    assert problem(await tiktok.user(pair["access_token"])) == (401, "access_token_invalid")


async def test_a_refresh_rotates_and_the_old_refresh_token_dies_at_once(tiktok: TikTok) -> None:
    first = await tiktok.pair()
    second = (await tiktok.refresh(first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["open_id"] == first["open_id"]
    assert refused(await tiktok.refresh(first["refresh_token"])) == (400, "invalid_grant")
    assert (await tiktok.user(second["access_token"])).status_code == 200
    third = await tiktok.refresh(second["refresh_token"])
    assert third.status_code == 200


async def test_how_often_a_grant_was_refreshed_and_with_what_is_on_show(tiktok: TikTok) -> None:
    def fingerprint(token: str) -> str:
        return hashlib.sha256(token.encode()).hexdigest()[:16]

    first = await tiktok.pair()
    second = (await tiktok.refresh(first["refresh_token"])).json()
    await tiktok.refresh(first["refresh_token"])
    (grant,) = await tiktok.grants("tiktok_organic")
    assert (grant["refreshes"], grant["refused_refreshes"], grant["revoked"]) == (1, 1, False)
    assert grant["live_refresh_token"] == fingerprint(second["refresh_token"])
    assert grant["last_presented_refresh_token"] == fingerprint(first["refresh_token"])
    assert (grant["access_expires_in"], grant["owner"]) == (7_200, "brightpath")
    stats = (await tiktok.app.http.get("/_sandbox/stats")).json()["platforms"]["tiktok_organic"]
    assert stats["/v2/oauth/token/"] == {"200": 2, "400": 1}
    seen = await tiktok.app.received(kind="tiktok_organic")
    assert first["refresh_token"] not in str(seen)
    assert CLIENT["client_secret"] not in str(seen)


async def test_grants_do_not_touch_each_other(tiktok: TikTok) -> None:
    one, other = await tiktok.pair(), await tiktok.pair()
    await tiktok.refresh(one["refresh_token"])
    assert (await tiktok.refresh(other["refresh_token"])).status_code == 200
    assert (await tiktok.user(other["access_token"])).status_code == 200


async def test_a_refresh_token_dies_half_a_year_after_it_was_given(tiktok: TikTok) -> None:
    first = await tiktok.pair()
    tiktok.app.clock.advance(179 * DAY)
    second = (await tiktok.refresh(first["refresh_token"])).json()
    assert second["refresh_expires_in"] == 15_552_000
    tiktok.app.clock.advance(179 * DAY)
    third = (await tiktok.refresh(second["refresh_token"])).json()
    tiktok.app.clock.advance(180 * DAY)
    assert refused(await tiktok.refresh(third["refresh_token"])) == (400, "invalid_grant")


async def test_a_refresh_whose_answer_is_lost_has_taken_effect(tiktok: TikTok) -> None:
    pair = await tiktok.pair()
    await tiktok.app.fault("server_error", match={"path": "/v2/oauth/token/"}, stage="answer", times=1)
    assert refused(await tiktok.refresh(pair["refresh_token"])) == (500, "server_error")
    assert refused(await tiktok.refresh(pair["refresh_token"])) == (400, "invalid_grant")
    (grant,) = await tiktok.grants("tiktok_organic")
    assert (grant["refreshes"], grant["refused_refreshes"]) == (1, 1)


async def test_a_refresh_that_never_arrived_has_not(tiktok: TikTok) -> None:
    pair = await tiktok.pair()
    await tiktok.app.fault("server_error", match={"token": pair["refresh_token"]}, times=1)
    assert refused(await tiktok.refresh(pair["refresh_token"])) == (500, "server_error")
    assert (await tiktok.refresh(pair["refresh_token"])).status_code == 200


async def test_as_it_used_to_be_a_refresh_token_is_for_keeps() -> None:
    settings = replace(
        Settings(),
        tiktok_rotates_refresh_tokens=False,
        tiktok_organic_access_seconds=DAY,
        tiktok_oauth_error_status=200,
    )
    tiktok = TikTok(sandbox_app(settings))
    async with tiktok.app.http:
        first = await tiktok.pair()
        assert first["expires_in"] == DAY
        for _ in range(50):
            again = (await tiktok.refresh(first["refresh_token"])).json()
            assert again["refresh_token"] == first["refresh_token"]
        assert refused(await tiktok.refresh("rft.invented")) == (200, "invalid_grant")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unauthorized_client"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "rft.invented"}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "rft.expired-1"}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "rft.revoked-1"}, "invalid_grant"),
        ({"grant_type": "authorization_code"}, "invalid_grant"),
        ({"client_key": ""}, "invalid_client"),
        ({"client_secret": ""}, "invalid_client"),
    ],
)
async def test_tokens_asked_for_wrongly(tiktok: TikTok, form: dict[str, str], error: str) -> None:
    assert refused(await tiktok.token(**form)) == (400, error)


async def test_the_token_endpoint_takes_forms_only(tiktok: TikTok) -> None:
    answer = await tiktok.app.http.post("/v2/oauth/token/", json={**CLIENT, "grant_type": "refresh_token"})
    assert refused(answer) == (400, "invalid_request")
    assert "application/x-www-form-urlencoded" in answer.json()["error_description"]


async def test_a_refresh_token_of_another_app_is_refused_and_stays_alive(tiktok: TikTok) -> None:
    pair = await tiktok.pair()
    assert refused(await tiktok.refresh(pair["refresh_token"], client_key="other")) == (400, "invalid_grant")
    assert (await tiktok.refresh(pair["refresh_token"])).status_code == 200


async def test_with_an_app_configured_only_that_app_gets_tokens() -> None:
    strict = replace(Settings(), tiktok_client_key="aw123", tiktok_client_secret="real")
    tiktok = TikTok(sandbox_app(strict))
    async with tiktok.app.http:
        (code,) = (await tiktok.consent())["code"]
        assert refused(await tiktok.redeem(code)) == (400, "invalid_client")
        assert refused(await tiktok.redeem(code, client_secret="real", client_key="9")) == (
            400,
            "invalid_client",
        )
        assert (await tiktok.redeem(code, client_secret="real")).status_code == 200
        foreign = await tiktok.app.http.get("/v2/auth/authorize/", params={**DIALOG, "client_key": "9"})
        assert foreign.status_code == 400


async def test_revoking_ends_a_grant_with_all_its_tokens(tiktok: TikTok) -> None:
    first = await tiktok.pair()
    second = (await tiktok.refresh(first["refresh_token"])).json()
    form = {**CLIENT, "token": second["access_token"]}
    answer = await tiktok.app.http.post("/v2/oauth/revoke/", data=form)
    assert (answer.status_code, answer.json()) == (200, {})
    for pair in (first, second):
        assert problem(await tiktok.user(pair["access_token"])) == (401, "access_token_invalid")
    assert refused(await tiktok.refresh(second["refresh_token"])) == (400, "invalid_grant")
    again = await tiktok.app.http.post("/v2/oauth/revoke/", data=CLIENT)
    assert refused(again) == (400, "invalid_request")


async def test_tokens_that_can_be_pasted(tiktok: TikTok) -> None:
    tiktok.app.clock.advance(900 * DAY)
    assert (await tiktok.user("act.sandbox-anything")).status_code == 200
    other = (await tiktok.user("act.sandbox-kitchenandco-1", "username")).json()
    assert problem(await tiktok.user("act.sandbox-x", "nonsense")) == (400, "invalid_params")
    assert other["data"]["user"]["username"] == "kitchenandco"
    pair = (await tiktok.refresh("rft.sandbox-kitchenandco-1")).json()
    assert refused(await tiktok.refresh("rft.sandbox-kitchenandco-1")) == (400, "invalid_grant")
    assert (await tiktok.user(pair["access_token"], "username")).json()["data"] == other["data"]
    await tiktok.app.http.post("/v2/oauth/revoke/", data={**CLIENT, "token": "act.sandbox-gone"})
    assert problem(await tiktok.user("act.sandbox-gone")) == (401, "access_token_invalid")
    await tiktok.app.http.post("/_sandbox/reset")
    assert (await tiktok.user("act.sandbox-gone")).status_code == 200
    assert (await tiktok.refresh("rft.sandbox-kitchenandco-1")).status_code == 200


@pytest.mark.parametrize("token", ["", "act.expired-1", "act.revoked-1", "expired-1", "revoked-1", "x"])
async def test_tokens_that_are_good_for_nothing(tiktok: TikTok, token: str) -> None:
    answer = await tiktok.user(token)
    assert problem(answer) == (401, "access_token_invalid")
    assert answer.json()["error"]["message"].startswith("The access token is invalid")


async def test_a_reset_forgets_every_grant(tiktok: TikTok) -> None:
    pair = await tiktok.pair()
    await tiktok.app.http.post("/_sandbox/reset")
    assert await tiktok.grants("") == []
    assert problem(await tiktok.user(pair["access_token"])) == (401, "access_token_invalid")
    assert refused(await tiktok.refresh(pair["refresh_token"])) == (400, "invalid_grant")
    assert (await tiktok.pair())["access_token"] != pair["access_token"]


async def test_every_field_of_a_person(tiktok: TikTok) -> None:
    user = (await tiktok.user("act.sandbox-1", EVERYTHING)).json()["data"]["user"]
    assert list(user) == EVERYTHING.split(",")
    assert user["follower_count"] > 0
    assert user["video_count"] > 100
    tiktok.app.clock.advance(30 * DAY)
    later = (await tiktok.user("act.sandbox-1", EVERYTHING)).json()["data"]["user"]
    assert later["follower_count"] > user["follower_count"]
    assert later["likes_count"] > user["likes_count"]


async def test_a_field_needs_its_scope(tiktok: TikTok) -> None:
    basic = (await tiktok.pair(declined="user.info.stats,video.list"))["access_token"]
    assert (await tiktok.user(basic, "username")).status_code == 200
    answer = await tiktok.user(basic, "username,follower_count")
    assert problem(answer) == (400, "scope_permission_missed")
    assert "user.info.stats" in answer.json()["error"]["message"]
    assert problem(await tiktok.videos(basic)) == (401, "scope_not_authorized")
    videos_only = (await tiktok.pair(scope="video.list"))["access_token"]
    assert problem(await tiktok.user(videos_only)) == (401, "scope_not_authorized")
    assert (await tiktok.user("act.unscoped-1")).status_code == 200
    assert problem(await tiktok.videos("act.unscoped-1")) == (401, "scope_not_authorized")


async def every_video(tiktok: TikTok, size: int) -> list[dict[str, Any]]:
    """All videos, following the cursor to the end."""
    videos: list[dict[str, Any]] = []
    body: dict[str, Any] = {"max_count": size}
    for _ in range(1_000):
        data = (await tiktok.videos(**body)).json()["data"]
        videos += data["videos"]
        if not data["has_more"]:
            return videos
        body["cursor"] = data["cursor"]
    raise AssertionError("the cursor leads nowhere")


async def test_videos_are_paged_by_cursor_from_the_newest(tiktok: TikTok) -> None:
    await tiktok.app.http.put("/_sandbox/limits", json={"tiktok_organic_per_minute": 0})
    videos = await every_video(tiktok, 20)
    moments = [video["create_time"] for video in videos]
    assert moments == sorted(moments, reverse=True)
    assert moments[0] <= NOON
    assert len({video["id"] for video in videos}) == len(videos)
    user = (await tiktok.user("act.sandbox-1", "video_count")).json()["data"]["user"]
    assert user["video_count"] == len(videos)
    assert await every_video(tiktok, 7) == videos


async def test_a_page_of_videos(tiktok: TikTok) -> None:
    data = (await tiktok.videos()).json()["data"]
    assert len(data["videos"]) == 10
    assert data["cursor"] == data["videos"][-1]["create_time"] * 1_000
    assert data["has_more"] is True
    fields = "id,title,cover_image_url,like_count,comment_count,share_count,view_count,duration,is_aigc"
    (video,) = (await tiktok.videos(fields=fields, max_count=1)).json()["data"]["videos"]
    assert list(video) == fields.split(",")
    assert video["view_count"] >= video["like_count"]
    assert f"x-expires={int(NOON) + 6 * HOUR}" in video["cover_image_url"]
    none = (await tiktok.videos(cursor=1_000)).json()["data"]
    assert (none["videos"], none["has_more"]) == ([], False)


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ("", {}),
        ("id,shoe_size", {}),
        ("id", {"max_count": 21}),
        ("id", {"max_count": 0}),
        ("id", {"max_count": "10"}),
        ("id", {"cursor": -1}),
        ("id", {"cursor": "x"}),
    ],
)
async def test_videos_asked_for_wrongly(tiktok: TikTok, fields: str, body: dict[str, Any]) -> None:
    assert problem(await tiktok.videos(fields=fields, **body)) == (400, "invalid_params")


async def test_videos_by_id(tiktok: TikTok) -> None:
    async def query(ids: Any) -> httpx.Response:
        return await tiktok.app.http.post(
            "/v2/video/query/",
            params={"fields": "id"},
            json={"filters": {"video_ids": ids}},
            headers={"authorization": "Bearer act.sandbox-1"},
        )

    videos = (await tiktok.videos(max_count=3)).json()["data"]["videos"]
    foreign = (await tiktok.videos("act.sandbox-miraifitness", max_count=1)).json()["data"]["videos"]
    ids = [video["id"] for video in videos]
    found = (await query([*reversed(ids), foreign[0]["id"], "1", "x"])).json()["data"]["videos"]
    assert [video["id"] for video in found] == list(reversed(ids))
    for wrong in ([], ids * 7, "x", None):
        assert problem(await query(wrong)) == (400, "invalid_params")


async def test_views_grow_and_the_past_stays(tiktok: TikTok) -> None:
    async def views() -> dict[str, int]:
        videos = (await tiktok.videos(fields="id,view_count", max_count=20)).json()["data"]["videos"]
        return {video["id"]: video["view_count"] for video in videos}

    before = await views()
    assert await views() == before
    tiktok.app.clock.advance(2 * DAY)
    after = await views()
    assert all(after[one] >= before[one] for one in after.keys() & before.keys())
    assert after.keys() != before.keys()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/video/list/"),
        ("POST", "/v2/user/info/"),
        ("GET", "/v2/user/info"),
        ("POST", "/v2/oauth/token"),
        ("GET", "/v2/oauth/token/"),
        ("GET", "/v2/auth/authorize"),
        ("POST", "/v2/video/delete/"),
    ],
)
async def test_paths_that_lead_nowhere(tiktok: TikTok, method: str, path: str) -> None:
    headers = {"authorization": "Bearer act.sandbox-1"}
    answer = await tiktok.app.http.request(method, path, headers=headers)
    assert (answer.status_code, answer.text) == (404, "Unsupported path(Janus)")


async def test_a_body_that_cannot_be_read(tiktok: TikTok) -> None:
    headers = {"authorization": "Bearer act.sandbox-1", "content-type": "application/json"}
    answer = await tiktok.app.http.post("/v2/video/list/?fields=id", content=b'{"a":', headers=headers)
    assert problem(answer) == (400, "invalid_params")
