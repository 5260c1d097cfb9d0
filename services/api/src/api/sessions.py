"""Console sessions: a cookie that holds a session's id, sealed; the session's row names the API key.

The key itself is in no cookie. Every request reads both rows, so that signing out, revoking the key and its
expiry each end a session at once. docs/decisions/0010-console-sessions.md has the reasons.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request
from fastapi.responses import Response
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.clients import HOST_PREFIX, SESSION
from api.context import Collaborators, Now, Transaction, Wired
from api.security import KnownKey, Principal, admit, bearer_principal, find_by_session
from common.errors import Unauthenticated
from common.models import ConsoleSession, Tenant
from common.secrets.crypto import KeyRing, Undecryptable

_NO_ROW = UUID(int=0)
_MAX_LENGTH = 3_000


def seal_cookie(keys: KeyRing, purpose: str, content: Any) -> str:
    """JSON as a cookie's value that only this service can read, and only for this purpose."""
    sealed = keys.seal(json.dumps(content), tenant_id=_NO_ROW, row_id=_NO_ROW, column=purpose)
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def open_cookie(keys: KeyRing, purpose: str, value: str | None) -> Any:
    """What `seal_cookie` was given; None for anything else."""
    if not value or len(value) > _MAX_LENGTH:
        return None
    try:
        sealed = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
        return json.loads(keys.open(sealed, tenant_id=_NO_ROW, row_id=_NO_ROW, column=purpose))
    except (binascii.Error, ValueError, Undecryptable):
        return None


def is_https(request: Request) -> bool:
    """Whether the browser speaks https, also where a proxy ends it and passes plain HTTP on."""
    wired: Collaborators = request.app.state.collaborators
    return request.url.scheme == "https" or wired.settings.is_public_https


def cookie_name(request: Request, plain: str) -> str:
    """On https the prefix makes browsers refuse the cookie unless it is secure and this host's alone."""
    return f"{HOST_PREFIX}{plain}" if is_https(request) else plain


def set_cookie(request: Request, response: Response, name: str, value: str, *, seconds: int) -> None:
    """Keep a value in the browser, out of reach of scripts and of forms on other sites.

    `Lax`, not `Strict`: a link in a chat must open its page for a signed-in user.
    """
    response.set_cookie(
        cookie_name(request, name),
        value,
        max_age=seconds,
        path="/",
        secure=is_https(request),
        httponly=True,
        samesite="lax",
    )


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """What the cookie says: which session it is, and the token its forms hold."""

    id: UUID
    token: str

    def seal(self, keys: KeyRing) -> str:
        """As a cookie's value."""
        return seal_cookie(keys, SESSION, {"session": str(self.id), "token": self.token})

    @classmethod
    def open(cls, keys: KeyRing, value: str | None) -> SessionCookie | None:
        """From a cookie's value; None when it is not one of ours."""
        match open_cookie(keys, SESSION, value):
            case {"session": str(identifier), "token": str(token)}:
                return cls(UUID(identifier), token)
            case _:
                return None


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is signed in."""

    principal: Principal
    team: str
    token: str

    @property
    def tenant_id(self) -> UUID:
        """Whose data this person sees."""
        return self.principal.tenant_id

    def sent(self, token: str) -> bool:
        """Whether a form with this token came from a page of this session."""
        return hmac.compare_digest(token.encode(), self.token.encode())


class SignInRequired(Unauthenticated):
    """The request has no session, or one that has ended."""


async def start(
    request: Request, response: Response, session: AsyncSession, known: KnownKey, wired: Wired, now: datetime
) -> None:
    """Sign in with a key that was just shown. Sessions that have expired are forgotten."""
    hours = wired.settings.session_hours
    row = ConsoleSession(
        api_key_id=known.principal.key_id, created_at=now, expires_at=now + timedelta(hours=hours)
    )
    session.add(row)
    await session.execute(delete(ConsoleSession).where(col(ConsoleSession.expires_at) <= now))
    cookie = SessionCookie(row.id, secrets.token_urlsafe(24))
    set_cookie(request, response, SESSION, cookie.seal(wired.keys), seconds=int(hours * 3600))


async def end(request: Request, response: Response, session: AsyncSession, wired: Wired) -> None:
    """Sign out: copies of the cookie are worth nothing from now on."""
    cookie = SessionCookie.open(wired.keys, request.cookies.get(cookie_name(request, SESSION)))
    if cookie is not None:
        await session.execute(delete(ConsoleSession).where(col(ConsoleSession.id) == cookie.id))
    set_cookie(request, response, SESSION, "", seconds=0)


@dataclass(frozen=True, slots=True)
class _Admitted:
    principal: Principal
    token: str


async def _session(request: Request, session: Transaction, wired: Wired, now: Now) -> _Admitted | None:
    cookie = SessionCookie.open(wired.keys, request.cookies.get(cookie_name(request, SESSION)))
    if cookie is None:
        return None
    known = await find_by_session(session, cookie.id, now)
    return None if known is None else _Admitted(admit(request, known, wired, now), cookie.token)


async def find_viewer(
    session: Transaction, admitted: Annotated[_Admitted | None, Depends(_session)]
) -> Viewer | None:
    """FastAPI dependency: who is signed in, or None."""
    if admitted is None:
        return None
    team = await session.scalar(
        select(col(Tenant.name)).where(col(Tenant.id) == admitted.principal.tenant_id)
    )
    return Viewer(admitted.principal, team or "", admitted.token)


async def require_viewer(viewer: Annotated[Viewer | None, Depends(find_viewer)]) -> Viewer:
    """FastAPI dependency: who is signed in; raises SignInRequired."""
    if viewer is None:
        raise SignInRequired("Sign in to see this page.")
    return viewer


MaybeSignedIn = Annotated[Viewer | None, Depends(find_viewer)]
SignedIn = Annotated[Viewer, Depends(require_viewer)]


async def key_or_session(
    admitted: Annotated[_Admitted | None, Depends(_session)],
    caller: Annotated[Principal | None, Depends(bearer_principal)],
) -> Principal:
    """FastAPI dependency for the one API route a browser reads by itself: the live feed."""
    if caller is not None:
        return caller
    if admitted is None:
        raise Unauthenticated("Send an API key, Authorization: Bearer car_…, or sign in to the console.")
    return admitted.principal


KeyOrSession = Annotated[Principal, Depends(key_or_session)]
