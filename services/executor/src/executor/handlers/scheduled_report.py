"""Reports on Facebook ad accounts and pages."""

from __future__ import annotations

from typing import ClassVar

from common.automation_config.scheduled_report import ReportFormat, ScheduledReportConfig
from common.errors import Consequence, PlatformError
from common.messages import Message
from executor.handlers.base import Handler, Outcome, RunContext
from executor.platforms.facebook import PLATFORM, Endpoint, FacebookClient, Graph
from executor.reports.collection import Refusal, Source, collect
from executor.reports.content import Omission, Report
from executor.reports.record import record, summary
from executor.reports.rendering import ReportRenderer
from executor.settings import ExecutorSettings

_REASONS = {
    Consequence.REAUTH: "must be connected again",
    Consequence.REFRESH: "must be connected again",
    Consequence.PERM: "a permission is missing",
    Consequence.GONE: "is gone, or hidden from the connected account",
    Consequence.INVALID: "Facebook refused the question",
    Consequence.SPLIT: "has too much data for a report",
    Consequence.RATE: "has used up its calls to Facebook for now",
    Consequence.BLOCKED: "is blocked by Facebook for now",
    Consequence.TRANSIENT: "got no answer from Facebook",
}


class ScheduledReport(Handler[ScheduledReportConfig]):
    """The figures of the last full days, compared with as many days before them."""

    name: ClassVar[str] = "scheduled_report"
    title: ClassVar[str] = "Scheduled report"
    config = ScheduledReportConfig

    def __init__(self, settings: ExecutorSettings) -> None:
        self._facebook = Endpoint(settings.facebook_base_url, settings.facebook_api_version)
        self._renderer = ReportRenderer()

    async def run(self, context: RunContext, config: ScheduledReportConfig) -> Outcome:
        """Collect, compare, write. Raises PlatformError when there is nothing to report on, or not yet."""
        collected = await collect(
            await self._sources(context), config, context.slot, is_last_chance=context.last_attempt
        )
        for refusal in collected.refusals:
            context.log.warning(
                "part left out",
                subject=refusal.subject.value,
                subject_id=refusal.id,
                code=refusal.error.code,
                error=refusal.error.detail,
            )
        report = Report(
            context.automation_name,
            config.period,
            collected.accounts,
            collected.pages,
            [_omission(refusal) for refusal in collected.refusals],
        )
        context.log.info(
            "figures collected", ad_accounts=len(report.accounts), pages=len(report.pages), days=config.days
        )
        figures = record(report)
        message = Message(
            type="report.completed",
            title=self._renderer.title(report),
            text=self._renderer.text(report),
            html=self._renderer.html(report) if config.format is ReportFormat.HTML else None,
            data=figures,
        )
        return Outcome(summary(report), figures, (message,))

    async def _sources(self, context: RunContext) -> list[Source]:
        """One client for each Facebook connection; raises PlatformError when there is none."""
        connected = [account for account in context.accounts if account.platform == PLATFORM]
        if not connected:
            raise PlatformError(
                "no Facebook account is connected, or it must be connected again: do so, then run this again",
                Consequence.REAUTH,
                platform=PLATFORM,
                code="not_connected",
            )
        return [
            Source(
                str(account.connection_id),
                account.name,
                FacebookClient(
                    Graph(
                        context.http,
                        self._facebook,
                        await account.credential.current(),
                        limiter=context.limiter,
                        scope=str(context.tenant_id),
                        connection_id=account.connection_id,
                        # If it was the batch that did not get through, its calls may, one by one.
                        batched=context.attempt == 1,
                    )
                ),
            )
            for account in connected
        ]


def _omission(refusal: Refusal) -> Omission:
    error = refusal.error
    reason = _REASONS[error.consequence]
    return Omission(
        refusal.subject,
        refusal.id,
        refusal.name,
        reason if error.code is None else f"{reason} (error {error.code})",
        error.code,
    )
