"""Requests for another host than this server's are refused.

A page of another site that a name of its own leads here (DNS rebinding), or a proxy that passes on any name,
would otherwise be answered like the console.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.observation import QUIET
from api.problems import problem_response

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def hosts_of(public_url: str, allowed: Iterable[str]) -> frozenset[str]:
    """The names under which this server is called, without ports. Pure."""
    public = urlsplit(public_url).hostname
    return LOCAL | frozenset(allowed) | ({public.lower()} if public else frozenset())


class KnownHosts:
    """ASGI middleware. Probes come with the address of a pod as their host, so that they are not checked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "http" and scope["path"] not in QUIET:
            request = Request(scope)
            settings = request.app.state.collaborators.settings
            if _host(request) not in hosts_of(settings.public_url, settings.allowed_hosts):
                detail = (
                    "This server is not called by this name: see the settings PUBLIC_URL and ALLOWED_HOSTS."
                )
                await problem_response(request, 421, detail)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _host(request: Request) -> str:
    try:
        return (urlsplit(f"//{request.headers.get('host', '')}").hostname or "").lower()
    except ValueError:
        return ""
