"""Speech to text by any server with the interface of OpenAI's `POST /v1/audio/transcriptions`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx
from opentelemetry.trace import SpanKind

from common.clock import utc_now
from common.errors import BlockedAddress, Consequence, RemoteError
from common.http import ResponseTooLarge, parse_retry_after
from common.recordings.settings import TranscriptionSettings
from common.secrets.redaction import hide_secrets
from common.telemetry import span
from executor.recordings.steps.multipart import FileForm
from executor.recordings.steps.webvtt import is_vtt
from platforms.calls.answers import by_status, object_in, one_line
from platforms.calls.exchange import server_attributes

PATH = "/v1/audio/transcriptions"
MAX_TRANSCRIPT = 16 * 1024 * 1024
"""Bytes of a transcript; a day of speech has less."""
_OUT_OF_CREDIT = "insufficient_quota"


class TranscriptionFailed(RemoteError):
    """The endpoint did not make a transcript."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A file to listen to. `name` ends in its extension, by which endpoints know the format."""

    name: str
    type: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who listens. `max_bytes` is the largest file it takes, `timeout` in seconds for its answer."""

    base_url: str
    model: str
    max_bytes: int
    timeout: float
    key: str | None = field(default=None, repr=False)


class SpeechToText:
    """Asks one endpoint."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        endpoint: Endpoint,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._http = http
        self._endpoint = endpoint
        self._now = now
        self._server = server_attributes(endpoint.base_url)

    def model(self, settings: TranscriptionSettings) -> str:
        """The model that is asked for."""
        return settings.model or self._endpoint.model

    async def transcribe(
        self, sound: Sound, content: AsyncIterable[bytes], settings: TranscriptionSettings
    ) -> str:
        """What is said, as WebVTT. Raises TranscriptionFailed."""
        if sound.bytes > self._endpoint.max_bytes:
            raise TranscriptionFailed(
                f"the recording's sound has {sound.bytes} bytes and the transcription endpoint takes "
                f"{self._endpoint.max_bytes} at most: let it take more (TRANSCRIPTION_MAX_BYTES), or set "
                "skip_transcription",
                Consequence.SPLIT,
                code="too_large",
            )
        form = FileForm(self._fields(settings), "file", sound.name, sound.type, sound.bytes)
        headers = {"content-type": form.content_type, "content-length": str(form.length)}
        if self._endpoint.key:
            headers["authorization"] = f"Bearer {self._endpoint.key}"
        attributes = {"http.request.method": "POST", "url.template": PATH, **self._server}
        with span(f"POST {PATH}", kind=SpanKind.CLIENT, attributes=attributes) as current:
            try:
                response = await self._http.post(
                    self._endpoint.base_url.rstrip("/") + PATH,
                    content=form.stream(content),
                    headers=headers,
                    timeout=httpx.Timeout(self._endpoint.timeout, connect=10.0),
                    extensions={"max_body": MAX_TRANSCRIPT},
                )
            except BlockedAddress as error:
                raise TranscriptionFailed(
                    f"{error.detail} (name it in OUTBOUND_ALLOWED_HOSTS)",
                    Consequence.INVALID,
                    code="blocked_address",
                ) from error
            except httpx.TransportError as error:
                raise TranscriptionFailed(
                    f"the transcription endpoint gave no answer ({type(error).__name__})",
                    Consequence.TRANSIENT,
                    code="no_answer",
                ) from error
            except ResponseTooLarge as error:
                raise TranscriptionFailed(error.detail, Consequence.INVALID, code="too_large") from error
            current.set_attribute("http.response.status_code", response.status_code)
            return self._read(response)

    def _fields(self, settings: TranscriptionSettings) -> dict[str, str]:
        fields = {"model": self.model(settings), "response_format": "vtt"}
        if settings.language:
            # The endpoint knows languages, not their regions.
            fields["language"] = settings.language.partition("-")[0].lower()
        if settings.prompt:
            fields["prompt"] = settings.prompt
        return fields

    def _read(self, response: httpx.Response) -> str:
        if response.status_code != HTTPStatus.OK:
            raise refusal(
                response.status_code,
                response.content,
                retry_after=parse_retry_after(response.headers.get("retry-after"), now=self._now()),
                key=self._endpoint.key,
            )
        vtt = response.content.decode("utf-8", "replace")
        if not is_vtt(vtt):
            raise TranscriptionFailed(
                f"{urlsplit(self._endpoint.base_url).hostname} answers with something else than WebVTT: its "
                f"model may not know `response_format` vtt",
                Consequence.INVALID,
                code="not_vtt",
            )
        return vtt


def refusal(
    status: int, body: bytes, *, retry_after: float | None, key: str | None = None
) -> TranscriptionFailed:
    """What an answer that is no transcript asks of us. Pure."""
    document = object_in(body) or {}
    error = document.get("error")
    told = error if isinstance(error, dict) else {}
    code = told.get("code") if isinstance(told.get("code"), str) else None
    detail = one_line(told.get("message") or (error if isinstance(error, str) else "")) or f"HTTP {status}"
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            # Endpoints repeat a part of the key they refuse.
            detail, consequence = "it refuses the key: check TRANSCRIPTION_API_KEY", Consequence.INVALID
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            consequence = Consequence.SPLIT
        case HTTPStatus.TOO_MANY_REQUESTS if code == _OUT_OF_CREDIT:
            consequence = Consequence.BLOCKED
        case HTTPStatus.NOT_FOUND | HTTPStatus.CONFLICT:
            consequence = Consequence.INVALID
        case _:
            consequence = by_status(status)
    return TranscriptionFailed(
        f"the transcription endpoint: {hide_secrets(detail, [key] if key else (), limit=300)}",
        consequence,
        code=code or str(status),
        http_status=status,
        retry_after=retry_after,
    )
