"""One HTTP request and its answer, as the platforms see them."""

import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

Headerlist = list[tuple[str, str]]

JSON_UTF8 = "application/json; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came in a multipart body."""

    filename: str
    content_type: str
    content: bytes


class UnreadableBody(Exception):
    """The body does not parse as what its content type promises."""


@dataclass(slots=True)
class Call:
    """A request whose body has been read; header names are lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    base_url: str
    form: dict[str, object] = field(default_factory=dict)
    """Fields of a form or members of a JSON object."""
    files: dict[str, Upload] = field(default_factory=dict)
    unreadable: str = ""
    """Why the body does not parse; empty when it does."""
    directive: str = ""
    """A fault only the platform itself can carry out, such as "report_failed"."""

    def text_params(self) -> dict[str, str]:
        """Query and form as text, the form winning; members that are not text are JSON-encoded."""
        if not self.form:
            return self.query
        merged = dict(self.query)
        for name, value in self.form.items():
            merged[name] = value if isinstance(value, str) else json.dumps(value)
        return merged

    def params(self) -> dict[str, object]:
        """Query and form with JSON types kept, the form winning."""
        return {**self.query, **self.form}


class Stream(Protocol):
    """A body too large to hold: ``size`` bytes that are made as they are sent."""

    @property
    def size(self) -> int: ...

    def read(self, start: int = 0, stop: int | None = None) -> Iterable[bytes]:
        """The bytes from ``start`` up to ``stop``, in pieces."""


@dataclass(slots=True)
class Answer:
    """What goes back to the client."""

    status: int
    body: bytes
    content_type: str = JSON_UTF8
    headers: Headerlist = field(default_factory=list)
    stream: Stream | None = None
    """Takes the place of ``body``."""

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return len(self.body) if self.stream is None else self.stream.size

    def pieces(self, stop: int | None = None) -> Iterable[bytes]:
        """The body up to ``stop``."""
        return (self.body[:stop],) if self.stream is None else self.stream.read(0, stop)

    @classmethod
    def of_json(cls, status: int, payload: object, headers: Headerlist | None = None) -> "Answer":
        """Encode ``payload`` compactly."""
        return cls(status, json.dumps(payload, separators=(",", ":")).encode(), headers=headers or [])


def parse_query(raw: bytes) -> dict[str, str]:
    """The query string as a dict; the last of repeated names wins, as Graph and the Bot API do."""
    if not raw:
        return {}
    return dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace"))


async def parse_body(call: Call) -> None:
    """Fill ``call.form`` and ``call.files`` from the body, or ``call.unreadable``."""
    try:
        await _parse(call)
    except UnreadableBody as error:
        call.unreadable = str(error)


async def _parse(call: Call) -> None:
    content_type = call.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        call.form.update(
            parse_qsl(call.body.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace")
        )
    elif kind == "application/json":
        try:
            document = json.loads(call.body)
        except ValueError as error:
            raise UnreadableBody(str(error)) from None
        if not isinstance(document, dict):
            raise UnreadableBody("object expected")
        call.form.update(document)
    elif kind == "multipart/form-data":
        await _parse_multipart(call, content_type)


async def _parse_multipart(call: Call, content_type: str) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield call.body

    headers = Headers({"content-type": content_type})
    try:
        parsed = await MultiPartParser(headers, stream(), max_part_size=64 * 1024 * 1024).parse()  # type: ignore[arg-type]
    except (MultiPartException, KeyError) as error:
        raise UnreadableBody(str(error)) from None
    try:
        for name, value in parsed.multi_items():
            if isinstance(value, UploadFile):
                content = await value.read()
                call.files[name] = Upload(value.filename or "", value.content_type or "", content)
            else:
                call.form[name] = value
    finally:
        await parsed.close()
