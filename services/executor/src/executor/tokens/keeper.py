"""Renewing tokens: once for everybody, stored before anybody uses the new one, and truthful about what was
lost.

Within the process those who want another token of a connection share one flight; between processes the row
is locked, and whoever waited for it finds the new token and sends nothing. See decision 13.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import structlog

from common import outbox, telemetry
from common.crypto import Undecryptable
from common.database import TRANSIENT_DATABASE_ERRORS, Connection
from common.errors import Consequence, PlatformError
from common.events import TokenRefreshed, to_record
from common.models import ConnectionKind, ConnectionStatus, RefreshOutcome
from common.oauth.base import ANSWER_LOST, Grant, TokenSet
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
from executor.tokens.vault import Kept, Vault

log = structlog.get_logger()

REQUEST_SECONDS = 10.0
"""For one request. Two of them, and what is written around them, fit into the patience of those who wait."""
STORE_SECONDS = 45.0
"""How long to go on trying to store what was granted; others leave the grant alone for longer than that."""
STORE_PAUSE = 0.5
REMEMBERED = 10_000
"""Tokens kept in memory, the most recently used."""
_NO_DATABASE = (*TRANSIENT_DATABASE_ERRORS, asyncpg.LockNotAvailableError)

_SENT_AND_DIED = "the process that sent it ended before the answer came"
_NO_ANSWER = "sent, and its answer never came; asked again with the same refresh token"


@dataclass(frozen=True, slots=True)
class _Granted:
    """What a platform granted for a renewal, until it is stored."""

    kept: Kept
    refresh_id: UUID
    tokens: TokenSet
    why: Why

    @property
    def is_new(self) -> bool:
        """A token without an end is only looked at, and comes back as it was."""
        return self.why is not Why.DUE or self.tokens.access_token != self.kept.stored.access_token

    @property
    def token(self) -> Token:
        """What is handed out once it is stored."""
        version = self.kept.version + self.is_new
        return Token(self.tokens.access_token, version, self.tokens.expires_at, self.kept.now)


class TokenKeeper:
    """The tokens of all connections, as one process knows and renews them.

    Args:
        grants: how each kind of connection is renewed; a kind that is not there cannot be.
        places: renewals at the same time. Each holds a pooled connection while the platform answers, and a
            second one for a moment, so that it must be well under half of the pool.
    """

    def __init__(
        self,
        vault: Vault,
        aftermath: AftermathWriter,
        grants: Mapping[ConnectionKind, Grant],
        *,
        places: int = 2,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.vault = vault
        self.grants = grants
        self._aftermath = aftermath
        self._places = asyncio.Semaphore(places)
        self._clock = clock
        self._tokens: OrderedDict[UUID, Token] = OrderedDict()
        self._flights: dict[UUID, asyncio.Task[Token]] = {}

    def known(self, connection_id: UUID) -> Token | None:
        """The newest token this process has seen of the connection."""
        return self._tokens.get(connection_id)

    def remember(self, connection_id: UUID, token: Token) -> Token:
        """Keep a token that was read or granted; answers the newest."""
        newest = self._tokens.get(connection_id)
        if newest is None or newest.version <= token.version:
            newest = self._tokens[connection_id] = token
        self._tokens.move_to_end(connection_id)
        if len(self._tokens) > REMEMBERED:
            self._tokens.popitem(last=False)
        return newest

    async def fresh(self, connection_id: UUID, kind: ConnectionKind, token: Token | None) -> Token:
        """`token`, or a newer one when it is about to end.

        Where there is none to be had now, `token` as long as it lives. Raises PlatformError.
        """
        now = self._clock()
        if token is not None and (kind not in self.grants or not is_worn(kind, token, now)):
            return token
        try:
            return await self.renewed(connection_id, kind, token.version if token else 0, Why.WORN)
        except _NO_DATABASE as error:
            if token is not None and token.lives(now):
                log.warning(
                    "token not renewed yet", connection_id=str(connection_id), error=type(error).__name__
                )
                return token
            raise self._not_yet(kind.platform, connection_id) from error

    async def replaced(self, connection_id: UUID, kind: ConnectionKind, version: int) -> Token:
        """Another token than the `version`th, which the platform refused. Raises PlatformError."""
        try:
            return await self.renewed(connection_id, kind, version, Why.REFUSED)
        except _NO_DATABASE as error:
            raise self._not_yet(kind.platform, connection_id) from error

    async def renewed(self, connection_id: UUID, kind: ConnectionKind, version: int, why: Why) -> Token:
        """The token after a renewal, shared with all in this process who want one of this connection.

        Raises PlatformError, and what a database that is away raises.
        """
        # A flight that began for an older token may land with the one that is refused now: one more then.
        for _ in range(2):
            flight = self._flights.get(connection_id)
            if flight is None:
                flight = asyncio.create_task(
                    self._fly(connection_id, kind, version, why), name=f"renew {connection_id}"
                )
                self._flights[connection_id] = flight
                flight.add_done_callback(lambda done: self._landed(connection_id, done))
            # Shielded: whoever gives up waiting must not cut short what others wait for.
            token = await asyncio.shield(flight)
            if why is not Why.REFUSED or token.version > version:
                break
        return token

    async def condemn(self, kept: Kept, reason: str) -> None:
        """The platform says that the token is dead, unless it is another one by now."""
        async with self.vault.locked(kept.id) as (connection, now):
            if now is not None and now.version == kept.version:
                await self._condemn(connection, now, reason)

    async def close(self, seconds: float) -> None:
        """Wait for what is on its way; what takes longer is cut, and its record says that it was."""
        flights = list(self._flights.values())
        if not flights:
            return
        _, late = await asyncio.wait(flights, timeout=seconds)
        for flight in late:
            flight.cancel()
        if late:
            log.warning("renewals cut short", count=len(late))
            await asyncio.wait(late)

    def _landed(self, connection_id: UUID, flight: asyncio.Task[Token]) -> None:
        del self._flights[connection_id]
        if not flight.cancelled():
            # Whoever asked may have given up; the error is then nobody's, and was logged where it arose.
            flight.exception()

    async def _fly(self, connection_id: UUID, kind: ConnectionKind, version: int, why: Why) -> Token:
        attributes = {"carillon.connection.id": str(connection_id), "carillon.connection.kind": kind.value}
        async with self._places:
            with telemetry.span("renew token", attributes=attributes):
                try:
                    found = await self._settle(connection_id, kind, version, why)
                except Undecryptable as error:
                    log.error("token cannot be opened", connection_id=str(connection_id), error=error.detail)
                    raise self._error(
                        kind.platform, connection_id, error.detail, Consequence.INVALID, "undecryptable"
                    ) from error
                if isinstance(found, PlatformError):
                    raise found
                return self.remember(connection_id, found)

    async def _settle(
        self, connection_id: UUID, kind: ConnectionKind, version: int, why: Why
    ) -> Token | PlatformError:
        granted: _Granted | None = None
        try:
            async with self.vault.locked(connection_id) as (connection, kept):
                if kept is None:
                    return self._error(
                        kind.platform,
                        connection_id,
                        "the account is no longer connected",
                        Consequence.REAUTH,
                        "not_connected",
                    )
                past = await self.vault.past(connection, kept)
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
        """What the locked row decides by itself; None: the platform must be asked."""
        if kept.status is not ConnectionStatus.ACTIVE:
            reason = kept.status_reason or "connect the account again"
            return self._error(kept.platform, kept.id, reason, Consequence.REAUTH, "reauth_required")
        token, worn = kept.token, kept.token is not None and is_worn(kept.kind, kept.token, kept.now)
        usable = token if token is not None and why is not Why.REFUSED and token.lives(kept.now) else None
        if token is not None and not worn and (token.version > version or why is Why.WORN):
            # Somebody else renewed it while we waited.
            return token
        if kept.kind not in self.grants or not can_renew(kept.kind, kept.stored, why=why):
            return usable or Condemned(kept.id, kept.version, self._unrenewable(kept))
        if past.in_flight:
            # Its process may be about to store what it was granted; asking now could spoil that.
            return usable or self._not_yet(kept.platform, kept.id, ADOPT_AFTER)
        wait = kept.refresh_at - kept.now if past.failures and kept.refresh_at else timedelta()
        if wait > timedelta():
            return usable or self._not_yet(kept.platform, kept.id, wait)
        if why is Why.DUE and token is not None and not is_due(kept.refresh_at, kept.now):
            return token
        return None

    async def _ask(self, kept: Kept, past: Past, why: Why) -> _Granted | tuple[UUID, PlatformError, bool]:
        """Send the renewal, once more when its answer is lost. The flag: an answer was lost on the way."""
        grant = self.grants[kept.kind]
        refresh_id = await self.vault.begin(kept, because=_SENT_AND_DIED, code=ANSWER_LOST)
        tokens = await self._send(grant, kept)
        lost = past.answer_lost
        if isinstance(tokens, PlatformError) and tokens.code == ANSWER_LOST:
            lost = True
            refresh_id = await self.vault.begin(kept, because=_NO_ANSWER, code=ANSWER_LOST)
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
            # A defect while the answer was read: it was given, and is gone.
            log.exception("renewal failed unexpectedly", **_ids(kept))
            detail = f"{type(error).__name__} while the answer was read"
        return self._error(kept.platform, kept.id, detail, Consequence.TRANSIENT, ANSWER_LOST)

    async def _store(self, connection: Connection, granted: _Granted) -> None:
        """Within the lock's transaction: whoever sees the new token sees all of this."""
        kept, tokens, token = granted.kept, granted.tokens, granted.token
        due = self.grants[kept.kind].renew_at(tokens, now=kept.now)
        await self.vault.store(
            connection,
            kept,
            tokens,
            version=token.version,
            refresh_at=due and max(due, kept.now + LEAST_PAUSE),
        )
        await self.vault.end(connection, granted.refresh_id, RefreshOutcome.REFRESHED)
        if granted.is_new:
            event = TokenRefreshed(
                connection_id=kept.id,
                tenant_id=kept.tenant_id,
                platform=kept.platform,
                kind=kept.kind.value,
                version=token.version,
                expires_at=token.expires_at,
            )
            await outbox.write(connection, [to_record(event, source="executor", time=self._clock())])
        telemetry.TOKEN_RENEWALS.labels(kept.platform, RefreshOutcome.REFRESHED.value).inc()
        log.info("token renewed", version=token.version, expires_at=str(token.expires_at), **_ids(kept))

    async def _store_at_last(self, granted: _Granted) -> Token | PlatformError:
        """The lock's own connection broke after the platform had answered: the pair exists only here."""
        until = asyncio.get_running_loop().time() + STORE_SECONDS
        while asyncio.get_running_loop().time() < until:
            try:
                async with self.vault.locked(granted.kept.id) as (connection, kept):
                    if kept is not None and kept.version == granted.kept.version:
                        await self._store(connection, granted)
                        return granted.token
                    # Connected again meanwhile, or deleted: what we were granted is not wanted any more.
                    await self.vault.end(connection, granted.refresh_id, RefreshOutcome.REFRESHED)
                    if kept is not None and kept.token is not None:
                        return kept.token
                    break
            except _NO_DATABASE as error:
                log.warning("renewed token not stored yet", error=type(error).__name__, **_ids(granted.kept))
                await asyncio.sleep(STORE_PAUSE)
        else:
            log.error("renewed token is lost: it could not be stored", **_ids(granted.kept))
        return self._not_yet(granted.kept.platform, granted.kept.id)

    async def _record(
        self,
        connection: Connection,
        kept: Kept,
        past: Past,
        failure: tuple[UUID, PlatformError, bool],
        why: Why,
    ) -> Token | PlatformError:
        """What follows from a renewal that granted nothing, within the lock's transaction."""
        refresh_id, error, lost = failure
        outcome = outcome_of(kept.kind, error)
        await self.vault.end(connection, refresh_id, outcome, error)
        telemetry.TOKEN_RENEWALS.labels(kept.platform, outcome.value).inc()
        if outcome is RefreshOutcome.REJECTED:
            rotates = self.grants[kept.kind].rotates
            return await self._condemn(
                connection, kept, reason_for(error, answer_lost=lost, rotates=rotates), error.code
            )
        pause = pause_after(error, failures=past.failures + 1, random=random.random())  # noqa: S311
        await self.vault.postpone(connection, kept, pause)
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
        self, connection: Connection, kept: Kept, reason: str, code: str | None = None
    ) -> PlatformError:
        condemned = Condemned(kept.id, kept.version, reason)
        now = self._clock()
        await outbox.write(connection, await self._aftermath.condemn(connection, [condemned], now=now))
        return self._error(kept.platform, kept.id, reason, Consequence.REAUTH, code or "not_renewable")

    def _unrenewable(self, kept: Kept) -> str:
        if kept.kind not in self.grants:
            return "its token is no longer accepted, and tokens of its kind cannot be renewed"
        return "its token is no longer accepted, and there is nothing to renew it with"

    def _not_yet(self, platform: str, connection_id: UUID, wait: timedelta | None = None) -> PlatformError:
        return self._error(
            platform,
            connection_id,
            "its token has ended and could not be renewed yet",
            Consequence.TRANSIENT,
            "not_renewed_yet",
            retry_after=None if wait is None else wait.total_seconds(),
        )

    def _error(
        self,
        platform: str,
        connection_id: UUID,
        detail: str,
        consequence: Consequence,
        code: str,
        *,
        retry_after: float | None = None,
    ) -> PlatformError:
        return PlatformError(
            detail,
            consequence,
            platform=platform,
            code=code,
            retry_after=retry_after,
            connection_id=str(connection_id),
        )


def _ids(kept: Kept) -> dict[str, str]:
    return {
        "connection_id": str(kept.id),
        "tenant_id": str(kept.tenant_id),
        "kind": kept.kind.value,
    }
