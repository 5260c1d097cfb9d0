"""Who sends a request, whether it has sent too many already, and whose turn it is."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.observation import is_quiet
from api.problems import TooManyRequests, headers_of, problem_response
from common.secrets.crypto import hash_api_key

SESSION = "carillon_session"
"""The cookie of a console's session; on https its name begins with HOST_PREFIX."""
HOST_PREFIX = "__Host-"
FEED = "/api/events"
"""The live feed: an answer that does not end."""
HOOKS = "/hooks/"
"""Where vendors post their events, signed instead of with a key, from few addresses for all teams."""
MAX_WAITING = 100
"""Requests of one key that may wait."""

_leave: ContextVar[Callable[[], None] | None] = ContextVar("leave", default=None)


def step_aside() -> None:
    """Let the key's next request begin: this one waits for something, and holds no connection meanwhile."""
    leave = _leave.get()
    if leave is not None:
        leave()


def at_once(connections: int) -> int:
    """How many requests of one key are worked on at a time: they take half of the connections to the database
    at most, and leave the others to other keys. Pure."""
    return max(1, connections // 2)


def address_of(scope: Scope) -> str:
    """The client's address; behind a proxy that is trusted, the one it names."""
    client: tuple[str, int] | None = scope.get("client")
    return client[0] if client else ""


class _Turns:
    """The requests of one key: those that are worked on, and those that wait, in the order they came."""

    def __init__(self, places: int) -> None:
        self.places = asyncio.Semaphore(places)
        self.requests = 0


class ClientLimits:
    """ASGI middleware: lets the requests of a key wait for one another, and refuses too many with 429.

    Probes and static files are not held up, nor are requests without a key or a session.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._turns: dict[str, _Turns] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http" or is_quiet(scope):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            credential = await self._admit(request)
            if credential is None:
                await self._app(scope, receive, send)
                return
            request.state.credential = credential
            if request.url.path == FEED:
                request.app.state.collaborators.live.require_room_for(credential)
            async with self._turn(request, credential) as leave:
                _leave.set(leave)

                async def answered(message: Message) -> None:
                    # The rest of an answer, such as the live feed, takes as long as its reader does.
                    leave()
                    await send(message)

                await self._app(scope, receive, answered)
        except TooManyRequests as error:
            answer = problem_response(request, error.status_code, error.detail, headers=headers_of(error))
            await answer(scope, receive, send)

    async def _admit(self, request: Request) -> str | None:
        """A name for the key or the session the request came with. Raises TooManyRequests."""
        limits = request.app.state.collaborators.request_limits
        address = address_of(request.scope)
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            session = request.cookies.get(SESSION) or request.cookies.get(f"{HOST_PREFIX}{SESSION}")
            credential = None if session is None else hashlib.sha256(session.encode()).hexdigest()
            await limits.admit(address, credential)
            if credential is None and not request.url.path.startswith(HOOKS):
                await limits.admit_without_key(address)
            return credential
        # The key and not the header: however that is spelt, it is one key.
        digest = hash_api_key(key.strip())
        # Before the database is asked, and before a connection to it is taken.
        await limits.check_guesses(address, digest)
        await limits.admit(address, digest.hex())
        return digest.hex()

    @asynccontextmanager
    async def _turn(self, request: Request, credential: str) -> AsyncIterator[Callable[[], None]]:
        """Wait for one of the key's places; what is yielded gives it back early. Raises TooManyRequests."""
        places = at_once(request.app.state.collaborators.settings.database_pool_size)
        turns = self._turns.setdefault(credential, _Turns(places))
        if turns.requests >= places + MAX_WAITING:
            raise TooManyRequests(
                f"{turns.requests} requests of this key are waiting already; wait for their answers.",
                retry_after=1,
            )
        is_held = False

        def leave() -> None:
            nonlocal is_held
            if is_held:
                is_held = False
                turns.places.release()

        turns.requests += 1
        try:
            await turns.places.acquire()
            is_held = True
            yield leave
        finally:
            leave()
            turns.requests -= 1
            if not turns.requests:
                del self._turns[credential]
