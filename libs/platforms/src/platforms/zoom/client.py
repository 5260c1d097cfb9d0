"""What Carillon asks of Zoom."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from common.errors import Consequence, PlatformError
from platforms.calls.periods import Days
from platforms.zoom.api import Json, Target, ZoomApi
from platforms.zoom.paths import encoded_meeting, encoded_user
from platforms.zoom.usage import Category

CHUNK_DAYS = 30
"""Days one list may cover; Zoom's limit is a month, and months have as few as 28."""
PAGE_SIZE = 300
MAX_PAGES = 1_000
RESTARTS = 2
"""How often the list of a chunk is begun again after its page token has expired."""
ME = "me"
_DAY = timedelta(days=1)
_VALIDATION = "300"


@dataclass(frozen=True, slots=True)
class Person:
    """A user of a Zoom account."""

    id: str
    email: str
    name: str
    account_id: str
    timezone: str


class ZoomClient:
    """Zoom as seen by one connection. Every method raises `common.errors.PlatformError`."""

    def __init__(self, api: ZoomApi) -> None:
        self._api = api

    async def me(self) -> Person:
        """Whose connection it is."""
        return self._person(await self._api.get(Target("users/me", "users/{userId}", Category.LIGHT), {}))

    async def users(self) -> AsyncIterator[Sequence[Person]]:
        """All users of the account, page by page; needs a scope that only an account's own app has."""
        target = Target("users", "users", Category.MEDIUM)
        async for _, rows in self._pages(target, {}, "users", "id"):
            yield [self._person(row) for row in rows]

    async def recordings(
        self, user: str, since: date, until: date
    ) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """The documents of a person's recordings that began from `since` to `until`, both days in UTC.

        They come page by page, each once, the latest chunk first. A chunk that Zoom has silently cut short at
        its beginning is followed by what is missing.
        """
        target = Target(
            f"users/{encoded_user(user)}/recordings", "users/{userId}/recordings", Category.MEDIUM
        )
        while since <= until:
            chunk = covered = Days(max(since, until - (CHUNK_DAYS - 1) * _DAY), until)
            params = {"from": str(chunk.since), "to": str(chunk.until)}
            async for page, rows in self._pages(target, params, "meetings", "uuid"):
                covered = self._covered(page, chunk)
                yield rows
            until = covered.since - _DAY

    async def meeting_recordings(
        self, meeting: str, *, download_token_seconds: int | None = None
    ) -> Mapping[str, Any]:
        """The document of one recorded meeting, by its UUID, or by its number for the latest.

        With `download_token_seconds` it holds a `download_access_token` that lives as long.
        """
        params = (
            {}
            if download_token_seconds is None
            else {"include_fields": "download_access_token", "ttl": str(download_token_seconds)}
        )
        path = f"meetings/{encoded_meeting(meeting)}/recordings"
        return await self._api.get(Target(path, "meetings/{meetingId}/recordings", Category.LIGHT), params)

    async def _pages(
        self, target: Target, params: Mapping[str, str], name: str, key: str
    ) -> AsyncIterator[tuple[Json, list[Json]]]:
        """Every page of a list and the rows in its member `name`, each once by its `key`.

        A page token lives for a quarter of an hour. Where one has expired the list is begun again.
        """
        seen: set[object] = set()
        token, restarts = "", 0
        for _ in range(MAX_PAGES):
            wanted = {**params, "page_size": str(PAGE_SIZE)}
            if token:
                wanted["next_page_token"] = token
            try:
                page = await self._api.get(target, wanted)
            except PlatformError as error:
                if not token or error.code != _VALIDATION or restarts == RESTARTS:
                    raise
                token, restarts = "", restarts + 1
                continue
            rows = [row for row in self._rows(page, name) if row.get(key) not in seen]
            seen.update(row.get(key) for row in rows)
            yield page, rows
            following = page.get("next_page_token")
            if not following:
                return
            if following == token or not isinstance(following, str):
                raise self._api.error("a list whose next page is the same page", Consequence.INVALID)
            token = following
        raise self._api.error(f"a list of more than {MAX_PAGES} pages", Consequence.SPLIT)

    def _rows(self, page: Json, name: str) -> list[Json]:
        rows = page.get(name)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._api.error(f"a list without {name}", Consequence.INVALID)
        return rows

    def _covered(self, page: Json, asked: Days) -> Days:
        """The days a page is about. Zoom moves the beginning of a list that it finds too long, and only says
        so in what it echoes."""
        try:
            since, until = (
                date.fromisoformat(str(page[name])) if page.get(name) else own
                for name, own in (("from", asked.since), ("to", asked.until))
            )
        except ValueError as error:
            raise self._api.error("a list whose days cannot be read", Consequence.INVALID) from error
        if until != asked.until or not asked.since <= since <= until:
            raise self._api.error("a list of other days than those asked for", Consequence.INVALID)
        return Days(since, until)

    def _person(self, row: Json) -> Person:
        def text(name: str) -> str:
            value = row.get(name)
            return value if isinstance(value, str) else ""

        if not text("id"):
            raise self._api.error("a user without id", Consequence.INVALID)
        name = text("display_name") or f"{text('first_name')} {text('last_name')}".strip()
        return Person(text("id"), text("email"), name or text("email"), text("account_id"), text("timezone"))
