"""Downloading one file of a recording into the store: streamed, measured, and never a page to sign in at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus

import httpx
from opentelemetry.trace import SpanKind

from common.clock import utc_now
from common.errors import BlockedAddress, Consequence, PlatformError
from common.http import ResponseTooLarge
from common.recordings.files import RecordedFile
from common.recordings.store import RecordingStore, Written
from common.secrets.redaction import hide_secrets
from common.telemetry import span
from executor.recordings.steps.download_hosts import DownloadHosts
from platforms.calls.answers import Refusal
from platforms.calls.credentials import Credential
from platforms.zoom import refusals
from platforms.zoom.usage import seconds_to_wait

PLATFORM = "zoom"
MAX_REDIRECTS = 5
SNIFFED = 512
"""Bytes at the beginning of a file that are looked at before any of it is stored."""
_TOLERATED = 1
"""Percent by which a file may be smaller than Zoom's list says, where nothing else tells its size."""
_KEPT_REFUSAL = 64 * 1024
_SIGN_IN = "sign_in_page"
_KEY_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


def looks_like_html(beginning: bytes) -> bool:
    """Whether a file begins as a web page does. No film, sound, transcript or chat does."""
    start = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()[:64].lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<!doctype\thtml"))


class Downloader:
    """Downloads of one process. `max_bytes` is for one file, `timeout` in seconds for each step of it."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        store: RecordingStore,
        hosts: DownloadHosts,
        *,
        max_bytes: int,
        timeout: float,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._http = http
        self._store = store
        self._hosts = hosts
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._now = now

    async def fetch(
        self, file: RecordedFile, path: str, credential: Credential, *, download_token: str | None
    ) -> Written:
        """Store `file` at `path`.

        The download token is tried first where there is one, then the account's token, renewed once when it
        is refused.

        Raises:
            PlatformError: it cannot be had, or not now; nothing is stored then.
            StoreFault: the store does not take it.
        """

        async def with_key(key: str) -> Written:
            secrets = [key, *credential.seen, *([download_token] if download_token else [])]
            return await self._fetch(file, path, key, _Errors(secrets))

        if download_token is not None:
            try:
                return await with_key(download_token)
            except PlatformError as error:
                if error.http_status not in _KEY_REFUSED and error.code != _SIGN_IN:
                    raise
        return await _renewing(credential, with_key)

    async def _fetch(self, file: RecordedFile, path: str, key: str, errors: _Errors) -> Written:
        async with self._answer(file.url, key, errors) as response:
            announced = _length(response)
            if announced is not None and announced > self._max_bytes:
                raise self._too_large(errors)
            least = _least(file, response)
            return await self._store.put(path, self._pieces(response, announced, least, errors))

    @asynccontextmanager
    async def _answer(self, address: str, key: str, errors: _Errors) -> AsyncIterator[httpx.Response]:
        """The answer that is the file; follows the platform's redirects. The span ends with the headers."""
        url = _url(address, errors)
        if not self._hosts.is_own(url):
            raise errors.error(
                f"the file is not at one of the platform's own hosts but at {url.host}", Consequence.INVALID
            )
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._get(url, key, errors)
            try:
                if response.is_redirect:
                    url = self._following(url, response, errors)
                    continue
                await self._check(response, is_own=self._hosts.is_own(url), errors=errors)
                yield response
                return
            finally:
                await response.aclose()
        raise errors.error(f"more than {MAX_REDIRECTS} redirects", Consequence.INVALID)

    async def _get(self, url: httpx.URL, key: str, errors: _Errors) -> httpx.Response:
        headers = {"accept-encoding": "identity"}
        if self._hosts.is_own(url):
            headers["authorization"] = f"Bearer {key}"
        # Path and query stay out of the span: behind a redirect they are the permission to read the file.
        attributes = {"http.request.method": "GET", "server.address": url.host}
        with span("GET recording file", kind=SpanKind.CLIENT, attributes=attributes) as current:
            request = self._http.build_request(
                "GET",
                url,
                headers=headers,
                timeout=httpx.Timeout(self._timeout),
                extensions={"max_body": self._max_bytes},
            )
            try:
                response = await self._http.send(request, stream=True, follow_redirects=False)
            except BlockedAddress as error:
                raise errors.error(error.detail, Consequence.INVALID, code="blocked_address") from error
            except httpx.TransportError as error:
                raise errors.broken_off(error) from error
            current.set_attribute("http.response.status_code", response.status_code)
            return response

    def _following(self, url: httpx.URL, response: httpx.Response, errors: _Errors) -> httpx.URL:
        following = _url(str(url.join(response.headers.get("location", ""))), errors)
        if not self._hosts.allows(following):
            raise errors.error(
                f"the download leads to {following.host}, which is not among ZOOM_DOWNLOAD_HOSTS",
                Consequence.INVALID,
                code="foreign_host",
            )
        return following

    async def _check(self, response: httpx.Response, *, is_own: bool, errors: _Errors) -> None:
        status = response.status_code
        if status == HTTPStatus.OK:
            if response.headers.get("content-type", "").lower().startswith("text/html"):
                raise errors.sign_in()
            return
        body = await _beginning(response)
        if not is_own and status in _KEY_REFUSED:
            # The address was the permission and no token was shown: it has expired on the way.
            raise errors.error("the link to the file has expired", Consequence.TRANSIENT, code=str(status))
        refusal = refusals.read(status, body)
        if not isinstance(refusal, Refusal) or status < HTTPStatus.BAD_REQUEST:
            raise errors.error(f"HTTP {status} instead of the file", Consequence.TRANSIENT, code=str(status))
        consequence, wait = refusal.consequence, None
        if status in _GONE:
            consequence = Consequence.GONE
        elif status in _KEY_REFUSED and looks_like_html(body):
            raise errors.sign_in(status)
        elif consequence is Consequence.RATE:
            wait = seconds_to_wait(response.headers, refusal.message, now=self._now())
        raise errors.error(
            refusal.message, consequence, code=refusal.code, http_status=status, retry_after=wait
        )

    async def _pieces(
        self, response: httpx.Response, announced: int | None, least: int, errors: _Errors
    ) -> AsyncIterator[bytes]:
        """The body, unless it is a web page or not as long as it should be.

        `announced` is its Content-Length, which decides; it never has fewer than `least` bytes.
        """
        received, held = 0, b""
        is_checked = False
        try:
            async for piece in response.aiter_raw():
                received += len(piece)
                if is_checked:
                    yield piece
                    continue
                held += piece
                if len(held) >= SNIFFED:
                    is_checked = _checked(held, errors)
                    yield held
        except httpx.TransportError as error:
            raise errors.broken_off(error) from error
        except ResponseTooLarge as error:
            raise self._too_large(errors) from error
        if not is_checked:
            _checked(held, errors)
            yield held
        if received < least or (announced is not None and received != announced):
            raise errors.error(
                f"{received} bytes came where {announced or least} were told",
                Consequence.TRANSIENT,
                code="wrong_size",
            )

    def _too_large(self, errors: _Errors) -> PlatformError:
        return errors.error(
            f"the file is larger than {self._max_bytes} bytes (RECORDING_MAX_BYTES)",
            Consequence.SPLIT,
            code="too_large",
        )


async def _renewing(credential: Credential, fetch: Callable[[str], Awaitable[Written]]) -> Written:
    """With the account's token; once more with another when it is refused."""
    token = await credential.current()
    try:
        return await fetch(token)
    except PlatformError as error:
        if error.consequence is not Consequence.REFRESH:
            raise
    token = await credential.renewed(token)
    try:
        return await fetch(token)
    except PlatformError as error:
        if error.consequence is not Consequence.REFRESH:
            raise
        # The token is new, so that it is not the token: the account may not have this file.
        raise PlatformError(
            f"{error.detail}, although the token was just renewed: the account may not have this recording",
            Consequence.PERM if error.code == _SIGN_IN else Consequence.REAUTH,
            platform=PLATFORM,
            code=error.code,
            http_status=error.http_status,
        ) from error


class _Errors:
    """Errors of one download whose texts are free of its keys."""

    def __init__(self, secrets: list[str]) -> None:
        self._secrets = secrets

    def error(
        self,
        detail: str,
        consequence: Consequence,
        *,
        code: str | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> PlatformError:
        return PlatformError(
            f"Zoom: {hide_secrets(detail, self._secrets, limit=300)}",
            consequence,
            platform=PLATFORM,
            code=code,
            http_status=http_status,
            retry_after=retry_after,
        )

    def sign_in(self, status: int = HTTPStatus.OK) -> PlatformError:
        return self.error(
            "a page to sign in at came instead of the file",
            Consequence.REFRESH,
            code=_SIGN_IN,
            http_status=status,
        )

    def broken_off(self, error: httpx.TransportError) -> PlatformError:
        return self.error(
            f"the download broke off ({type(error).__name__})", Consequence.TRANSIENT, code="broken_off"
        )


def _checked(beginning: bytes, errors: _Errors) -> bool:
    if looks_like_html(beginning):
        raise errors.sign_in()
    return True


def _url(address: str, errors: _Errors) -> httpx.URL:
    try:
        return httpx.URL(address)
    except httpx.InvalidURL as error:
        raise errors.error("the file's address cannot be read", Consequence.INVALID) from error


def _length(response: httpx.Response) -> int | None:
    told = response.headers.get("content-length", "")
    return int(told) if told.isascii() and told.isdecimal() else None


def _least(file: RecordedFile, response: httpx.Response) -> int:
    """How many bytes must come: HTTP frames most answers, and the list's size is only an estimate.

    Where the end of the connection is the end of the file, the list alone can tell one that broke off.
    """
    is_framed = not {"content-length", "transfer-encoding"}.isdisjoint(response.headers)
    return min(file.bytes, 1) if is_framed else file.bytes - file.bytes * _TOLERATED // 100


async def _beginning(response: httpx.Response) -> bytes:
    body = bytearray()
    try:
        async for piece in response.aiter_raw():
            body += piece
            if len(body) >= _KEPT_REFUSAL:
                break
    except (httpx.TransportError, ResponseTooLarge):
        # The status alone says enough.
        return bytes(body)
    return bytes(body)
