"""Who is looking at the console? A cookie that holds the id of the API key somebody signed in with, sealed.

Nothing is stored on the server, and the key itself is in no cookie: every request reads the key's row, so
that revoking the key ends its sessions at once. docs/decisions/0010-console-sessions.md has the reasons.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request
from fastapi.responses import Response
from sqlalchemy import select
from sqlmodel import col

from api.context import Now, Transaction, Wired
from api.security import KnownKey, Principal, admit, bearer_principal, find_by_id
from common.errors import Unauthenticated
from common.models import Tenant
from common.secrets.crypto import KeyRing, Undecryptable

SESSION = "carillon_session"
_NOBODY = UUID(int=0)
_MAX_LENGTH = 3_000


def seal_cookie(keys: KeyRing, purpose: str, content: Any) -> str:
    """JSON as a cookie's value that only this service can read, and only for this purpose."""
    sealed = keys.seal(json.dumps(content), tenant_id=_NOBODY, row_id=_NOBODY, column=purpose)
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def open_cookie(keys: KeyRing, purpose: str, value: str | None) -> Any:
    """What `seal_cookie` was given; None for anything else."""
    if not value or len(value) > _MAX_LENGTH:
        return None
    try:
        sealed = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
        return json.loads(keys.open(sealed, tenant_id=_NOBODY, row_id=_NOBODY, column=purpose))
    except (binascii.Error, ValueError, Undecryptable):
        return None


def cookie_name(request: Request, plain: str) -> str:
    """On https the browser itself sees to it that the cookie is secure and this host's alone."""
    return f"__Host-{plain}" if request.url.scheme == "https" else plain


def set_cookie(request: Request, response: Response, name: str, value: str, *, seconds: int) -> None:
    """Keep a value in the browser, out of reach of scripts and of forms on other sites.

    `Lax`, not `Strict`: a link in a chat must open the page it names for somebody who is signed in.
    """
    response.set_cookie(
        cookie_name(request, name),
        value,
        max_age=seconds,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


@dataclass(frozen=True, slots=True)
class Session:
    """What the cookie says: whose key was shown, until when that is believed, and what its forms hold."""

    key_id: UUID
    expires_at: datetime
    token: str

    @classmethod
    def begin(cls, key_id: UUID, *, hours: float, now: datetime) -> Session:
        """A new session, with a token of its own for its forms."""
        return cls(key_id, now + timedelta(hours=hours), secrets.token_urlsafe(24))

    def seal(self, keys: KeyRing) -> str:
        """As a cookie's value."""
        content = {"key": str(self.key_id), "until": self.expires_at.timestamp(), "token": self.token}
        return seal_cookie(keys, SESSION, content)

    @classmethod
    def open(cls, keys: KeyRing, value: str | None) -> Session | None:
        """From a cookie's value; None when it is not one of ours."""
        match open_cookie(keys, SESSION, value):
            case {"key": str(key), "until": float(until), "token": str(token)}:
                return cls(UUID(key), datetime.fromtimestamp(until, UTC), token)
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
    """Nobody is signed in, or not any more."""


def start(request: Request, response: Response, known: KnownKey, wired: Wired, now: datetime) -> None:
    """Sign in with a key that was just shown."""
    hours = wired.settings.session_hours
    session = Session.begin(known.principal.key_id, hours=hours, now=now)
    set_cookie(request, response, SESSION, session.seal(wired.keys), seconds=int(hours * 3600))


def end(request: Request, response: Response) -> None:
    """Forget who was signed in with this browser."""
    set_cookie(request, response, SESSION, "", seconds=0)


@dataclass(frozen=True, slots=True)
class _Admitted:
    principal: Principal
    token: str


async def _session(request: Request, session: Transaction, wired: Wired, now: Now) -> _Admitted | None:
    opened = Session.open(wired.keys, request.cookies.get(cookie_name(request, SESSION)))
    if opened is None or opened.expires_at <= now:
        return None
    known = await find_by_id(session, opened.key_id, now)
    return None if known is None else _Admitted(admit(request, known, wired, now), opened.token)


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
