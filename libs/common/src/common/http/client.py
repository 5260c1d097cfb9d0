"""The client every service calls out with."""

from __future__ import annotations

import ssl
import zlib
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore
import httpx

from common.errors import Consequence, RemoteError
from common.http.addresses import check_url
from common.http.decoding import ACCEPTED, Decoder
from common.http.guard import GuardedBackend
from common.http.resolver import Resolver

RECEIVER: Mapping[str, Any] = {"receiver": True}
"""Extensions of a request to an address that a team chose."""
DEFAULT_TIMEOUT = httpx.Timeout(15.0, connect=5.0)
# A receiver that closes an idle connection just when it is used again makes the outcome unknown: idle
# connections are given up before most servers do so.
DEFAULT_LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=50, keepalive_expiry=4.0)
DEFAULT_MAX_BODY = 32 * 1024 * 1024
MAX_RATIO = 100
"""Bytes a body may decompress to for each byte of it; JSON of figures has 10 to 40."""
_FREE = 1024 * 1024
"""Bytes that are decompressed at any ratio: a short answer may repeat itself."""


class ResponseTooLarge(RemoteError):
    """The answer's body exceeds what this client reads. Less must be asked for."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the answer is larger than {limit} bytes", Consequence.SPLIT)


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """httpcore's errors as httpx's, which have the same names."""
    try:
        yield
    except (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
    ) as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error
    except zlib.error as error:
        raise httpx.DecodingError("the answer cannot be decompressed") from error


class TooCompressed(ResponseTooLarge):
    """The answer's body decompresses to far more than what came over the wire."""

    def __init__(self) -> None:
        RemoteError.__init__(
            self, f"the answer decompresses to more than {MAX_RATIO} times its size", Consequence.INVALID
        )


class _CappedStream(httpx.AsyncByteStream):
    """A body, decompressed, cut off with an error at `limit` bytes on the wire or decompressed."""

    def __init__(self, response: httpcore.Response, limit: int, decoder: Decoder | None) -> None:
        self._response = response
        self._limit = limit
        self._decoder = decoder

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = decompressed = 0
        with _httpx_errors():
            async for chunk in self._response.aiter_stream():
                received += len(chunk)
                if received > self._limit:
                    raise ResponseTooLarge(self._limit)
                if self._decoder is None:
                    yield chunk
                    continue
                for piece in self._decoder.decode(chunk):
                    decompressed += len(piece)
                    if decompressed > self._limit:
                        raise ResponseTooLarge(self._limit)
                    if decompressed > _FREE + MAX_RATIO * received:
                        raise TooCompressed
                    yield piece

    async def aclose(self) -> None:
        with _httpx_errors():
            await self._response.aclose()


class GuardedTransport(httpx.AsyncBaseTransport):
    """httpcore's pool behind a network backend of our own, which httpx's transport does not let us choose.

    The request extension `max_body` overrides the client's own for one request, in bytes.
    """

    def __init__(
        self,
        backend: httpcore.AsyncNetworkBackend,
        *,
        limits: httpx.Limits,
        ssl_context: ssl.SSLContext,
        allowed_hosts: Collection[str] | None,
        max_body: int,
    ) -> None:
        self._backend = backend
        self._allowed_hosts = allowed_hosts
        self._max_body = max_body
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=backend,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request. Raises BlockedAddress, httpx.TransportError, ResponseTooLarge."""
        if self._allowed_hosts is not None:
            check_url(request.url, self._allowed_hosts)
        sent = httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        limit = int(request.extensions.get("max_body", self._max_body))
        with _httpx_errors():
            received = await self._pool.handle_async_request(sent)
        headers = httpx.Headers(received.headers)
        decoder = Decoder.for_coding(headers.get("content-encoding", ""))
        if decoder is not None:
            # Both are about the body on the wire.
            headers.pop("content-length", None)
        # Without it httpx decodes nothing by itself.
        headers.pop("content-encoding", None)
        return httpx.Response(
            received.status,
            headers=headers,
            stream=_CappedStream(received, limit, decoder),
            extensions=received.extensions,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        with _httpx_errors():
            await self._pool.aclose()
        if isinstance(self._backend, GuardedBackend):
            await self._backend.aclose()


class _ByPurpose(httpx.AsyncBaseTransport):
    """Addresses that teams chose go one way, those of the operator's own services another.

    Each has its pool: a connection that is open to one of the operator's services must not serve a team's
    address that happens to spell the same host.
    """

    def __init__(self, services: GuardedTransport, receivers: GuardedTransport) -> None:
        self._services = services
        self._receivers = receivers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request the way its purpose has."""
        chosen = self._receivers if request.extensions.get("receiver") else self._services
        return await chosen.handle_async_request(request)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._services.aclose()
        await self._receivers.aclose()


def create_client(
    *,
    timeout: httpx.Timeout | float = DEFAULT_TIMEOUT,
    limits: httpx.Limits = DEFAULT_LIMITS,
    allowed_hosts: Collection[str] = (),
    receiver_hosts: Collection[str] = (),
    user_agent: str = "Carillon",
    guard: bool = True,
    max_body: int = DEFAULT_MAX_BODY,
    ssl_context: ssl.SSLContext | None = None,
    resolver: Resolver | None = None,
) -> httpx.AsyncClient:
    """A client for calls to other people's services; close it with `aclose`.

    It follows no redirect and keeps no cookie, since one client serves every tenant. Proxies named in the
    environment are ignored: a proxy would resolve names where the guard does not see it. Certificates are
    checked against the default trust store; `SSL_CERT_FILE` names another.

    Args:
        timeout: for each step of a request, in seconds; not for the request as a whole.
        limits: of the connection pool.
        allowed_hosts: `OUTBOUND_ALLOWED_HOSTS`, let through although their addresses are private.
        receiver_hosts: `RECEIVER_ALLOWED_HOSTS`, the same for requests with the extensions `RECEIVER`, which
            all requests to addresses that teams chose must have.
        user_agent: sent with every request.
        guard: False lets every address through. For tools a person runs; no service does so.
        max_body: bytes of an answer, on the wire and decompressed, beyond which ResponseTooLarge is raised.
        ssl_context: another trust store.
        resolver: another way to resolve names.
    """
    context = ssl_context or httpx.create_ssl_context()

    def transport(hosts: Collection[str]) -> GuardedTransport:
        return GuardedTransport(
            GuardedBackend(hosts, resolver=resolver) if guard else httpcore.AnyIOBackend(),
            limits=limits,
            ssl_context=context,
            allowed_hosts=frozenset(hosts) if guard else None,
            max_body=max_body,
        )

    return httpx.AsyncClient(
        transport=_ByPurpose(transport(allowed_hosts), transport(receiver_hosts)),
        timeout=timeout,
        headers={"user-agent": user_agent, "accept-encoding": ACCEPTED},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        follow_redirects=False,
        trust_env=False,
    )
