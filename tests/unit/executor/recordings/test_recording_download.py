"""Downloading: whom the token is shown, what counts as the file, and what is left when it was none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from common.errors import BlockedAddress, Consequence, PlatformError
from common.recordings.files import RecordedFile
from common.recordings.settings import FileKind
from common.recordings.store import RecordingStore, Written
from executor.recordings.steps.download import MAX_REDIRECTS, Downloader, looks_like_html
from executor.recordings.steps.download_hosts import DownloadHosts
from tests.support.fake_receiver import client_of

NOW = datetime(2026, 11, 4, 6, 0, tzinfo=UTC)
FILM = bytes(range(256)) * 40
PATH = "team/recordings/one/video.mp4"
ADDRESS = "https://us02web.zoom.us/rec/download/abc"
SIGN_IN = b"<!DOCTYPE html><html><head><title>Sign In - Zoom</title></head></html>"
HOSTS = DownloadHosts.of("https://api.zoom.us/v2", ["cloudfront.net"])

Handler = Callable[[httpx.Request], httpx.Response]


class Account:
    """A credential whose tokens are `token-1`, then `token-2`, as long as there are any."""

    def __init__(self, renewals: int = 1) -> None:
        self.number, self._renewals = 1, renewals
        self.blamed: int | None = None

    @property
    def seen(self) -> Sequence[str]:
        return [f"token-{number}" for number in range(1, self.number + 1)]

    async def current(self) -> str:
        return f"token-{self.number}"

    async def renewed(self, rejected: str) -> str:
        assert rejected == f"token-{self.number}"
        if not self._renewals:
            raise PlatformError("connect the account again", Consequence.REAUTH, platform="zoom")
        self._renewals -= 1
        self.number += 1
        return f"token-{self.number}"


class DownloadHarness:
    """A downloader between a vendor made up of a function and a folder."""

    def __init__(self, folder: Path, *, max_bytes: int = 1_000_000) -> None:
        self.store = RecordingStore.open((folder / "store").as_uri())
        self.folder = folder / "store"
        self.requests: list[httpx.Request] = []
        self.max_bytes = max_bytes

    async def fetch(
        self,
        handler: Handler,
        *,
        account: Account | None = None,
        download_token: str | None = None,
        url: str = ADDRESS,
        size: int = len(FILM),
    ) -> Written:
        def noted(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return handler(request)

        file = RecordedFile(id="1", kind=FileKind.VIDEO, bytes=size, url=url)
        async with client_of(noted) as http:
            downloader = Downloader(
                http, self.store, HOSTS, max_bytes=self.max_bytes, timeout=5, now=lambda: NOW
            )
            return await downloader.fetch(file, PATH, account or Account(), download_token=download_token)

    async def refused(self, handler: Handler, **more: Any) -> PlatformError:
        """What is raised; nothing may be in the store then."""
        with pytest.raises(PlatformError) as caught:
            await self.fetch(handler, **more)
        assert await self.store.size(PATH) is None
        assert [path for path in self.folder.rglob("*") if path.is_file()] == []
        return caught.value

    @property
    def keys(self) -> list[str | None]:
        """What each request was authorised with."""
        return [request.headers.get("authorization") for request in self.requests]


@pytest.fixture
def harness(tmp_path: Path) -> DownloadHarness:
    return DownloadHarness(tmp_path)


def film(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=FILM, headers={"content-type": "video/mp4"})


def page(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=SIGN_IN, headers={"content-type": "text/html; charset=utf-8"})


def json_error(status: int, code: int, **headers: str) -> Handler:
    body = {"code": code, "message": "No."}
    return lambda _request: httpx.Response(status, json=body, headers=headers)


def redirect(to: str, then: Handler = film) -> Handler:
    def handler(request: httpx.Request) -> httpx.Response:
        return (
            httpx.Response(302, headers={"location": to})
            if request.url.path.startswith("/rec")
            else then(request)
        )

    return handler


async def test_the_file_is_stored_and_measured(harness: DownloadHarness) -> None:
    written = await harness.fetch(film)
    assert written.bytes == len(FILM)
    assert b"".join([piece async for piece in harness.store.read(PATH)]) == FILM
    assert harness.keys == ["Bearer token-1"]
    assert harness.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("to", "shown"),
    [
        ("https://file.zoom.us/files/abc?Signature=xyz", "Bearer token-1"),
        ("/files/abc", "Bearer token-1"),
        ("https://d1.cloudfront.net/abc?Signature=xyz", None),
    ],
    ids=["another host of Zoom's", "relative", "somebody else's host"],
)
async def test_the_token_follows_to_the_platforms_own_hosts_only(
    harness: DownloadHarness, to: str, shown: str | None
) -> None:
    await harness.fetch(redirect(to))
    assert harness.keys == ["Bearer token-1", shown]
    assert all("token-1" not in str(request.url) for request in harness.requests)


@pytest.mark.parametrize(
    "to",
    [
        "https://zoom.us.evil.example/files/abc",
        "https://evilzoom.us/files/abc",
        "http://file.zoom.us/files/abc",
        "https://file.zoom.us:8443/files/abc",
        "http://d1.cloudfront.net/abc",
        "https://169.254.169.254/latest/meta-data",
    ],
)
async def test_a_redirect_anywhere_else_is_not_followed(harness: DownloadHarness, to: str) -> None:
    error = await harness.refused(redirect(to))
    assert (error.consequence, error.code) == (Consequence.INVALID, "foreign_host")
    assert len(harness.requests) == 1


@pytest.mark.parametrize("url", ["https://evil.example/rec/download/abc", "http://zoom.us/rec", "//", "x:\n"])
async def test_a_file_that_is_not_at_the_platform_is_not_asked_for(
    harness: DownloadHarness, url: str
) -> None:
    error = await harness.refused(film, url=url)
    assert error.consequence is Consequence.INVALID
    assert harness.requests == []


async def test_redirects_that_lead_nowhere_end(harness: DownloadHarness) -> None:
    error = await harness.refused(redirect("https://zoom.us/rec/again"))
    assert error.consequence is Consequence.INVALID
    assert len(harness.requests) == MAX_REDIRECTS + 1


async def test_a_page_to_sign_in_at_renews_the_token_once(harness: DownloadHarness) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return film(request) if request.headers["authorization"] == "Bearer token-2" else page(request)

    written = await harness.fetch(handler)
    assert written.bytes == len(FILM)
    assert harness.keys == ["Bearer token-1", "Bearer token-2"]


@pytest.mark.parametrize("content_type", ["text/html", "video/mp4", ""])
async def test_a_page_that_stays_is_a_missing_permission(harness: DownloadHarness, content_type: str) -> None:
    """Whatever it calls itself: a page that is stored as a film is worse than none."""

    def handler(_request: httpx.Request) -> httpx.Response:
        headers = {"content-type": content_type} if content_type else {}
        return httpx.Response(200, content=b"\xef\xbb\xbf \n" + SIGN_IN, headers=headers)

    error = await harness.refused(handler, size=0)
    assert (error.consequence, error.code) == (Consequence.PERM, "sign_in_page")
    assert "sign in" in error.detail
    assert "may not have this recording" in error.detail
    assert len(harness.requests) == 2


async def test_a_token_that_cannot_be_renewed_asks_for_a_person(harness: DownloadHarness) -> None:
    error = await harness.refused(page, account=Account(renewals=0))
    assert error.consequence is Consequence.REAUTH


async def test_a_renewed_token_that_is_refused_as_well_asks_for_a_person(harness: DownloadHarness) -> None:
    error = await harness.refused(json_error(401, 124))
    assert error.consequence is Consequence.REAUTH
    assert len(harness.requests) == 2


@pytest.mark.parametrize(
    "refusal", [page, json_error(401, 124), json_error(403, 200)], ids=["page", "401", "403"]
)
async def test_the_download_token_comes_first_and_the_accounts_after_it(
    harness: DownloadHarness, refusal: Handler
) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return film(request) if "token-1" in request.headers["authorization"] else refusal(request)

    await harness.fetch(handler, download_token="of-this-recording")
    assert harness.keys == ["Bearer of-this-recording", "Bearer token-1"]


async def test_an_account_that_is_not_connected_is_not_needed_with_a_download_token(
    harness: DownloadHarness,
) -> None:
    await harness.fetch(film, download_token="of-this-recording", account=Account(renewals=0))
    assert harness.keys == ["Bearer of-this-recording"]


@pytest.mark.parametrize(
    ("handler", "consequence", "code", "wait"),
    [
        (json_error(404, 3301), Consequence.GONE, "3301", None),
        (lambda _: httpx.Response(404, html="<html>gone</html>"), Consequence.GONE, "unreadable", None),
        (json_error(403, 200), Consequence.PERM, "200", None),
        (json_error(400, 4711), Consequence.PERM, "4711", None),
        (json_error(429, 429), Consequence.RATE, "429", 1.0),
        (json_error(429, 429, **{"retry-after": "2026-11-04T06:02:00Z"}), Consequence.RATE, "429", 120.0),
        (lambda _: httpx.Response(503, text="Service Unavailable"), Consequence.TRANSIENT, None, None),
        (lambda _: httpx.Response(500), Consequence.TRANSIENT, None, None),
        (lambda _: httpx.Response(204), Consequence.TRANSIENT, "204", None),
        (lambda _: httpx.Response(206, content=b"part"), Consequence.TRANSIENT, "206", None),
    ],
    ids=["3301", "404 page", "403", "scopes", "429", "429 by date", "503", "500", "204", "a part"],
)
async def test_refusals_by_the_platforms_table(
    harness: DownloadHarness, handler: Handler, consequence: Consequence, code: str | None, wait: float | None
) -> None:
    error = await harness.refused(handler)
    assert (error.consequence, error.retry_after) == (consequence, wait)
    assert code is None or error.code == code
    assert len(harness.requests) == 1


async def test_an_expired_download_link_is_requested_again(harness: DownloadHarness) -> None:
    """Behind the redirect the address is the permission: its refusal says nothing of the token."""
    denied = lambda _: httpx.Response(403, text="<Error><Code>AccessDenied</Code></Error>")  # noqa: E731
    error = await harness.refused(redirect("https://d1.cloudfront.net/abc?Signature=xyz", denied))
    assert error.consequence is Consequence.TRANSIENT
    assert "xyz" not in error.detail


class _Broken(httpx.AsyncByteStream):
    def __init__(self, content: bytes, error: Exception | None) -> None:
        self._content, self._error = content, error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._content), 1000):
            yield self._content[start : start + 1000]
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("error", [httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut"), None])
async def test_a_file_that_breaks_off_leaves_nothing(
    harness: DownloadHarness, error: Exception | None
) -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=_Broken(FILM[:3000], error))

    refused = await harness.refused(handler)
    assert refused.consequence is Consequence.TRANSIENT
    assert refused.code == ("wrong_size" if error is None else "broken_off")


@pytest.mark.parametrize("listed", [len(FILM) - 37, len(FILM) + 37, len(FILM) * 3, 1, 0])
async def test_the_content_length_decides_and_not_the_list(harness: DownloadHarness, listed: int) -> None:
    assert (await harness.fetch(film, size=listed)).bytes == len(FILM)


async def test_nothing_is_no_file_where_the_list_has_one(harness: DownloadHarness) -> None:
    error = await harness.refused(lambda _: httpx.Response(200, content=b""), size=9)
    assert (error.consequence, error.code) == (Consequence.TRANSIENT, "wrong_size")


@pytest.mark.parametrize(("headers", "listed"), [({"transfer-encoding": "chunked"}, 9**9), ({}, 10_340)])
async def test_a_file_without_a_content_length(
    harness: DownloadHarness, headers: dict[str, str], listed: int
) -> None:
    """Chunks have an end of their own; without them a size that is nearly the listed one is taken."""

    def handler(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=_Broken(FILM, None), headers=headers)

    assert (await harness.fetch(handler, size=listed)).bytes == len(FILM) == 10_240


async def test_a_file_without_a_listed_size_is_accepted(harness: DownloadHarness) -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=_Broken(FILM, None))

    assert (await harness.fetch(handler, size=0)).bytes == len(FILM)


async def test_an_empty_file_is_a_file(harness: DownloadHarness) -> None:
    assert (await harness.fetch(lambda _: httpx.Response(200, content=b""), size=0)).bytes == 0


async def test_a_file_announced_as_too_large_is_not_downloaded(tmp_path: Path) -> None:
    error = await DownloadHarness(tmp_path, max_bytes=4000).refused(film)
    assert (error.consequence, error.code) == (Consequence.SPLIT, "too_large")
    assert "RECORDING_MAX_BYTES" in error.detail


async def test_a_connection_error_is_retried(harness: DownloadHarness) -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    assert (await harness.refused(handler)).consequence is Consequence.TRANSIENT


async def test_a_blocked_address_is_not_retried(harness: DownloadHarness) -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise BlockedAddress("us02web.zoom.us resolves to a private address")

    error = await harness.refused(handler)
    assert (error.consequence, error.code) == (Consequence.INVALID, "blocked_address")


async def test_no_token_is_in_an_error(harness: DownloadHarness) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            400, json={"code": 300, "message": f"Bad {request.headers['authorization']} of-this-recording"}
        )

    with structlog.testing.capture_logs() as logs:
        error = await harness.refused(handler, download_token="of-this-recording", account=Account())
    assert "token-1" not in error.detail
    assert "of-this-recording" not in error.detail
    assert logs == []


@pytest.mark.parametrize(
    ("beginning", "is_page"),
    [
        (b"<!DOCTYPE html><html>", True),
        (b"\n\n  <HTML lang=en>", True),
        (b"\xef\xbb\xbf<!doctype HTML>", True),
        (b"<head>", True),
        (b"WEBVTT\n\n00:00.000 --> 00:01.000\n<html> in a cue", False),
        (b"10:00:01 Dana: <b>hello</b>", False),
        (b"<Dana> hello", False),
        (b"\x00\x00\x00\x18ftypmp42", False),
        (b"", False),
    ],
)
def test_how_a_page_is_told(beginning: bytes, is_page: bool) -> None:
    assert looks_like_html(beginning) is is_page


@pytest.mark.parametrize(
    ("url", "is_own"),
    [
        ("https://zoom.us/rec/download/x", True),
        ("https://us02web.zoom.us/rec/download/x", True),
        ("https://api.zoom.us/rec", True),
        ("https://notzoom.us/x", False),
        ("https://zoom.us.example/x", False),
        ("http://zoom.us/x", False),
        ("https://zoom.us:444/x", False),
        ("https://d1.cloudfront.net/x", False),
    ],
)
def test_whose_hosts_are_the_platforms_own(url: str, is_own: bool) -> None:
    assert HOSTS.is_own(httpx.URL(url)) is is_own


def test_a_platform_on_this_machine_is_one_host_and_port() -> None:
    hosts = DownloadHosts.of("http://127.0.0.1:8090/zoom/v2", ["zoom.us"])
    assert hosts.is_own(httpx.URL("http://127.0.0.1:8090/zoom/rec/download/x"))
    assert not hosts.allows(httpx.URL("http://127.0.0.1:8091/x"))
    assert hosts.allows(httpx.URL("https://us02web.zoom.us/x"))
