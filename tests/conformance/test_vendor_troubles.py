"""Answers that are no vendor's, and connections that break: what each client concludes from them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from carillon.ports import free_port
from common.errors import Consequence, PlatformError
from common.http import create_client
from platforms.oauth.base import ANSWER_LOST, Stored
from platforms.zoom.oauth import ZoomServer
from platforms.zoom.settings import ZoomSettings
from tests.conformance.vendors import facebook, tiktok_business, tiktok_organic, zoom
from tests.conformance.vendors.rules import Ask
from tests.support.fake_clock import Timeline
from tests.support.platforms.base import Caller, Site, caller
from tests.support.platforms.facebook import FacebookDriver
from tests.support.scripted_server import Response, scripted_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

T, RATE, INVALID = Consequence.TRANSIENT, Consequence.RATE, Consequence.INVALID
HTML = b"<html>Sign in to the hotel's network</html>"
SERVER = {"account_id": "acc", "client_id": "cid", "client_secret": "hush-zoom"}


async def renew_server(site: Site, _caller: Caller) -> object:
    """A token of a server-to-server app of Zoom's."""
    grant = ZoomServer(site.http, ZoomSettings(zoom_oauth_url=f"{site.url}/zoom/oauth"))
    return await grant.renew(Stored(credentials=SERVER), now=zoom.NOW)


READERS = pytest.mark.parametrize(
    "ask",
    [
        pytest.param(module.ask, id=module.__name__.rpartition(".")[2])
        for module in (facebook, tiktok_business, tiktok_organic, zoom)
    ],
)
RENEWERS = pytest.mark.parametrize(
    "ask",
    [
        pytest.param(ask, id=name)
        for name, ask in (
            ("facebook", facebook.renew),
            ("tiktok_business", tiktok_business.look),
            ("tiktok_organic", tiktok_organic.renew),
            ("zoom", zoom.renew),
            ("zoom_server", renew_server),
        )
    ],
)


def client(seconds: float) -> httpx.AsyncClient:
    """The product's own HTTP client, which waits this long for an answer."""
    return create_client(
        timeout=httpx.Timeout(seconds), allowed_hosts={"127.0.0.1"}, receiver_hosts={"127.0.0.1"}
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """As patient as it takes on a busy machine."""
    async with client(20) as patient:
        yield patient


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def impatient() -> AsyncIterator[httpx.AsyncClient]:
    """For servers that do not answer."""
    async with client(0.5) as opened:
        yield opened


async def refused(ask: Ask, http: httpx.AsyncClient, url: str) -> PlatformError:
    with pytest.raises(PlatformError) as raised:
        await ask(Site(http, url), caller(FacebookDriver, "a-token", limiter=Timeline().limiter()))
    return raised.value


@READERS
@pytest.mark.parametrize(
    ("status", "body", "consequence"),
    [
        (200, b'{"data":[{"spend":"12', T),
        (200, b"", T),
        (200, b"  \n", T),
        (200, b"Service Unavailable", T),
        (200, b"[" * 100_000, T),
        (200, HTML, INVALID),
        (200, b"null", INVALID),
        (200, b"\xff\xfe\x00", INVALID),
        (302, HTML, INVALID),
        (400, b'{"error":', INVALID),
        (401, HTML, INVALID),
        (403, HTML, INVALID),
        (404, b"404 page not found", INVALID),
        (429, b"slow down", RATE),
        (500, b"[]", T),
        (502, HTML, T),
        (503, b"", T),
    ],
)
async def test_a_body_that_is_not_the_vendors(
    ask: Ask, http: httpx.AsyncClient, status: int, body: bytes, consequence: Consequence
) -> None:
    async with scripted_server(Response(status, body)) as server:
        error = await refused(ask, http, server.url)
    assert (error.consequence, error.code) == (consequence, "unreadable")
    assert str(status) in error.detail


@READERS
async def test_the_wait_of_a_proxy(ask: Ask, http: httpx.AsyncClient) -> None:
    async with scripted_server(Response(429, HTML, {"retry-after": "90"})) as server:
        error = await refused(ask, http, server.url)
    assert (error.consequence, error.retry_after) == (RATE, 60.0 if ask is facebook.ask else 90.0)


BREAKS = pytest.mark.parametrize(
    "response",
    [Response(reset=True), Response(silent=True), Response(body=b'{"data": []}', cut=5)],
    ids=("reset", "silent", "cut"),
)


@READERS
@BREAKS
async def test_a_call_without_an_answer(ask: Ask, impatient: httpx.AsyncClient, response: Response) -> None:
    async with scripted_server(response) as server:
        assert (await refused(ask, impatient, server.url)).consequence is T


@READERS
async def test_a_call_to_nobody(ask: Ask, http: httpx.AsyncClient) -> None:
    assert (await refused(ask, http, f"http://127.0.0.1:{free_port()}")).consequence is T


@RENEWERS
@BREAKS
async def test_a_renewal_without_an_answer_may_have_happened(
    ask: Ask, impatient: httpx.AsyncClient, response: Response
) -> None:
    async with scripted_server(response) as server:
        error = await refused(ask, impatient, server.url)
    assert (error.consequence, error.code) == (T, ANSWER_LOST)


@RENEWERS
@pytest.mark.parametrize(
    ("status", "body", "consequence", "code"),
    [
        (200, b'{"access_token": "EAA', T, ANSWER_LOST),
        (200, b'{"token_type": "bearer"}', T, ANSWER_LOST),
        (200, b"", T, ANSWER_LOST),
        (200, HTML, T, ANSWER_LOST),
        (404, b"404 page not found", INVALID, "unreadable"),
        (502, HTML, T, "unreadable"),
        (503, b"down", T, "unreadable"),
    ],
)
async def test_a_renewal_with_a_body_that_is_not_the_vendors(
    ask: Ask, http: httpx.AsyncClient, status: int, body: bytes, consequence: Consequence, code: str
) -> None:
    async with scripted_server(Response(status, body)) as server:
        error = await refused(ask, http, server.url)
    assert (error.consequence, error.code) == (consequence, code)


@RENEWERS
async def test_a_renewal_that_reaches_nobody_has_not_happened(ask: Ask, http: httpx.AsyncClient) -> None:
    error = await refused(ask, http, f"http://127.0.0.1:{free_port()}")
    assert (error.consequence, error.code) == (T, "unreachable")
