"""Applying the consequences of errors: set-based, in the transaction that records the attempts that met them.

Locks are taken in one order everywhere: connections, then the team's turn, then automations by id. A locked
connection is skipped, because its holder is refreshing or replacing the token, or has found it dead already,
and the holder's result is the newer one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import structlog

from common import owner_notices
from common.database.pool import DbSession
from common.events import AutomationChanged, EventRecord, TokenReauthRequired, to_record
from common.owner_notices import OwnerNotice
from executor.aftermath import notices, statements
from executor.aftermath.table import PROBLEMS, AutomationFate, Condemned, ConnectionFate, Fault
from platforms.registry import title_of

log = structlog.get_logger()

REASON_LENGTH = 500


@dataclass(frozen=True, slots=True)
class _Told:
    """The result of one step: its events, its messages, and the connections those are about."""

    events: Sequence[EventRecord] = ()
    messages: Sequence[OwnerNotice] = ()
    about: frozenset[UUID] = frozenset()


class AftermathWriter:
    """Writes the aftermath of errors for one worker; all its methods work in the caller's transaction."""

    def __init__(self, *, public_url: str) -> None:
        self._public_url = public_url

    async def outdated(self, db: DbSession, faults: Iterable[Fault]) -> set[UUID]:
        """Of the connections whose token was rejected, those that have a newer one by now."""
        blamed = _condemned(faults)
        if not blamed:
            return set()
        rows = await db.fetch(
            statements.OUTDATED, [one.connection_id for one in blamed], [one.token_version for one in blamed]
        )
        return {row["id"] for row in rows}

    async def apply(
        self,
        db: DbSession,
        faults: Sequence[Fault],
        *,
        well: Iterable[UUID] = (),
        counted: Iterable[UUID] = (),
        now: datetime,
    ) -> list[EventRecord]:
        """Apply the consequences of the faults; returns the events that announce them.

        `well` are connections that were used with success. `counted` are automations the caller is about to
        update; they are locked together with those that are paused or stopped here.
        """
        noted = [fault for fault in faults if fault.aftermath.connection is ConnectionFate.NOTE]
        troubled = {fault.connection_id for fault in faults}
        if cleared := sorted(set(well) - troubled):
            await db.execute(statements.CLEAR, cleared)
        if not faults:
            return []
        dead = await self._condemn(db, _condemned(faults))
        stops = {
            fault.automation_id: fault
            for fault in faults
            if fault.ended_the_run and fault.aftermath.automation is AutomationFate.STOP
        }
        users = await self._users(db, dead, {*stops, *counted})
        reconnecting = await self._pause(db, dead, users)
        stopped = await self._stop(db, stops)
        problems = await self._note(db, noted, told=stopped.about)
        steps = (reconnecting, stopped, problems)
        requested = await owner_notices.deliver(
            db, [message for step in steps for message in step.messages], source="executor", now=now
        )
        return [*(event for step in steps for event in step.events), *requested]

    async def condemn(
        self, db: DbSession, condemned: Sequence[Condemned], *, now: datetime
    ) -> list[EventRecord]:
        """Connections whose grant a refresh found dead."""
        dead = await self._condemn(db, condemned)
        told = await self._pause(db, dead, await self._users(db, dead, set()))
        requested = await owner_notices.deliver(db, told.messages, source="executor", now=now)
        return [*told.events, *requested]

    async def _condemn(self, db: DbSession, condemned: Sequence[Condemned]) -> Mapping[UUID, asyncpg.Record]:
        if not condemned:
            return {}
        rows = await db.fetch(
            statements.CONDEMN,
            [one.connection_id for one in condemned],
            [one.token_version for one in condemned],
            [one.reason[:REASON_LENGTH] for one in condemned],
        )
        return {row["id"]: row for row in rows}

    async def _users(
        self, db: DbSession, dead: Mapping[UUID, asyncpg.Record], others: set[UUID]
    ) -> list[asyncpg.Record]:
        """The automations that use the dead connections, locked together with `others`."""
        users: list[asyncpg.Record] = []
        if dead:
            await db.execute(statements.TEAMS_TURN, [row["tenant_id"] for row in dead.values()])
            users = await db.fetch(statements.USERS, list(dead))
        if locked := others | {row["id"] for row in users if row["depends"]}:
            await db.execute(statements.LOCK, list(locked))
        return users

    async def _pause(
        self,
        db: DbSession,
        dead: Mapping[UUID, asyncpg.Record],
        users: Sequence[asyncpg.Record],
    ) -> _Told:
        if not dead:
            return _Told()
        # One that depends on two of them waits for the first.
        waiting = {row["id"]: row["connection_id"] for row in reversed(users) if row["depends"]}
        paused = defaultdict(list)
        if waiting:
            reasons = [
                f"{title_of(dead[found]['platform'])} account “{dead[found]['name']}” must be connected again"
                for found in waiting.values()
            ]
            for row in await db.fetch(statements.PAUSE, list(waiting), list(waiting.values()), reasons):
                paused[row["connection_id"]].append(row)
        events: list[EventRecord] = []
        messages: list[OwnerNotice] = []
        for found, row in dead.items():
            events += [_changed(each, "paused", row["now"]) for each in paused[found]]
            events.append(_reauth(row, len(paused[found])))
            own = [user for user in users if user["connection_id"] == found]
            messages += self._reconnect(row, [each["name"] for each in paused[found]], own)
            log.warning(
                "connection must be connected again",
                connection_id=str(found),
                tenant_id=str(row["tenant_id"]),
                version=row["token_version"],
                reason=row["reason"],
                paused=len(paused[found]),
            )
        return _Told(events, messages, frozenset(dead))

    def _reconnect(
        self, row: asyncpg.Record, paused: Sequence[str], users: Sequence[asyncpg.Record]
    ) -> list[OwnerNotice]:
        message = notices.reconnect(
            public_url=self._public_url,
            connection_id=row["id"],
            platform=row["platform"],
            name=row["name"],
            reason=row["reason"],
            paused=paused,
        )
        affected = [user for user in users if user["depends"]] or users
        places = [row["alerts"]] if row["alerts"] else [user["tell"] for user in affected if user["tell"]]
        return [OwnerNotice(row["tenant_id"], place, message) for place in dict.fromkeys(places)]

    async def _stop(self, db: DbSession, stops: Mapping[UUID, Fault]) -> _Told:
        if not stops:
            return _Told()
        reasons = [f"stopped: {fault.problem}"[:REASON_LENGTH] for fault in stops.values()]
        rows = await db.fetch(statements.STOP, list(stops), reasons)
        events: list[EventRecord] = []
        messages: list[OwnerNotice] = []
        for row in rows:
            fault = stops[row["id"]]
            events.append(_changed(row, "error", row["now"]))
            log.warning(
                "automation stopped",
                automation_id=str(row["id"]),
                tenant_id=str(row["tenant_id"]),
                reason=fault.problem,
                owner_told=row["tell"] is not None,
            )
            if row["tell"] is not None:
                message = notices.stopped(
                    public_url=self._public_url,
                    automation_id=row["id"],
                    name=row["name"],
                    connection_id=fault.connection_id,
                    platform=fault.platform,
                    detail=fault.detail,
                )
                messages.append(OwnerNotice(row["tenant_id"], row["tell"], message))
        told = frozenset(stops[row["id"]].connection_id for row in rows if row["tell"] is not None)
        return _Told(events, messages, frozenset(found for found in told if found is not None))

    async def _note(self, db: DbSession, faults: Sequence[Fault], *, told: frozenset[UUID]) -> _Told:
        blamed = {blame: fault for fault in reversed(faults) if (blame := fault.blames)}
        if not blamed:
            return _Told()
        rows = await db.fetch(
            statements.NOTE,
            [found for found, _ in blamed],
            [version for _, version in blamed],
            [fault.problem[:REASON_LENGTH] for fault in blamed.values()],
            [PROBLEMS[fault.consequence] for fault in blamed.values()],
            [fault.automation_id for fault in blamed.values()],
        )
        by_connection = {found: fault for (found, _), fault in blamed.items()}
        messages = [
            OwnerNotice(
                row["tenant_id"],
                row["tell"],
                notices.problem(
                    public_url=self._public_url,
                    consequence=by_connection[row["id"]].consequence,
                    connection_id=row["id"],
                    platform=row["platform"],
                    name=row["name"],
                    detail=by_connection[row["id"]].detail,
                ),
            )
            for row in rows
            if row["tell"] is not None and not row["told"] and row["id"] not in told
        ]
        return _Told(messages=messages)


def _condemned(faults: Iterable[Fault]) -> list[Condemned]:
    """Each dead token once."""
    found = {
        blame: Condemned(*blame, fault.detail)
        for fault in faults
        if fault.aftermath.connection is ConnectionFate.CONDEMN and (blame := fault.blames)
    }
    return list(found.values())


def _changed(row: asyncpg.Record, change: str, now: datetime) -> EventRecord:
    event = AutomationChanged(
        automation_id=row["id"],
        tenant_id=row["tenant_id"],
        change=change,
        status="error" if change == "error" else "paused",
        version=row["version"],
        next_run=None,
    )
    return to_record(event, source="executor", time=now)


def _reauth(row: asyncpg.Record, paused: int) -> EventRecord:
    event = TokenReauthRequired(
        connection_id=row["id"],
        tenant_id=row["tenant_id"],
        platform=row["platform"],
        kind=row["kind"],
        version=row["token_version"],
        reason=row["reason"],
        paused_automations=paused,
    )
    return to_record(event, source="executor", time=row["now"])
