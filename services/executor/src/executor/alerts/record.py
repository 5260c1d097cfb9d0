"""An alert's run as it is kept and sent to webhooks: JSON, with numbers as decimal text."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from executor.alerts.findings import Finding, Verdict
from executor.alerts.memory import Event
from executor.alerts.wording import headline, sentence
from platforms.advertising.metrics import METRICS

MAX_RECORDED = 200
"""Breaches and events kept with a run; all of them are counted."""


def summary(findings: Sequence[Finding], events: Sequence[Event]) -> str:
    """One line: what changed, or that nothing did."""
    if events:
        return headline(list(events))
    breached = sum(finding.verdict is Verdict.BREACHED for finding in findings)
    if not breached:
        return "nothing changed: everything is within its limits"
    return f"nothing changed: {breached} known already"


def record(findings: Sequence[Finding], events: Sequence[Event]) -> dict[str, Any]:
    """What was found and what was told, JSON-serialisable."""
    ruled = [finding for finding in findings if finding.rule is not None]
    breached = [finding for finding in ruled if finding.verdict is Verdict.BREACHED]
    blind = [f for f in findings if f.rule is None and f.verdict is Verdict.BREACHED]
    accounts = {(f.subject.platform, f.subject.account_id) for f in ruled}
    return {
        "summary": summary(findings, events),
        "accounts": len(accounts),
        "judged": sum(finding.verdict is not Verdict.UNKNOWN for finding in ruled),
        "not_known": sum(finding.verdict is Verdict.UNKNOWN for finding in ruled),
        "breached": len(breached),
        "changes": [
            {
                "change": event.change.value,
                "text": sentence(event),
                "since": event.since.isoformat(),
                "worst": _text(event.worst),
                **_finding(event.finding),
            }
            for event in events[:MAX_RECORDED]
        ],
        "breaches": [_finding(finding) for finding in breached[:MAX_RECORDED]],
        "partial": bool(blind),
        "unreadable": [
            {
                "platform": finding.subject.platform,
                "id": finding.subject.account_id,
                "name": finding.subject.account_name,
                "reason": finding.reason,
            }
            for finding in blind[:MAX_RECORDED]
        ],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    subject, rule, days = finding.subject, finding.rule, finding.days
    return {
        "platform": subject.platform,
        "account_id": subject.account_id,
        "account_name": subject.account_name,
        "campaign_id": subject.campaign_id,
        "campaign_name": subject.campaign_name,
        "url": subject.url,
        "metric": None if rule is None else rule.metric,
        "condition": None if rule is None else rule.condition.value,
        "limit": None if rule is None else _text(rule.limit),
        "unit": None if rule is None else METRICS[rule.metric].unit.value,
        "currency": subject.currency or None,
        "value": _text(finding.value),
        "previous": _text(finding.previous),
        "change_percent": _percent(finding),
        "days": None if days is None else {"since": str(days.since), "until": str(days.until)},
        "reason": finding.reason,
    }


def _percent(finding: Finding) -> float | None:
    if finding.rule is None or finding.rule.compared_with is None or finding.measured is None:
        return None
    return round(float(finding.measured), 2)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value.normalize():f}"
