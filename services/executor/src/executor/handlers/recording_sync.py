"""Recording jobs: find the new recordings, match them to templates, and have what fits processed."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from opentelemetry import trace

from common import telemetry
from common.automation_config.recording_sync import RecordingSyncConfig
from common.errors import Consequence, PlatformError
from common.recordings.matching import Matcher
from common.recordings.selection import Wanted
from executor.handlers.base import Handler, Outcome, RunContext
from executor.recordings.finding import outcome as sync_outcome
from executor.recordings.finding.outcome import NOT_CONNECTED, Tally
from executor.recordings.finding.plan import Plan, plan, window
from executor.recordings.finding.search import Job, RecordingSync
from executor.settings import ExecutorSettings
from executor.sources.access import access_of
from platforms.zoom import PLATFORM
from platforms.zoom.client import ZoomClient
from platforms.zoom.opening import client

SEARCHING = 60.0
"""Seconds of processor time that the patterns of one run's templates may take all together."""


class RecordingSyncHandler(Handler[RecordingSyncConfig]):
    """The recordings of the last days: written, matched, and started."""

    name: ClassVar[str] = "recording_sync"
    title: ClassVar[str] = "Recording job"
    config = RecordingSyncConfig

    def __init__(self, settings: ExecutorSettings) -> None:
        self._settings = settings

    async def run(self, context: RunContext, config: RecordingSyncConfig) -> Outcome:
        """Sync every source.

        Raises TemplatesMissing, SourcesMissing, and PlatformError when no account is connected or no source
        could be synced.
        """
        async with context.pool.acquire() as db:
            wanted = await plan(db, context.tenant_id, config)
        self._tell_what_is_missing(context, wanted)
        clients = self._clients(context)
        span = window(context.slot, context.timezone, config.sync_config.sync_days)
        current = trace.get_current_span()
        job = Job(
            tenant_id=context.tenant_id,
            automation_id=context.automation_id,
            window=span,
            wanted=Wanted(
                frozenset(config.filters.status), not config.filters.exclude_blank, context.automation_id
            ),
            matcher=Matcher(wanted.templates, patience=SEARCHING),
            dry_run=context.dry_run,
            trace_id=telemetry.trace_id_of(current),
            traceparent=telemetry.traceparent_of(current),
        )
        tallies = await RecordingSync(context.pool, job, clients).run(wanted.sources)
        for tally in tallies:
            _log(context, tally)
        errors = sync_outcome.failures(tallies)
        if len(errors) == len(tallies):
            raise sync_outcome.most_telling(errors, is_last_chance=context.last_attempt)
        result = sync_outcome.result(wanted, span, tallies, dry_run=context.dry_run)
        message = sync_outcome.message(context.automation_name, wanted, tallies, result)
        return Outcome(
            sync_outcome.summary(tallies, dry_run=context.dry_run),
            result,
            () if message is None else (message,),
            faults=sync_outcome.faults(tallies),
        )

    def _clients(self, context: RunContext) -> dict[UUID, ZoomClient]:
        """One client for each Zoom connection; raises PlatformError when there is none."""
        connected = [account for account in context.accounts if account.platform == PLATFORM]
        if not connected:
            raise PlatformError(
                "no Zoom account is connected, or it must be connected again: do so, then run this again",
                Consequence.REAUTH,
                platform=PLATFORM,
                code=NOT_CONNECTED,
            )
        return {
            account.connection_id: client(access_of(context, account, self._settings))
            for account in connected
        }

    def _tell_what_is_missing(self, context: RunContext, wanted: Plan) -> None:
        for name, reason in wanted.unusable_templates.items():
            context.log.warning("template left out", template=name, reason=reason)
        for name, reason in wanted.left_out.items():
            context.log.warning("source left out", source=name, reason=reason)


def _log(context: RunContext, tally: Tally) -> None:
    told = tally.as_json()
    if tally.error is None:
        context.log.info("source synced", **told)
    else:
        context.log.warning("source failed", **told)
