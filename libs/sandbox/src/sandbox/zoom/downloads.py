"""Downloading files: who may is asked at one address, and the file comes from another."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.clock import Clock
from sandbox.exchange import Answer, Call, Headerlist
from sandbox.world.media import Media
from sandbox.world.recorded_meetings import RecordedFile, Recording
from sandbox.zoom.errors import ZoomError
from sandbox.zoom.habits import Habits
from sandbox.zoom.library import Library
from sandbox.zoom.scopes import LIST_ANY_RECORDINGS, LIST_RECORDINGS, READ_ANY_RECORDING, READ_RECORDING
from sandbox.zoom.sealed import Seal
from sandbox.zoom.tokens import Tokens
from sandbox.zoom.views import file_name, named_file

_LINK_LIFE = 600
_KIND = "file"
_CONTENT_TYPES = {
    "MP4": "video/mp4",
    "M4A": "audio/mp4",
    "VTT": "text/vtt",
    "TXT": "text/plain",
    "JSON": "application/json",
}
_SIGN_IN = (
    "<!DOCTYPE html><html><head><title>Sign In - Zoom</title></head><body><h1>Sign In</h1>"
    "<p>You must sign in to view this recording.</p></body></html>"
)
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_OWN = (*READ_RECORDING, *LIST_RECORDINGS)
_ANYBODYS = (*READ_ANY_RECORDING, *LIST_ANY_RECORDINGS)


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of a file."""

    media: Media
    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start

    def read(self, start: int = 0, stop: int | None = None) -> Iterable[bytes]:
        upto = self.stop if stop is None else min(self.start + stop, self.stop)
        return self.media.read(self.start + start, upto)


class Downloads:
    """/rec/download/… and /files/…"""

    def __init__(self, clock: Clock, habits: Habits, library: Library, tokens: Tokens, seal: Seal) -> None:
        self._clock = clock
        self._habits = habits
        self._library = library
        self._tokens = tokens
        self._seal = seal

    def redirect(self, call: Call, name: str) -> Answer:
        """To the file, for who may have it; else the page to sign in at."""
        recording, file = self._find(name)
        if not self._may(_token(call), recording):
            return self.sign_in()
        link = self._seal.mint(_KIND, _LINK_LIFE, file=name)
        extension = file.extension.lower()
        address = f"{call.base_url}/zoom/files/{name}.{extension}?Signature={link}"
        return Answer(302, b"", "text/html; charset=utf-8", [("location", address)])

    def file(self, call: Call, name: str) -> Answer:
        """The file or the stretch of it that was asked for; the address itself is the permission."""
        name = name.partition(".")[0]
        claims = self._seal.read(call.query.get("Signature", ""), _KIND)
        if claims is None or claims["file"] != name or self._seal.has_expired(claims):
            return Answer(403, b"<Error><Code>AccessDenied</Code></Error>", "application/xml")
        recording, file = self._find(name)
        return _serve(call, recording, file)

    def sign_in(self) -> Answer:
        """How a download without a valid token is answered."""
        if self._habits.download_refusal == 200:
            return Answer(200, _SIGN_IN.encode(), "text/html; charset=utf-8")
        error = ZoomError(124) if self._habits.download_refusal == 401 else ZoomError(200)
        return Answer.of_json(self._habits.download_refusal, error.body())

    def _find(self, name: str) -> tuple[Recording, RecordedFile]:
        named = named_file(name)
        recording = self._library.find(named[0]) if named else None
        if named is None or recording is None or not 0 <= named[1] < len(recording.files):
            raise ZoomError(3301)
        file = recording.files[named[1]]
        if file.ready_at > self._clock.now():
            raise ZoomError(3301)
        return recording, file

    def _may(self, token: str, recording: Recording) -> bool:
        if self._tokens.opens(token, recording.uuid):
            return True
        try:
            identity = self._tokens.identify(token)
        except ZoomError:
            return False
        if identity.may(*_ANYBODYS):
            return True
        return identity.may(*_OWN) and identity.host.number == recording.host.number


def _token(call: Call) -> str:
    scheme, _, credentials = call.headers.get("authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else call.query.get("access_token", "")


def _serve(call: Call, recording: Recording, file: RecordedFile) -> Answer:
    filename = f"{file.recording_type}_{recording.meeting_id}.{file.extension.lower()}"
    headers: Headerlist = [
        ("content-disposition", f'attachment; filename="{filename}"'),
        ("accept-ranges", "bytes"),
        ("etag", f'"{file_name(recording.uuid, file.slot)}"'),
    ]
    content_type = _CONTENT_TYPES[file.extension]
    size = file.media.size
    first, last = _wanted(call.headers.get("range", ""))
    if first is None and last is None:
        return Answer(200, b"", content_type, headers, file.media)
    start = max(size - (last or 0), 0) if first is None else first
    stop = size if first is None or last is None else min(last + 1, size)
    if start >= stop:
        return Answer(416, b"", content_type, [*headers, ("content-range", f"bytes */{size}")])
    headers.append(("content-range", f"bytes {start}-{stop - 1}/{size}"))
    return Answer(206, b"", content_type, headers, _Part(file.media, start, stop))


def _wanted(header: str) -> tuple[int | None, int | None]:
    """First and last byte of a single range; without a first the last so many, without both all."""
    found = _RANGE.fullmatch(header)
    if found is None:
        return None, None
    first, last = (int(digits) if digits else None for digits in found.groups())
    backwards = first is not None and last is not None and last < first
    return (None, None) if backwards else (first, last)
