"""The organic API: a creator's profile as far as the scopes go, and the videos page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from common.errors import Consequence, PlatformError
from platforms.tiktok_organic.client import Organic, Profile
from tests.support.fake_clock import Timeline
from tests.support.platforms.fake_tiktok import (
    RENEWED,
    TOKEN,
    Asked,
    FakeTikTok,
    Tokens,
    organic,
    refusal,
    shown,
)
from tests.support.spans import recorded_spans

USER, VIDEOS, QUERY = "user/info/", "video/list/", "video/query/"
BASIC = "open_id,display_name"
PROFILE = "username,is_verified,profile_deep_link"
STATS = "follower_count,following_count,likes_count,video_count"
MISSED = refusal("scope_permission_missed", 400)
NOON = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp())


@pytest.fixture
def tiktok() -> FakeTikTok:
    return FakeTikTok()


@pytest.fixture
async def http(tiktok: FakeTikTok) -> AsyncIterator[httpx.AsyncClient]:
    async with tiktok.client() as client:
        yield client


@pytest.fixture
def client(http: httpx.AsyncClient) -> Organic:
    return organic(http)


def _video(number: int, **fields: Any) -> dict[str, Any]:
    """The `number`th newest, an hour older than the one before it."""
    return {"id": f"v{number}", "create_time": NOON - 3600 * number, "view_count": 10, **fields}


async def _listed(client: Organic, since: datetime | None = None) -> list[str]:
    return [video.id async for video in client.videos(since)]


async def _refused(client: Organic) -> PlatformError:
    with pytest.raises(PlatformError) as refused:
        await client.profile()
    return refused.value


class TestProfile:
    async def test_everything_is_asked_for_at_once(self, client: Organic, tiktok: FakeTikTok) -> None:
        user = {
            "open_id": "o",
            "display_name": "Bright",
            "username": "bright",
            "follower_count": 7,
            "likes_count": 9,
        }
        tiktok.on(USER, shown({"user": user}))
        assert await client.profile() == Profile("o", "Bright", "bright", followers=7, likes=9)
        (asked,) = tiktok.asked
        assert asked.params == {"fields": f"{BASIC},{PROFILE},{STATS}"}
        assert asked.headers["authorization"] == f"Bearer {TOKEN}"

    async def test_only_fields_of_granted_scopes_are_asked_for(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok
    ) -> None:
        tiktok.on(USER, shown({"user": {"open_id": "o"}}))
        granted = {"user.info.basic", "user.info.stats", "video.list"}
        assert (await organic(http, scopes=granted).profile()).name == "o"
        assert tiktok.asked[0].params == {"fields": f"{BASIC},{STATS}"}

    @pytest.mark.parametrize("refused", [MISSED, refusal("scope_not_authorized", 401)])
    async def test_a_missing_scope_hides_only_its_own_fields(
        self, client: Organic, tiktok: FakeTikTok, refused: httpx.Response
    ) -> None:
        known = {BASIC: {"open_id": "o", "display_name": "Bright"}, STATS: {"follower_count": 7}}

        def answer(asked: Asked) -> httpx.Response:
            user = known.get(asked.params["fields"])
            return refused if user is None else shown({"user": user})

        tiktok.on(USER, answer)
        assert await client.profile() == Profile("o", "Bright", followers=7)

    async def test_without_the_least_scope_a_permission_is_missing(
        self, client: Organic, tiktok: FakeTikTok
    ) -> None:
        tiktok.on(USER, MISSED)
        refused = await _refused(client)
        assert (refused.consequence, refused.code) == (Consequence.PERM, "scope_permission_missed")

    @pytest.mark.parametrize(
        "user", [None, {}, {"open_id": "o", "follower_count": "many"}, {"open_id": "o", "video_count": True}]
    )
    async def test_a_malformed_profile_is_an_error(
        self, client: Organic, tiktok: FakeTikTok, user: object
    ) -> None:
        tiktok.on(USER, shown({"user": user}))
        assert (await _refused(client)).consequence is Consequence.INVALID


class TestVideos:
    async def test_pages_follow_the_cursor(self, client: Organic, tiktok: FakeTikTok) -> None:
        tiktok.on(
            VIDEOS,
            shown({"videos": [_video(1), _video(2)], "cursor": 55, "has_more": True}),
            shown({"videos": [], "cursor": 44, "has_more": True}),
            shown({"videos": [_video(3)], "cursor": 33, "has_more": False}),
        )
        assert await _listed(client) == ["v1", "v2", "v3"]
        assert [asked.body for asked in tiktok.asked] == [
            {"max_count": 20},
            {"max_count": 20, "cursor": 55},
            {"max_count": 20, "cursor": 44},
        ]

    async def test_the_list_ends_with_a_page_of_old_ones(self, client: Organic, tiktok: FakeTikTok) -> None:
        pinned = _video(900)
        tiktok.on(
            VIDEOS,
            shown({"videos": [pinned, _video(1)], "cursor": 55, "has_more": True}),
            shown({"videos": [_video(2), _video(50)], "cursor": 44, "has_more": True}),
            shown({"videos": [_video(51)], "cursor": 33, "has_more": True}),
            AssertionError("asked for more"),
        )
        since = datetime.fromtimestamp(NOON - 3600 * 10, UTC)
        assert await _listed(client, since) == ["v1", "v2"]

    @pytest.mark.parametrize("cursor", [55, None, "55"])
    async def test_a_cursor_that_leads_nowhere_is_told(
        self, client: Organic, tiktok: FakeTikTok, cursor: object
    ) -> None:
        tiktok.on(VIDEOS, shown({"videos": [_video(1)], "cursor": cursor, "has_more": True}))
        with pytest.raises(PlatformError) as refused:
            await _listed(client)
        assert refused.value.consequence is Consequence.INVALID

    @pytest.mark.parametrize(
        "videos",
        [
            None,
            ["v1"],
            [{"id": "v1"}],
            [{"id": 7, "create_time": NOON}],
            [{"id": "v1", "create_time": "noon"}],
            [{"id": "v1", "create_time": 10**18}],
        ],
    )
    async def test_what_is_no_video_is_told(
        self, client: Organic, tiktok: FakeTikTok, videos: object
    ) -> None:
        tiktok.on(VIDEOS, shown({"videos": videos, "has_more": False}))
        with pytest.raises(PlatformError) as refused:
            await _listed(client)
        assert refused.value.consequence is Consequence.INVALID

    @pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (20, [20]), (45, [20, 20, 5])])
    async def test_ids_are_looked_up_twenty_at_a_time(
        self, client: Organic, tiktok: FakeTikTok, count: int, sizes: list[int]
    ) -> None:
        def answer(asked: Asked) -> httpx.Response:
            ids = asked.body["filters"]["video_ids"]
            return shown({"videos": [_video(1, id=each) for each in ids if each != "v3"]})

        tiktok.on(QUERY, answer)
        ids = [f"v{number}" for number in range(count)]
        found = await client.videos_of([*ids, *ids])
        assert list(found) == [each for each in ids if each != "v3"]
        assert [len(asked.body["filters"]["video_ids"]) for asked in tiktok.asked] == sizes


class TestTokens:
    async def test_a_renewed_one_that_is_refused_needs_a_person(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok
    ) -> None:
        tiktok.on(USER, refusal("access_token_invalid", 401))
        refused = await _refused(organic(http, Tokens(TOKEN, RENEWED, "a third")))
        assert (refused.consequence, refused.code) == (Consequence.REAUTH, "access_token_invalid")
        assert len(tiktok.asked) == 2

    async def test_nobody_sees_one(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tiktok.on(USER, refusal("invalid_params", 400, f"{TOKEN} is no token"))
        with recorded_spans(monkeypatch) as spans:
            refused = await _refused(organic(http))
        assert TOKEN not in refused.detail
        assert TOKEN not in spans.text()
        (span,) = spans.ended()
        assert dict(span.attributes or {})["tiktok.request_id"] == "20261121EF"


class TestLimits:
    async def test_an_endpoints_limit_concerns_that_endpoint_of_that_creator(
        self, http: httpx.AsyncClient, tiktok: FakeTikTok
    ) -> None:
        tiktok.on(USER, refusal("rate_limit_exceeded", 429))
        tiktok.on(VIDEOS, shown({"videos": [], "has_more": False}))
        limiter, creator = Timeline().limiter(), uuid4()
        client = organic(http, limiter=limiter, connection_id=creator)
        refused = await _refused(client)
        assert (refused.consequence, refused.retry_after) == (Consequence.RATE, 60)
        assert (await _refused(client)).code is None
        assert len(tiktok.asked) == 1, "refused by ourselves, without a call"
        assert await _listed(client) == []
        another = await _refused(organic(http, limiter=limiter, connection_id=uuid4()))
        assert another.code == "rate_limit_exceeded"
