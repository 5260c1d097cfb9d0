"""Alerts on the figures of ad accounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from common.automation_config.alert import AlertConfig
from common.errors import Consequence, PlatformError
from common.messages import Message
from executor.alerts.findings import UNREADABLE, Figures, Finding, Subject, Verdict, judge, questions
from executor.alerts.memory import Event, Memory, Policy, advance
from executor.alerts.record import record, summary
from executor.alerts.rendering import AlertRenderer
from executor.alerts.rules import Rule, expand
from executor.handlers.base import Handler, Outcome, RunContext
from executor.settings import ExecutorSettings
from executor.sources.ads import AdSource, AdSources
from executor.sources.reading import (
    Found,
    Listing,
    Refusal,
    Sources,
    list_accounts,
    nothing_read,
    raise_what_may_still_come,
    read_each,
    storable,
)
from platforms.advertising.metrics import Level, MetricRow
from platforms.facebook import PLATFORM as FACEBOOK
from platforms.tiktok_business import PLATFORM as TIKTOK


class Alert(Handler[AlertConfig]):
    """Tells when a metric passes a limit, reminds while it is past it, and tells when it is back.

    What was told is kept in the automation's memory, written with the run that tells it: a run that fails has
    told nothing, and its next attempt tells it.
    """

    name: ClassVar[str] = "alert"
    title: ClassVar[str] = "Alert"
    config = AlertConfig

    def __init__(self, settings: ExecutorSettings, *, sources: Sources | None = None) -> None:
        self._sources: Sources = sources or AdSources(settings)
        self._renderer = AlertRenderer()

    async def run(self, context: RunContext, config: AlertConfig) -> Outcome:
        """Read, judge, tell what changed. Raises PlatformError when nothing can be read, or not yet."""
        sources = await self._sources.of(context)
        rules = expand(config.watched, config.window)
        _require_told(rules, sources)
        watch = _Watch(context, config, rules)
        listing = await list_accounts(sources, watch.selection)
        if not context.last_attempt:
            raise_what_may_still_come(listing.refusals)
        read, refusals = await read_each(listing.found, watch.figures)
        if not context.last_attempt:
            raise_what_may_still_come(refusals)
        refused = [*listing.refusals, *refusals]
        if not read:
            raise nothing_read(refused)
        findings = [
            *(finding for _found, figures in read for finding in watch.judged(figures)),
            *_readable([found for found, _figures in read], sources, refused),
        ]
        return self._outcome(context, config, watch, listing, findings, refused)

    def _outcome(
        self,
        context: RunContext,
        config: AlertConfig,
        watch: _Watch,
        listing: Listing,
        findings: Sequence[Finding],
        refused: Sequence[Refusal],
    ) -> Outcome:
        faults = [refusal.error for refusal in refused]
        for refusal in refused:
            context.log.warning(
                "account left out",
                platform=refusal.platform,
                account_id=refusal.account_id,
                code=refusal.error.code,
                error=refusal.error.detail,
            )
        as_of = watch.memory.as_of
        if as_of is not None and context.slot < as_of:
            # A slot of the past, run late or filled in: what it would tell is no news, and what came after it
            # must not be forgotten.
            result = {**record(findings, ()), "judged_until": as_of.isoformat()}
            told = "an instant before the last one judged: nothing is told of it"
            return Outcome(told, result, faults=faults)
        reminder = config.remind_after_hours
        events, memory = advance(
            findings,
            watch.memory,
            context.slot,
            Policy(None if reminder is None else timedelta(hours=reminder), config.tell_recovery),
            keeps=_Keeps(watch.rules, listing, refused),
        )
        context.log.info("limits checked", findings=len(findings), changes=len(events))
        result = record(findings, events)
        return Outcome(
            summary(findings, events),
            result,
            [self._message(context, config, events, result)] if events else (),
            state=memory.as_state(),
            faults=faults,
        )

    def _message(
        self, context: RunContext, config: AlertConfig, events: Sequence[Event], result: dict[str, object]
    ) -> Message:
        zone_name = config.timezone or context.timezone
        zone = ZoneInfo(zone_name)
        name = context.automation_name
        text, html = self._renderer.write(name, events, zone, zone_name)
        return Message(
            type="alert.changed",
            title=self._renderer.title(name, events),
            text=text,
            html=html,
            data=result,
        )


class _Watch:
    """One run's questions and judgements."""

    def __init__(self, context: RunContext, config: AlertConfig, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self.memory = Memory.read(context.state)
        self.selection = {
            FACEBOOK: config.accounts,
            TIKTOK: config.advertisers,
        }
        self._now = context.slot
        self._zone = ZoneInfo(config.timezone) if config.timezone else None

    async def figures(self, found: Found) -> Figures:
        """What an account answers; raises PlatformError."""
        client, account = found.source.client, found.account
        judged = [rule for rule in self.rules if rule.metric in client.metrics]
        rows: dict[tuple[Level, bool], Sequence[MetricRow]] = {}
        for asked in questions(judged, self._now, account.zone, self._zone):
            rows[asked.level, asked.daily] = await client.rows(
                account, asked.metrics, asked.periods, level=asked.level, daily=asked.daily
            )
        return Figures(account, _subject(found), client.metrics, rows)

    def judged(self, figures: Figures) -> list[Finding]:
        """Every rule held against the account."""
        subject = figures.subject
        return judge(
            self.rules,
            figures,
            self._now,
            self._zone,
            remembered=self.memory.campaigns(subject.platform, subject.account_id),
        )


class _Keeps:
    """What is still watched although it could not be looked at this time."""

    def __init__(self, rules: Sequence[Rule], listing: Listing, refused: Sequence[Refusal]) -> None:
        self._rules = {UNREADABLE, *(rule.key for rule in rules)}
        self._accounts = {(refusal.platform, refusal.account_id) for refusal in refused}
        # The accounts of a connection that cannot be listed are unknown.
        self._platforms = {refusal.platform for refusal in listing.refusals if refusal.account_id is None}

    def __call__(self, key: str) -> bool:
        platform, account_id, _campaign, rule = key.split("/", 3)
        return rule in self._rules and (
            platform in self._platforms or (platform, account_id) in self._accounts
        )


def _require_told(rules: Sequence[Rule], sources: Sequence[AdSource]) -> None:
    told = frozenset[str]().union(*(source.client.metrics for source in sources))
    if not any(rule.metric in told for rule in rules):
        watched = ", ".join(dict.fromkeys(rule.metric for rule in rules))
        raise PlatformError(
            f"none of the connected platforms tells {watched}: choose other metrics, or connect another",
            Consequence.INVALID,
            platform=sources[0].platform,
            code="unknown_metric",
        )


def _subject(found: Found) -> Subject:
    account = found.account
    url = found.source.client.manager_url(account)
    return Subject(found.source.platform, account.id, storable(account.name), account.currency, url)


def _readable(
    read: Sequence[Found], sources: Sequence[AdSource], refused: Sequence[Refusal]
) -> list[Finding]:
    """Whether each account and connection could be read, so that it is told once when one cannot be."""
    found = [Finding(_subject(each), None, Verdict.FINE) for each in read]
    blind = {refusal.connection_id for refusal in refused if refusal.account_id is None}
    found += [
        Finding(Subject(source.platform, source.connection_id, source.name), None, Verdict.FINE)
        for source in sources
        if source.connection_id not in blind
    ]
    found += [
        Finding(
            Subject(refusal.platform, refusal.account_id or refusal.connection_id, refusal.name),
            None,
            Verdict.BREACHED,
            reason=refusal.reason,
        )
        for refusal in refused
    ]
    return found
