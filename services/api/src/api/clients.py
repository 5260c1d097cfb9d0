"""Who sends a request, and whether it has sent too many already."""

from __future__ import annotations

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.observation import is_quiet
from api.problems import TooManyRequests, headers_of, problem_response
from common.secrets.crypto import hash_api_key


def address_of(scope: Scope) -> str:
    """The client's address; behind a proxy that is trusted, the one it names."""
    client: tuple[str, int] | None = scope.get("client")
    return client[0] if client else ""


class ClientLimits:
    """ASGI middleware: answers with 429 what is too much. Probes and static files are not counted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "http" and not is_quiet(scope):
            request = Request(scope)
            limits = request.app.state.collaborators.request_limits
            authorization = request.headers.get("authorization")
            scheme, _, key = (authorization or "").partition(" ")
            try:
                await limits.admit(address_of(scope), authorization or request.headers.get("cookie"))
                if scheme.lower() == "bearer":
                    await limits.check_guesses(address_of(scope), hash_api_key(key.strip()))
            except TooManyRequests as error:
                answer = problem_response(request, error.status_code, error.detail, headers=headers_of(error))
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)
