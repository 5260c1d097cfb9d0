"""What is asked of Zoom: chunks of days, pages, people, and the names of meetings."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from common.errors import Consequence, PlatformError
from platforms.zoom.client import CHUNK_DAYS, RESTARTS, ZoomClient
from platforms.zoom.paths import encoded_meeting
from tests.unit.platforms.zoom.fake_zoom import FakeZoom, failure, page

UNTIL = date(2026, 11, 4)
EXPIRED = failure(400, 300, "The next page token is invalid or expired.")


async def listed(client: ZoomClient, days: int = 1, user: str = "me") -> list[str]:
    since = UNTIL - timedelta(days=days - 1)
    return [row["uuid"] async for rows in client.recordings(user, since, UNTIL) for row in rows]


def echo(request: httpx.Request) -> httpx.Response:
    """A page that covers what was asked for."""
    params = request.url.params
    return page(**{"from": params["from"], "to": params["to"]})


async def test_every_page_is_read() -> None:
    zoom = FakeZoom(page("a", "b", token="t1"), page("c", token="t2"), page("d"))

    assert await listed(zoom.client()) == ["a", "b", "c", "d"]
    assert [asked.get("next_page_token") for asked in zoom.asked()] == [None, "t1", "t2"]
    assert {asked["page_size"] for asked in zoom.asked()} == {"300"}


@pytest.mark.parametrize("days", [1, 30, 31, 61])
async def test_no_list_covers_more_than_thirty_days_and_all_together_cover_each_once(days: int) -> None:
    zoom = FakeZoom(echo)

    await listed(zoom.client(), days)

    covered: list[date] = []
    for asked in zoom.asked():
        since, until = date.fromisoformat(asked["from"]), date.fromisoformat(asked["to"])
        assert (until - since).days < CHUNK_DAYS
        covered += [since + timedelta(days=n) for n in range((until - since).days + 1)]
    assert sorted(covered) == [UNTIL - timedelta(days=n) for n in reversed(range(days))]


async def test_a_list_that_was_silently_cut_short_is_completed() -> None:
    def clamped(request: httpx.Request) -> httpx.Response:
        asked, until = (date.fromisoformat(request.url.params[name]) for name in ("from", "to"))
        since = max(asked, until - timedelta(days=9))
        return page(str(until), **{"from": str(since), "to": str(until)})

    zoom = FakeZoom(clamped)

    assert await listed(zoom.client(), 25) == ["2026-11-04", "2026-10-25", "2026-10-15"]
    assert [asked["from"] for asked in zoom.asked()] == ["2026-10-11"] * 3


@pytest.mark.parametrize(
    "echoed",
    [
        {"from": "2026-11-01", "to": "2026-11-04"},
        {"from": "2026-11-04", "to": "2026-11-03"},
        {"from": "2026-11-05", "to": "2026-11-04"},
        {"from": "yesterday", "to": "2026-11-04"},
    ],
)
async def test_a_list_of_other_days_is_refused(echoed: dict[str, str]) -> None:
    with pytest.raises(PlatformError) as refused:
        await listed(FakeZoom(page("a", **echoed)).client())

    assert refused.value.consequence is Consequence.INVALID


async def test_a_list_whose_page_token_expired_is_begun_again_and_tells_nothing_twice() -> None:
    zoom = FakeZoom(page("a", token="t1"), EXPIRED, page("a", token="t2"), page("b"))

    assert await listed(zoom.client()) == ["a", "b"]
    assert [asked.get("next_page_token") for asked in zoom.asked()] == [None, "t1", None, "t2"]


async def test_beginning_again_has_an_end() -> None:
    def forgetful(request: httpx.Request) -> httpx.Response:
        if "next_page_token" in request.url.params:
            return failure(400, 300, "The next page token is invalid or expired.")
        return page("a", token="t")

    zoom = FakeZoom(forgetful)

    with pytest.raises(PlatformError) as refused:
        await listed(zoom.client())

    assert refused.value.code == "300"
    assert len(zoom.requests) == 2 * (RESTARTS + 1)


async def test_a_first_page_that_is_refused_is_an_error_at_once() -> None:
    zoom = FakeZoom(EXPIRED)

    with pytest.raises(PlatformError):
        await listed(zoom.client())

    assert len(zoom.requests) == 1


@pytest.mark.parametrize(
    "body", [{}, {"meetings": None}, {"meetings": ["x"]}, {"meetings": [], "next_page_token": 5}]
)
async def test_what_is_no_list_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(PlatformError) as refused:
        await listed(FakeZoom(httpx.Response(200, json=body)).client())

    assert refused.value.consequence is Consequence.INVALID


async def test_a_list_that_never_ends_does() -> None:
    with pytest.raises(PlatformError, match="same page"):
        await listed(FakeZoom(page("a", token="t")).client())


async def test_a_person_is_named_in_the_address_as_one_part_of_it() -> None:
    zoom = FakeZoom(page())

    await listed(zoom.client(), user="../a b@c.example?x")

    assert zoom.requests[0].url.raw_path.startswith(b"/v2/users/..%2Fa%20b%40c.example%3Fx/recordings?")


async def test_people_are_listed_page_by_page() -> None:
    first = {"users": [{"id": "1", "display_name": "Dana"}], "next_page_token": "t"}
    second = {"users": [{"id": "2", "first_name": "Mateo", "last_name": "Ruiz", "email": "m@x.example"}]}
    zoom = FakeZoom(httpx.Response(200, json=first), httpx.Response(200, json=second))

    names = [person.name async for people in zoom.client().users() for person in people]

    assert names == ["Dana", "Mateo Ruiz"]


async def test_me() -> None:
    answer = {"id": "u", "email": "d@x.example", "account_id": "acc", "timezone": "Europe/Berlin"}

    me = await FakeZoom(httpx.Response(200, json=answer)).client().me()

    assert (me.id, me.name, me.account_id, me.timezone) == ("u", "d@x.example", "acc", "Europe/Berlin")
    with pytest.raises(PlatformError, match="without id"):
        await FakeZoom(httpx.Response(200, json={})).client().me()


@pytest.mark.parametrize(
    ("meeting", "encoded"),
    [
        ("94488262913", "94488262913"),
        ("ODfDKShNRqKkXbGD09Sk4A==", "ODfDKShNRqKkXbGD09Sk4A%3D%3D"),
        ("a/b==", "a%2Fb%3D%3D"),
        ("/ajXp112QmuoKj4854875==", "%252FajXp112QmuoKj4854875%253D%253D"),
        ("a//b==", "a%252F%252Fb%253D%253D"),
    ],
)
async def test_the_name_of_a_meeting_on_the_wire(meeting: str, encoded: str) -> None:
    zoom = FakeZoom(httpx.Response(200, json={"uuid": meeting}))

    found = await zoom.client().meeting_recordings(meeting, download_token_seconds=600)

    assert encoded_meeting(meeting) == encoded
    assert found["uuid"] == meeting
    assert zoom.requests[0].url.raw_path.partition(b"?")[0] == f"/v2/meetings/{encoded}/recordings".encode()
    assert zoom.asked() == [{"include_fields": "download_access_token", "ttl": "600"}]
