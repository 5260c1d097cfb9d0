"""Listing, showing and deleting recordings."""

from typing import Any
from urllib.parse import unquote

from sandbox.clock import Clock
from sandbox.settings import Settings
from sandbox.world.recorded_meetings import Recording
from sandbox.world.zoom_account import Host
from sandbox.zoom.errors import ZoomError, invalid_field, no_such_meeting
from sandbox.zoom.habits import Habits
from sandbox.zoom.library import Library
from sandbox.zoom.paging import Pages
from sandbox.zoom.request import ZoomRequest, whole_number
from sandbox.zoom.scopes import (
    DELETE_ANY_RECORDING,
    DELETE_RECORDING,
    LIST_ANY_RECORDINGS,
    LIST_RECORDINGS,
    READ_ANY_RECORDING,
    READ_RECORDING,
)
from sandbox.zoom.span import Span, span_of
from sandbox.zoom.tokens import DOWNLOAD_LIFE, Tokens
from sandbox.zoom.users import Users
from sandbox.zoom.views import iso, meeting

_LONGEST_LIFE = 604_800
_LARGEST_ID = (1 << 63) - 1
_TRASH_TYPES = ("", "meeting_recordings", "recording_file")


class Recordings:
    """The endpoints about recordings."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        habits: Habits,
        library: Library,
        users: Users,
        tokens: Tokens,
        pages: Pages,
    ) -> None:
        self._account_id = settings.zoom_account_id
        self._clock = clock
        self._habits = habits
        self._library = library
        self._users = users
        self._tokens = tokens
        self._pages = pages

    def list(self, request: ZoomRequest, user_id: str) -> dict[str, Any]:
        """GET /users/{userId}/recordings"""
        host = self._users.named(request, user_id, LIST_RECORDINGS, LIST_ANY_RECORDINGS)
        span = span_of(request.params, self._clock.instant().date(), clamp=self._habits.clamp)
        size = request.page_size()
        request.flag("mc")
        if request.params.get("trash_type", "") not in _TRASH_TYPES:
            raise invalid_field("trash_type")
        if request.flag("trash"):
            return self._trash(request, host, span, size)
        meeting_id = request.whole("meeting_id", _LARGEST_ID)
        asked = ("recordings", host.id, span.first, span.last, size, meeting_id)
        position = self._pages.position(request.params.get("next_page_token", ""), asked)
        after = (position[0], position[1], position[2]) if position else None
        found = self._library.page(host, span.low, span.high, size + 1, after=after, meeting_id=meeting_id)
        more = len(found) > size
        found = found[:size]
        return {
            **self._head(span, size, self._library.count(host, span.low, span.high, meeting_id)),
            "next_page_token": self._pages.token(asked, found[-1].key) if more else "",
            "meetings": [self._show(recording, request.base_url) for recording in found],
        }

    def show(self, request: ZoomRequest, name: str) -> dict[str, Any]:
        """GET /meetings/{meetingId}/recordings"""
        recording = self._named(request, name, READ_RECORDING, READ_ANY_RECORDING)
        document = {
            **self._show(recording, request.base_url),
            "password": recording.passcode,
            "participant_audio_files": [],
        }
        lifetime = request.whole("ttl", _LONGEST_LIFE)
        if "download_access_token" in request.params.get("include_fields", "").split(","):
            seconds = DOWNLOAD_LIFE if lifetime is None else lifetime
            document["download_access_token"] = self._tokens.download(recording.uuid, seconds)
        return document

    def delete(self, request: ZoomRequest, name: str) -> None:
        """DELETE /meetings/{meetingId}/recordings"""
        recording = self._named(request, name, DELETE_RECORDING, DELETE_ANY_RECORDING)
        action = request.params.get("action", "") or "trash"
        if action not in ("trash", "delete"):
            raise invalid_field("action")
        self._library.remove(recording, for_good=action == "delete")

    def _named(
        self, request: ZoomRequest, name: str, own: tuple[str, ...], anybodys: tuple[str, ...]
    ) -> Recording:
        """The recording of that UUID, or the latest of a meeting by its number."""
        request.require(own, anybodys, of_others=False)
        of_anybody = request.identity.may(*anybodys)
        meeting_id = whole_number(name)
        if meeting_id is not None:
            recording = self._library.latest(meeting_id)
            if recording is None:
                raise no_such_meeting(name)
        else:
            recording = self._library.find(self._uuid(name))
        host = request.identity.host
        if recording is None or not (of_anybody or recording.host.number == host.number):
            raise ZoomError(3301)
        return recording

    def _uuid(self, name: str) -> str:
        """A UUID encoded twice still holds a percent sign; one encoded once holds what it is."""
        if "%" in name:
            return unquote(name)
        if self._habits.strict_uuids and (name.startswith("/") or "//" in name):
            raise ZoomError(3301)
        return name

    def _trash(self, request: ZoomRequest, host: Host, span: Span, size: int) -> dict[str, Any]:
        removed = self._library.trash(host, span.low, span.high)
        asked = ("trash", host.id, span.first, span.last, size)
        position = self._pages.position(request.params.get("next_page_token", ""), asked)
        start = position[0] if position else 0
        more = start + size < len(removed)
        meetings = [
            {**self._show(removal.recording, request.base_url), "deleted_time": iso(removal.at)}
            for removal in removed[start : start + size]
        ]
        return {
            **self._head(span, size, len(removed)),
            "next_page_token": self._pages.token(asked, (start + size,)) if more else "",
            "meetings": meetings,
        }

    def _head(self, span: Span, size: int, total: int) -> dict[str, Any]:
        return {
            "from": span.first.isoformat(),
            "to": span.last.isoformat(),
            "page_count": -(-total // size),
            "page_size": size,
            "total_records": total,
        }

    def _show(self, recording: Recording, base_url: str) -> dict[str, Any]:
        return meeting(recording, self._clock.now(), base_url, self._account_id, self._habits.size_difference)
