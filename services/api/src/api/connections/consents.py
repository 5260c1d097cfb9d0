"""Connecting an account by its platform's dialog: the way there, and what a person comes back with.

What comes back counts for the person who set out, signed in to the console, and once: otherwise a link could
be sent to another person, whose account would end up in the sender's team. No transaction is open while a
platform is asked.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.commits import commit, transaction
from api.connections.adoption import Adopted, OtherAccount, adopt
from api.connections.schemas import AuthorizeOut, AuthorizeRequest
from api.context import Collaborators
from api.problems import unacceptable
from api.quotas.service import QuotaExceeded
from api.rows import find_owned
from api.security import Principal
from common.errors import Conflict, Consequence, FieldError, PlatformError
from common.ids import new_id
from common.models import Connection, ConnectionKind, OAuthAttempt
from platforms.oauth.base import Discovered, Grant, Stored, TokenSet
from platforms.oauth.pkce import challenge_of, hash_state, new_state, new_verifier

log = structlog.get_logger()

LIFE = timedelta(minutes=10)
"""How long a person may take to agree."""
CALLBACK = "/oauth/callback"
DISCOVERY_SECONDS = 30.0
_VERIFIER = "verifier"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a platform sent a person back with."""

    state: str
    code: str = ""
    error: str = ""


class ConsentFailed(Exception):
    """Nothing was connected; `words` say why to the person, and `connection_id` was to be connected again."""

    def __init__(self, words: str, connection_id: UUID | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.connection_id = connection_id


async def begin(
    session: AsyncSession,
    wired: Collaborators,
    principal: Principal,
    wanted: AuthorizeRequest,
    *,
    now: datetime,
) -> AuthorizeOut:
    """Where to send the person. Raises Unprocessable, or Conflict where the app is not set up."""
    kind = ConnectionKind(wanted.kind)
    grant = wired.grants.get(kind)
    if grant is None or not grant.has_dialog:
        raise unacceptable([FieldError("/kind", "has no dialog; paste its credentials instead")])
    if missing := grant.missing_settings():
        named = " and ".join(missing)
        raise Conflict(f"{named} must be set on this server before {grant.title} can be asked.")
    if wanted.connection_id is not None:
        await _require_kind(session, principal, wanted.connection_id, kind)
    attempt_id, state = new_id(), new_state()
    verifier = new_verifier() if grant.uses_pkce else None
    redirect_uri = wired.settings.public_url.rstrip("/") + CALLBACK
    await session.execute(
        delete(OAuthAttempt).where(
            col(OAuthAttempt.user_id) == principal.user_id, col(OAuthAttempt.expires_at) <= now
        )
    )
    attempt = OAuthAttempt(
        id=attempt_id,
        tenant_id=principal.tenant_id,
        user_id=principal.user_id,
        connection_id=wanted.connection_id,
        kind=wanted.kind,
        name=wanted.name or "",
        state_hash=hash_state(state),
        verifier_sealed=None
        if verifier is None
        else wired.keys.seal(verifier, tenant_id=principal.tenant_id, row_id=attempt_id, column=_VERIFIER),
        redirect_uri=redirect_uri,
        created_at=now,
        expires_at=now + LIFE,
    )
    session.add(attempt)
    await session.flush()
    challenge = None if verifier is None else challenge_of(verifier)
    url = grant.authorize_url(state=state, redirect_uri=redirect_uri, challenge=challenge)
    return AuthorizeOut(authorize_url=url, expires_at=attempt.expires_at)


async def finish(
    session: AsyncSession, wired: Collaborators, principal: Principal, answer: Answer, *, now: datetime
) -> Adopted:
    """Connect the account the person agreed to. Raises ConsentFailed; ends the session's transaction."""
    attempt = await _take(session, answer.state)
    await commit(session, wired.engine)
    if attempt is None or (attempt.tenant_id, attempt.user_id) != (principal.tenant_id, principal.user_id):
        if attempt is not None:
            log.warning("oauth answer of another person", attempt_id=str(attempt.id), kind=attempt.kind)
        raise ConsentFailed("This answer was used already, or belongs to another person. Please start again.")
    grant = wired.grants[ConnectionKind(attempt.kind)]
    if attempt.expires_at <= now:
        raise ConsentFailed(
            f"You took longer than ten minutes to agree on {grant.title}. Please start again.",
            attempt.connection_id,
        )
    if answer.error or not answer.code:
        raise ConsentFailed(_refused(grant.title, answer.error), attempt.connection_id)
    try:
        tokens = await grant.exchange(
            answer.code,
            redirect_uri=attempt.redirect_uri,
            verifier=_verifier(wired, attempt),
            now=now,
        )
    except PlatformError as error:
        log.warning("oauth code not exchanged", kind=attempt.kind, code=error.code, reason=error.detail)
        raise ConsentFailed(_not_exchanged(grant.title, error), attempt.connection_id) from error
    found, problem = await _discovered(grant, tokens, now)
    try:
        async with transaction(wired.sessions, wired.engine) as later:
            adopted = await adopt(
                later, wired.keys, grant, principal, attempt, tokens, found, problem=problem, now=now
            )
    except OtherAccount as error:
        raise ConsentFailed(error.words, attempt.connection_id) from error
    except QuotaExceeded as error:
        raise ConsentFailed(error.detail, attempt.connection_id) from error
    log.info(
        "account connected",
        connection_id=str(adopted.connection.id),
        kind=attempt.kind,
        created=adopted.created,
        resumed=adopted.resumed,
    )
    return adopted


async def _require_kind(
    session: AsyncSession, principal: Principal, connection_id: UUID, kind: ConnectionKind
) -> None:
    known = await find_owned(session, Connection, principal.tenant_id, connection_id)
    if known is None:
        raise unacceptable([FieldError("/connection_id", "no connection of yours has this id")])
    if known.kind != kind:
        raise unacceptable([FieldError("/connection_id", f"is a {known.kind} connection")])


async def _take(session: AsyncSession, state: str) -> OAuthAttempt | None:
    """The attempt the state belongs to, which is deleted: a state works once."""
    taken = await session.execute(
        delete(OAuthAttempt).where(col(OAuthAttempt.state_hash) == hash_state(state)).returning(OAuthAttempt)
    )
    return taken.scalar_one_or_none()


def _verifier(wired: Collaborators, attempt: OAuthAttempt) -> str | None:
    if attempt.verifier_sealed is None:
        return None
    return wired.keys.open(
        attempt.verifier_sealed, tenant_id=attempt.tenant_id, row_id=attempt.id, column=_VERIFIER
    )


async def _discovered(grant: Grant, tokens: TokenSet, now: datetime) -> tuple[Discovered | None, str | None]:
    """What the account is and reaches, or what kept us from seeing it.

    The person has agreed and the code is spent: a platform that stumbles now must not cost the tokens, of
    which a rotating pair may be the only one that lives.
    """
    stored = Stored(tokens.access_token, tokens.refresh_token, expires_at=tokens.expires_at)
    problem = ""
    for _ in range(2):
        try:
            async with asyncio.timeout(DISCOVERY_SECONDS):
                return await grant.discover(stored, now=now), None
        except TimeoutError:
            problem = f"{grant.title} takes too long to say what the account reaches"
            break
        except PlatformError as error:
            log.warning("account not discovered", kind=grant.kind, code=error.code, reason=error.detail)
            problem = error.detail
            if error.consequence is not Consequence.TRANSIENT:
                break
    return None, problem


def _refused(title: str, error: str) -> str:
    if error == "access_denied":
        return f"You did not agree on {title}, so nothing was connected."
    if error and error.isascii() and error.replace("_", "").isalnum():
        return f"{title} did not let you agree ({error[:60]}). Nothing was connected."
    return f"{title} sent you back without an answer. Nothing was connected."


def _not_exchanged(title: str, error: PlatformError) -> str:
    match error.consequence:
        case Consequence.TRANSIENT | Consequence.RATE:
            return f"{title} did not finish the sign-in. Nothing was connected; please start again."
        case Consequence.INVALID:
            return f"This server's app is not accepted. Nothing was connected. {error.detail}"
        case _:
            return f"The sign-in was not accepted. Nothing was connected; please start again. {error.detail}"
