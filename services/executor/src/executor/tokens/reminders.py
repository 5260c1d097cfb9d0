"""Answering the leader's reminders: tokens that are due are refreshed, or checked where they cannot be.

A reminder is acknowledged once it waits here. If this process ends first, the leader sees no result and sends
the reminder again; tokens that were refreshed meanwhile are no longer due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

import structlog

from common.database.pool import TRANSIENT_DATABASE_ERRORS
from common.errors import Consequence, PlatformError
from common.models import ConnectionKind, ConnectionStatus, RefreshOutcome
from common.process.loops import end_if_cancelled
from common.secrets.crypto import Undecryptable
from common.work.places import Stopping
from common.work.waiting import Waiting
from executor.aftermath.table import PROBLEMS
from executor.tokens.decisions import LOOK_AGAIN_AFTER, Move, Why, is_due, move_when_due, outcome_of
from executor.tokens.keeper import TokenKeeper
from executor.tokens.refresher import Refresher
from executor.tokens.vault import Kept, Vault
from platforms.oauth.base import Grant, TokenSet

log = structlog.get_logger()

WAITING = 200
"""Reminders that may wait here; more are left in the topic."""
LOOK_SECONDS = 60.0
"""For all requests of one check: a connection may reach many accounts."""


class TokenReminders:
    """One executor's handling of tokens that are due. It takes no places of runs."""

    def __init__(
        self,
        vault: Vault,
        keeper: TokenKeeper,
        refresher: Refresher,
        grants: Mapping[ConnectionKind, Grant],
        *,
        places: int = 2,
    ) -> None:
        self._vault = vault
        self._keeper = keeper
        self._refresher = refresher
        self._grants = grants
        self._places = places
        self._due: asyncio.Queue[UUID] = asyncio.Queue(WAITING)
        self._queued: set[UUID] = set()
        self._room = asyncio.Event()
        self._room.set()
        self._is_closed = False

    async def take(self, connections: Sequence[Waiting]) -> None:
        """Queue the connections; raises Stopping when the process takes no more work."""
        for connection_id in (each.id for each in connections):
            while self._due.full() and not self._is_closed:
                self._room.clear()
                await self._room.wait()
            if self._is_closed:
                raise Stopping("this process takes no more work")
            if connection_id not in self._queued:
                self._queued.add(connection_id)
                self._due.put_nowait(connection_id)

    def close(self) -> None:
        """Take no more; queued reminders are left to other executors."""
        self._is_closed = True
        self._room.set()

    async def run(self) -> None:
        """Work through the queue until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._places):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            connection_id = await self._due.get()
            self._queued.discard(connection_id)
            self._room.set()
            try:
                await self.handle(connection_id)
            except TRANSIENT_DATABASE_ERRORS as error:
                end_if_cancelled()
                log.warning(
                    "token reminder failed", connection_id=str(connection_id), error=type(error).__name__
                )
            except Exception:
                end_if_cancelled()
                # Continue, because a defect met with one connection must not stop the others.
                log.exception("token reminder failed", connection_id=str(connection_id))

    async def handle(self, connection_id: UUID) -> None:
        """Refresh the token, or check whether it is still valid, if that is still due."""
        try:
            kept = await self._vault.read(connection_id)
        except Undecryptable as error:
            log.error("token cannot be opened", connection_id=str(connection_id), error=error.detail)
            return
        if kept is None or kept.status is not ConnectionStatus.ACTIVE or kept.kind not in self._grants:
            return
        if not is_due(kept.refresh_at, kept.now):
            return
        if move_when_due(kept.kind, kept.stored, kept.now) is Move.LOOK:
            await self._look(kept)
            return
        try:
            await self._keeper.renewed(connection_id, kept.kind, kept.version, Why.DUE)
        except PlatformError as error:
            # Its consequences have been recorded already.
            log.info("token not renewed", connection_id=str(connection_id), code=error.code)

    async def _look(self, kept: Kept) -> None:
        """Ask the platform whose token it is: the only way to learn that it was revoked."""
        grant = self._grants[kept.kind]
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                found = await grant.discover(kept.stored, now=kept.now)
        except (PlatformError, TimeoutError) as error:
            await self._look_failed(kept, error)
            return
        tokens = TokenSet(
            kept.stored.access_token or "", expires_at=found.expires_at or kept.stored.expires_at
        )
        due = grant.renew_at(tokens, now=kept.now)
        earliest = kept.now + LOOK_AGAIN_AFTER
        await self._vault.seen(kept, found, refresh_at=due and max(due, earliest))
        log.info("connection looked at", connection_id=str(kept.id), accounts=len(found.accounts))

    async def _look_failed(self, kept: Kept, error: PlatformError | TimeoutError) -> None:
        is_dead = isinstance(error, PlatformError) and (
            outcome_of(kept.kind, error) is RefreshOutcome.REJECTED
        )
        if isinstance(error, PlatformError) and is_dead:
            await self._refresher.condemn(kept, error.detail)
            return
        lacks = isinstance(error, PlatformError) and error.consequence is Consequence.PERM
        problem = f"{PROBLEMS[Consequence.PERM]}: {error}" if lacks else None
        await self._vault.look_again(kept, LOOK_AGAIN_AFTER, problem=problem)
        log.warning(
            "connection not looked at",
            connection_id=str(kept.id),
            error=str(error) or type(error).__name__,
        )
