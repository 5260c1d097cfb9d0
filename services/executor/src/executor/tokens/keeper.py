"""The tokens of all connections, as one process knows them: refreshed once for all callers.

Within the process all callers share one refresh of a connection; between processes its row is locked, and a
process that had to wait finds the new token and sends nothing. See decision 13.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import structlog

from common import telemetry
from common.clock import utc_now
from common.errors import Consequence, PlatformError
from common.models import ConnectionKind, platform_of
from common.secrets.crypto import Undecryptable
from executor.tokens.decisions import Token, Why, is_worn
from executor.tokens.refresher import NO_DATABASE, Refresher, not_yet, unavailable
from executor.tokens.vault import Vault

log = structlog.get_logger()

REMEMBERED = 10_000
"""Tokens kept in memory, the most recently used."""


class TokenKeeper:
    """Hands out tokens, and has them refreshed.

    Args:
        places: concurrent refreshes. Each holds a pooled session while the platform answers, and a second one
            briefly, so it must be well under half of the pool.
    """

    def __init__(
        self,
        vault: Vault,
        refresher: Refresher,
        *,
        places: int = 2,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._vault = vault
        self._refresher = refresher
        self._places = asyncio.Semaphore(places)
        self._clock = clock
        self._tokens: OrderedDict[UUID, Token] = OrderedDict()
        self._flights: dict[UUID, asyncio.Task[Token]] = {}

    def known(self, connection_id: UUID) -> Token | None:
        """The newest token this process has seen of the connection."""
        return self._tokens.get(connection_id)

    def opened(
        self,
        connection_id: UUID,
        sealed: bytes,
        *,
        tenant_id: UUID,
        version: int,
        expires_at: datetime | None,
        granted_at: datetime | None,
    ) -> Token:
        """A stored token, decrypted only when this process knows none as new. Raises Undecryptable."""
        known = self.known(connection_id)
        if known is not None and known.version >= version:
            return known
        value = self._vault.open_token(sealed, tenant_id=tenant_id, connection_id=connection_id)
        return self.remember(connection_id, Token(value, version, expires_at, granted_at))

    def remember(self, connection_id: UUID, token: Token) -> Token:
        """Remember a token that was read or granted; returns the newest."""
        newest = self._tokens.get(connection_id)
        if newest is None or newest.version <= token.version:
            newest = self._tokens[connection_id] = token
        self._tokens.move_to_end(connection_id)
        if len(self._tokens) > REMEMBERED:
            self._tokens.popitem(last=False)
        return newest

    async def fresh(self, connection_id: UUID, kind: ConnectionKind, token: Token | None) -> Token:
        """`token`, or a newer one when it is about to expire.

        If none can be had now, `token` as long as it is valid. Raises PlatformError.
        """
        now = self._clock()
        if token is not None and not (self._refresher.knows(kind) and is_worn(kind, token, now)):
            return token
        try:
            return await self.renewed(connection_id, kind, token.version if token else 0, Why.WORN)
        except NO_DATABASE as error:
            if token is not None and token.lives(now):
                log.warning(
                    "token not renewed yet", connection_id=str(connection_id), error=type(error).__name__
                )
                return token
            raise not_yet(platform_of(kind), connection_id) from error

    async def replaced(self, connection_id: UUID, kind: ConnectionKind, version: int) -> Token:
        """A token other than the `version`th, which the platform rejected. Raises PlatformError."""
        try:
            return await self.renewed(connection_id, kind, version, Why.REFUSED)
        except NO_DATABASE as error:
            raise not_yet(platform_of(kind), connection_id) from error

    async def renewed(self, connection_id: UUID, kind: ConnectionKind, version: int, why: Why) -> Token:
        """The token after a refresh, shared with all callers in this process.

        Raises PlatformError, and the database's connection errors.
        """
        # A refresh begun for an older token may yield the one that is rejected now: one more then.
        for _ in range(2):
            flight = self._flights.get(connection_id)
            if flight is None:
                flight = asyncio.create_task(
                    self._fly(connection_id, kind, version, why), name=f"renew {connection_id}"
                )
                self._flights[connection_id] = flight
                flight.add_done_callback(lambda done: self._landed(connection_id, done))
            # Shielded, because a caller that is cancelled must not cancel the refresh that others wait for.
            token = await asyncio.shield(flight)
            if why is not Why.REFUSED or token.version > version:
                break
        return token

    async def close(self, seconds: float) -> None:
        """Wait for refreshes in progress; those that take longer are cancelled and recorded as such."""
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
            # Retrieve the error, because its caller may be gone; it was logged where it arose.
            flight.exception()

    async def _fly(self, connection_id: UUID, kind: ConnectionKind, version: int, why: Why) -> Token:
        attributes = {"carillon.connection.id": str(connection_id), "carillon.connection.kind": kind}
        async with self._places:
            with telemetry.span("renew token", attributes=attributes):
                try:
                    found = await self._refresher.settle(connection_id, kind, version, why)
                except Undecryptable as error:
                    log.error("token cannot be opened", connection_id=str(connection_id), error=error.detail)
                    raise unavailable(
                        platform_of(kind), connection_id, error.detail, Consequence.INVALID, "undecryptable"
                    ) from error
                if isinstance(found, PlatformError):
                    raise found
                return self.remember(connection_id, found)
