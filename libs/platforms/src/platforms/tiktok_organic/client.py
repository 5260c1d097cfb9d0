"""TikTok's organic API v2: a creator's profile and videos."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import httpx

from common.errors import Consequence, PlatformError
from platforms.calls.answers import UNREADABLE, Refusal, object_in
from platforms.calls.api import Api, Call, Connection, Fault, Json
from platforms.calls.credentials import Credential
from platforms.calls.exchange import Reply
from platforms.calls.usage import UsageLimiter
from platforms.tiktok_organic import PLATFORM, refusals

RATE_WAIT = 60.0
"""Seconds: TikTok counts a creator's calls over a sliding minute, and has no header that tells."""

FIELDS_BY_SCOPE: Mapping[str, Sequence[str]] = {
    "user.info.basic": ("open_id", "display_name"),
    "user.info.profile": ("username", "is_verified", "profile_deep_link"),
    "user.info.stats": ("follower_count", "following_count", "likes_count", "video_count"),
}
"""What of a profile each scope shows; the first is the least a creator grants."""
BASIC = "user.info.basic"
MOST_VIDEOS = 20
"""Videos TikTok gives at a time, and describes at a time."""
MAX_PAGES = 500

_VIDEO_FIELDS = ",".join(
    (
        "id",
        "create_time",
        "title",
        "video_description",
        "share_url",
        "duration",
        "view_count",
        "like_count",
        "comment_count",
        "share_count",
    )
)


@dataclass(frozen=True, slots=True)
class Profile:
    """A creator now. What the creator's scopes do not show is None."""

    open_id: str
    name: str
    username: str | None = None
    followers: int | None = None
    following: int | None = None
    likes: int | None = None
    videos: int | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Video:
    """A video and what it has reached by now. `duration` is in seconds."""

    id: str
    created_at: datetime
    title: str
    url: str
    duration: int
    views: int
    likes: int
    comments: int
    shares: int


class Organic(Api[Json]):
    """TikTok as seen by one creator's connection, for one run. Every method raises PlatformError.

    `scopes` are those the creator granted, where they are known.
    """

    platform: ClassVar[str] = PLATFORM
    title: ClassVar[str] = "TikTok"

    def __init__(
        self,
        http: httpx.AsyncClient,
        base_url: str,
        credential: Credential,
        *,
        limiter: UsageLimiter,
        scope: str,
        connection_id: UUID | None = None,
        scopes: Collection[str] | None = None,
    ) -> None:
        super().__init__(http, base_url, Connection(credential, scope, connection_id), limiter=limiter)
        self._scopes = scopes

    async def profile(self) -> Profile:
        """The creator, as far as the granted scopes show."""
        wanted = [name for name in FIELDS_BY_SCOPE if self._scopes is None or name in self._scopes]
        try:
            user = await self._user(wanted or [BASIC])
        except PlatformError as error:
            # One scope that was not granted makes TikTok refuse the fields of all.
            if error.consequence is not Consequence.PERM or len(wanted) < 2:
                raise
            user = await self._user_by_scope(wanted)
        return self._profile(user)

    async def videos(self, since: datetime | None = None) -> AsyncIterator[Video]:
        """The creator's videos, the newest first; only those posted at `since` or later."""
        cursor: int | None = None
        for _ in range(MAX_PAGES):
            wanted = {"max_count": MOST_VIDEOS} | ({} if cursor is None else {"cursor": cursor})
            data = await self._post("video/list/", wanted)
            videos = self._videos_in(data)
            recent = [video for video in videos if since is None or video.created_at >= since]
            for video in recent:
                yield video
            # A pinned video may stand among newer ones: only a whole page of old ones is the end.
            if data.get("has_more") is not True or (videos and not recent):
                return
            following = data.get("cursor")
            if not isinstance(following, int) or following == cursor:
                raise self.error("a list whose next page is the same page", Consequence.INVALID)
            cursor = following
        raise self.error(f"a list of more than {MAX_PAGES} pages", Consequence.SPLIT)

    async def videos_of(self, ids: Iterable[str]) -> dict[str, Video]:
        """Those of the videos that are the creator's and still there, by id."""
        wanted = list(dict.fromkeys(ids))
        found: dict[str, Video] = {}
        for start in range(0, len(wanted), MOST_VIDEOS):
            filters = {"filters": {"video_ids": wanted[start : start + MOST_VIDEOS]}}
            for video in self._videos_in(await self._post("video/query/", filters)):
                found[video.id] = video
        return found

    def authorization(self, token: str) -> Mapping[str, str]:
        """A bearer token."""
        return {"authorization": f"Bearer {token}"}

    def read(self, call: Call, reply: Reply, now: datetime) -> tuple[Json, str | None] | Fault:
        """The data of the envelope."""
        envelope = refusals.read(reply.status, reply.body)
        if isinstance(envelope, Refusal):
            return Fault(
                envelope.consequence,
                envelope.code,
                envelope.message,
                _log_id(object_in(reply.body) or {}),
                wait=RATE_WAIT if envelope.consequence is Consequence.RATE else None,
            )
        data = envelope.get("data")
        if not isinstance(data, dict):
            return Fault(Consequence.INVALID, UNREADABLE, "an answer without data")
        return data, _log_id(envelope)

    async def _user_by_scope(self, scopes: Sequence[str]) -> Json:
        user: dict[str, Any] = {}
        for scope in scopes:
            try:
                user |= await self._user([scope])
            except PlatformError as error:
                if error.consequence is not Consequence.PERM or scope == BASIC:
                    raise
        return user

    async def _user(self, scopes: Sequence[str]) -> Json:
        fields = ",".join(field for scope in scopes for field in FIELDS_BY_SCOPE[scope])
        path = "user/info/"
        data = await self.ask(Call("GET", f"/v2/{path}", {"fields": fields}, owner=self._owner(path)))
        user = data.get("user")
        if not isinstance(user, dict):
            raise self.error("an answer without a user", Consequence.INVALID)
        return user

    async def _post(self, path: str, body: Json) -> Json:
        params = {"fields": _VIDEO_FIELDS}
        return await self.ask(Call("POST", f"/v2/{path}", params, body, owner=self._owner(path)))

    def _owner(self, path: str) -> str:
        """Every endpoint has a limit of its own, which one creator's calls must not use up for the others."""
        return f"{self._connection.id}/{path.rstrip('/')}"

    def _videos_in(self, data: Json) -> list[Video]:
        rows = data.get("videos")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self.error("an answer without videos", Consequence.INVALID)
        return [self._video(row) for row in rows]

    def _profile(self, user: Json) -> Profile:
        try:
            return Profile(
                open_id=str(user["open_id"]),
                name=str(user.get("display_name") or user["open_id"]),
                username=_text(user.get("username")),
                followers=_count_or_none(user.get("follower_count")),
                following=_count_or_none(user.get("following_count")),
                likes=_count_or_none(user.get("likes_count")),
                videos=_count_or_none(user.get("video_count")),
                url=_text(user.get("profile_deep_link")),
            )
        except (KeyError, ValueError) as error:
            raise self.error(f"a profile that cannot be read: {error}", Consequence.INVALID) from error

    def _video(self, row: Json) -> Video:
        try:
            return Video(
                id=_id(row["id"]),
                created_at=datetime.fromtimestamp(_count(row["create_time"]), UTC),
                title=_text(row.get("title")) or _text(row.get("video_description")) or "",
                url=_text(row.get("share_url")) or "",
                duration=_count(row.get("duration")),
                views=_count(row.get("view_count")),
                likes=_count(row.get("like_count")),
                comments=_count(row.get("comment_count")),
                shares=_count(row.get("share_count")),
            )
        except (KeyError, ValueError, OverflowError, OSError) as error:
            raise self.error(f"a video that cannot be read: {error}", Consequence.INVALID) from error


def _log_id(envelope: Json) -> str | None:
    error = envelope.get("error")
    return _text(error.get("log_id")) if isinstance(error, dict) else None


def _id(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"not an id: {value!r}")
    return value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int:
    count = _count_or_none(value)
    return 0 if count is None else count


def _count_or_none(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"not a count: {value!r}")
    return value
