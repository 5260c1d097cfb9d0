"""One refresh, under the lock of the connection's row: requested, recorded, and stored before it is used.

Checks that need no platform come first: after a wait for the lock the new token may already be there.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import structlog

from common import telemetry
from common.clock import utc_now
from common.database import outbox
from common.database.pool import TRANSIENT_DATABASE_ERRORS, DbSession
from common.errors import Consequence, PlatformError
from common.events import TokenRefreshed, to_record
from common.models import ConnectionKind, ConnectionStatus, RefreshOutcome, platform_of
from common.work.stopping import SET_ASIDE, in_hand, is_set_aside
from executor.aftermath.application import AftermathWriter
from executor.aftermath.table import Condemned
from executor.tokens.decisions import (
    ADOPT_AFTER,
    LEAST_PAUSE,
    Past,
    Token,
    Why,
    can_renew,
    is_due,
    is_worn,
    outcome_of,
    pause_after,
    reason_for,
)
from executor.tokens.vault import RENEWALS, Kept, Vault
from platforms.oauth.base import ANSWER_LOST, Grant, TokenSet

log = structlog.get_logger()

REQUEST_SECONDS = 10.0
"""For one request. Two of them and their writes fit into `vault.LOCK_PATIENCE`."""
STORE_SECONDS = 45.0
"""How long to keep trying to store a granted token; other processes leave the grant alone for longer than
that."""
STORE_PAUSE = 0.5
NO_DATABASE = (*TRANSIENT_DATABASE_ERRORS, asyncpg.LockNotAvailableError)
"""What it looks like when the row cannot be had now."""

_SENT_AND_DIED = "the process that sent it ended before the answer came"
_NO_ANSWER = "sent, and its answer never came; asked again with the same refresh token"


@dataclass(frozen=True, slots=True)
class _Granted:
    """What a platform granted in a refresh, until it is stored."""

    kept: Kept
    refresh_id: UUID
    tokens: TokenSet
    why: Why

    @property
    def is_new(self) -> bool:
        """A token without an expiry is only checked, and returned unchanged."""
        return self.why is not Why.DUE or self.tokens.access_token != self.kept.stored.access_token

    @property
    def token(self) -> Token:
        """What is handed out once it is stored."""
        version = self.kept.version + self.is_new
        return Token(self.tokens.access_token, version, self.tokens.expires_at, self.kept.now)


class Refresher:
    """Refreshes tokens for one worker. Kinds without an entry in `grants` cannot be refreshed."""

    def __init__(
        self,
        vault: Vault,
        aftermath: AftermathWriter,
        grants: Mapping[ConnectionKind, Grant],
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._vault = vault
        self._aftermath = aftermath
        self._grants = grants
        self._clock = clock

    def knows(self, kind: ConnectionKind) -> bool:
        """Whether tokens of this kind can be refreshed at all."""
        return kind in self._grants

    async def condemn(self, kept: Kept, reason: str) -> None:
        """Record that the platform no longer accepts the token, unless it was replaced meanwhile."""
        async with self._vault.locked(kept.id) as (connection, now):
            if now is not None and now.version == kept.version:
                await self._condemn(connection, now, reason)

    async def settle(
        self, connection_id: UUID, kind: ConnectionKind, version: int, why: Why
    ) -> Token | PlatformError:
        """A token other than the `version`th, or why there is none. Consequences are recorded already.

        Raises Undecryptable, and the database's connection errors.
        """
        granted: _Granted | None = None
        try:
            async with self._vault.locked(connection_id) as (connection, kept):
                if kept is None:
                    return unavailable(
                        platform_of(kind),
                        connection_id,
                        "the account is no longer connected",
                        Consequence.REAUTH,
                        "not_connected",
                    )
                past = await self._vault.past(connection, kept)
                settled = self._without_asking(kept, past, version, why)
                if settled is not None:
                    if isinstance(settled, Condemned):
                        return await self._condemn(connection, kept, settled.reason)
                    return settled
                found = await self._ask(kept, past, why)
                if isinstance(found, _Granted):
                    granted = found
                    await self._store(connection, granted)
                    return granted.token
                return await self._record(connection, kept, past, found, why)
        except TRANSIENT_DATABASE_ERRORS as error:
            if granted is None:
                raise
            log.warning("renewed token not stored yet", error=type(error).__name__, **_ids(granted.kept))
        return await self._store_at_last(granted)

    def _without_asking(
        self, kept: Kept, past: Past, version: int, why: Why
    ) -> Token | PlatformError | Condemned | None:
        """The result if the locked row decides it; None: the platform must be asked."""
        if kept.status is not ConnectionStatus.ACTIVE:
            reason = kept.status_reason or "connect the account again"
            return unavailable(kept.platform, kept.id, reason, Consequence.REAUTH, "reauth_required")
        token, worn = kept.token, kept.token is not None and is_worn(kept.kind, kept.token, kept.now)
        usable = token if token is not None and why is not Why.REFUSED and token.lives(kept.now) else None
        if token is not None and not worn and (token.version > version or why is Why.WORN):
            # Another process refreshed it while we waited for the lock.
            return token
        if is_set_aside(past.stopped):
            return Condemned(kept.id, kept.version, f"its token could not be renewed: {SET_ASIDE}")
        if kept.kind not in self._grants or not can_renew(kept.kind, kept.stored, why=why):
            return usable or Condemned(kept.id, kept.version, _unrenewable(kept, self._grants))
        if past.in_flight:
            # Its process may be about to store the new token; a request now could invalidate it.
            return usable or not_yet(kept.platform, kept.id, ADOPT_AFTER)
        wait = kept.refresh_at - kept.now if past.failures and kept.refresh_at else timedelta()
        if wait > timedelta():
            return usable or not_yet(kept.platform, kept.id, wait)
        if why is Why.DUE and token is not None and not is_due(kept.refresh_at, kept.now):
            return token
        return None

    async def _ask(self, kept: Kept, past: Past, why: Why) -> _Granted | tuple[UUID, PlatformError, bool]:
        """Send the request, once more if its response is lost. The flag: a response was lost."""
        grant = self._grants[kept.kind]
        refresh_id = await self._vault.begin(kept, because=_SENT_AND_DIED, code=ANSWER_LOST)
        # Of this flight's own context: what the watchdog blames is the refresh, not the run that wanted it.
        in_hand.set((RENEWALS, (refresh_id, 1)))
        tokens = await self._send(grant, kept)
        lost = past.answer_lost
        if isinstance(tokens, PlatformError) and tokens.code == ANSWER_LOST:
            lost = True
            refresh_id = await self._vault.begin(kept, because=_NO_ANSWER, code=ANSWER_LOST)
            in_hand.set((RENEWALS, (refresh_id, 1)))
            tokens = await self._send(grant, kept)
        if isinstance(tokens, PlatformError):
            return refresh_id, tokens, lost
        return _Granted(kept, refresh_id, tokens, why)

    async def _send(self, grant: Grant, kept: Kept) -> TokenSet | PlatformError:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                return await grant.renew(kept.stored, now=kept.now)
        except PlatformError as error:
            error.connection_id = str(kept.id)
            return error
        except TimeoutError:
            detail = f"no answer within {REQUEST_SECONDS:g} s"
        except Exception as error:
            # A defect while reading the response: it was received, and is lost.
            log.exception("renewal failed unexpectedly", **_ids(kept))
            detail = f"{type(error).__name__} while the answer was read"
        return unavailable(kept.platform, kept.id, detail, Consequence.TRANSIENT, ANSWER_LOST)

    async def _store(self, db: DbSession, granted: _Granted) -> None:
        """Within the lock's transaction, so that the new token becomes visible together with all of this."""
        kept, tokens, token = granted.kept, granted.tokens, granted.token
        due = self._grants[kept.kind].renew_at(tokens, now=kept.now)
        await self._vault.store(
            db,
            kept,
            tokens,
            version=token.version,
            refresh_at=due and max(due, kept.now + LEAST_PAUSE),
        )
        await self._vault.end(db, granted.refresh_id, RefreshOutcome.REFRESHED)
        if granted.is_new:
            event = TokenRefreshed(
                connection_id=kept.id,
                tenant_id=kept.tenant_id,
                platform=kept.platform,
                kind=kept.kind,
                version=token.version,
                expires_at=token.expires_at,
            )
            await outbox.write(db, [to_record(event, source="executor", time=self._clock())])
        telemetry.TOKEN_RENEWALS.labels(kept.platform, RefreshOutcome.REFRESHED.value).inc()
        log.info("token renewed", version=token.version, expires_at=str(token.expires_at), **_ids(kept))

    async def _store_at_last(self, granted: _Granted) -> Token | PlatformError:
        """The lock's own connection broke after the platform had answered: the pair exists only here."""
        until = asyncio.get_running_loop().time() + STORE_SECONDS
        while asyncio.get_running_loop().time() < until:
            try:
                async with self._vault.locked(granted.kept.id) as (connection, kept):
                    if kept is not None and kept.version == granted.kept.version:
                        await self._store(connection, granted)
                        return granted.token
                    # Connected again meanwhile, or deleted: the granted token is no longer wanted.
                    await self._vault.end(connection, granted.refresh_id, RefreshOutcome.REFRESHED)
                    if kept is not None and kept.token is not None:
                        return kept.token
                    break
            except NO_DATABASE as error:
                log.warning("renewed token not stored yet", error=type(error).__name__, **_ids(granted.kept))
                await asyncio.sleep(STORE_PAUSE)
        else:
            log.error("renewed token is lost: it could not be stored", **_ids(granted.kept))
        return not_yet(granted.kept.platform, granted.kept.id)

    async def _record(
        self,
        db: DbSession,
        kept: Kept,
        past: Past,
        failure: tuple[UUID, PlatformError, bool],
        why: Why,
    ) -> Token | PlatformError:
        """Record a refresh that granted nothing, within the lock's transaction."""
        refresh_id, error, lost = failure
        outcome = outcome_of(kept.kind, error)
        await self._vault.end(db, refresh_id, outcome, error)
        telemetry.TOKEN_RENEWALS.labels(kept.platform, outcome.value).inc()
        if outcome is RefreshOutcome.REJECTED:
            rotates = self._grants[kept.kind].rotates
            return await self._condemn(
                db, kept, reason_for(error, answer_lost=lost, rotates=rotates), error.code
            )
        pause = pause_after(error, failures=past.failures + 1, random=random.random())  # noqa: S311
        await self._vault.postpone(db, kept, pause)
        log.warning(
            "token not renewed",
            outcome=outcome.value,
            code=error.code,
            error=error.detail,
            again_in_seconds=round(pause.total_seconds()),
            **_ids(kept),
        )
        if kept.token is not None and why is not Why.REFUSED and kept.token.lives(kept.now):
            return kept.token
        return PlatformError(
            error.detail,
            error.consequence,
            platform=error.platform,
            code=error.code,
            http_status=error.http_status,
            retry_after=None if error.permanent else pause.total_seconds(),
            connection_id=str(kept.id),
        )

    async def _condemn(
        self, db: DbSession, kept: Kept, reason: str, code: str | None = None
    ) -> PlatformError:
        condemned = Condemned(kept.id, kept.version, reason)
        now = self._clock()
        await outbox.write(db, await self._aftermath.condemn(db, [condemned], now=now))
        return unavailable(kept.platform, kept.id, reason, Consequence.REAUTH, code or "not_renewable")


def not_yet(platform: str, connection_id: UUID, wait: timedelta | None = None) -> PlatformError:
    """There is no valid token, and none can be had now."""
    return unavailable(
        platform,
        connection_id,
        "its token has ended and could not be renewed yet",
        Consequence.TRANSIENT,
        "not_renewed_yet",
        retry_after=None if wait is None else wait.total_seconds(),
    )


def unavailable(
    platform: str,
    connection_id: UUID,
    detail: str,
    consequence: Consequence,
    code: str,
    *,
    retry_after: float | None = None,
) -> PlatformError:
    """The error for the callers that wanted the connection's token."""
    return PlatformError(
        detail,
        consequence,
        platform=platform,
        code=code,
        retry_after=retry_after,
        connection_id=str(connection_id),
    )


def _unrenewable(kept: Kept, grants: Mapping[ConnectionKind, Grant]) -> str:
    if kept.kind not in grants:
        return "its token is no longer accepted, and tokens of its kind cannot be renewed"
    return "its token is no longer accepted, and there is nothing to renew it with"


def _ids(kept: Kept) -> dict[str, str]:
    return {
        "connection_id": str(kept.id),
        "tenant_id": str(kept.tenant_id),
        "kind": kept.kind,
    }
