import base64
import hashlib
from dataclasses import replace
from typing import Any

import httpx
import pytest

from sandbox.settings import Settings
from tests.unit.sandbox.conftest import NOON, SandboxApp, sandbox_app
from tests.unit.sandbox.tiktok_calls import CLIENT, TikTok

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


@pytest.mark.parametrize("challenge", [CHALLENGE, DIGEST.hex()])
async def test_the_verifier_has_to_match_the_challenge(tiktok: TikTok, challenge: str) -> None:
    (code,) = (await tiktok.consent(code_challenge=challenge, code_challenge_method="S256"))["code"]
    for verifier in ({}, {"code_verifier": VERIFIER + "x"}, {"code_verifier": challenge}):
        answer = await tiktok.redeem(code, **verifier)
        assert refused(answer) == (400, "invalid_request")
        assert answer.json()["error_description"] == "Code verifier or code challenge is invalid."
    assert (await tiktok.redeem(code, code_verifier=VERIFIER)).status_code == 200


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


async def test_tokens_that_can_be_pasted(tiktok: TikTok) -> None:
    tiktok.app.clock.advance(900 * DAY)
    assert (await tiktok.user("act.sandbox-anything")).status_code == 200
    other = (await tiktok.user("act.sandbox-kitchenandco-1", "username")).json()
    assert problem(await tiktok.user("act.sandbox-x", "nonsense")) == (400, "invalid_params")
    assert other["data"]["user"]["username"] == "kitchenandco"
    pair = (await tiktok.refresh("rft.sandbox-kitchenandco-1")).json()
    assert refused(await tiktok.refresh("rft.sandbox-kitchenandco-1")) == (400, "invalid_grant")
    assert (await tiktok.user(pair["access_token"], "username")).json()["data"] == other["data"]
    await tiktok.app.http.post("/_sandbox/reset")
    assert (await tiktok.refresh("rft.sandbox-kitchenandco-1")).status_code == 200


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
