"""What a run of a recording job found and did, as it is kept, told and summed up. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from common.errors import Consequence, PlatformError
from common.messages import Message
from common.recordings.catalog import Source
from common.recordings.intake import Change
from common.recordings.matching import Template
from common.recordings.selection import Verdict
from executor.recordings.finding.plan import Plan, Window

MOST_SOURCES = 200
"""Sources a result lists one by one, those with something to tell first."""
MOST_EXAMPLES = 50
"""Recordings a dry run shows one by one."""
_MOST_TOLD = 10
_MOST_TELLING_FIRST = (Consequence.REAUTH, Consequence.PERM, Consequence.GONE, Consequence.INVALID)


@dataclass(slots=True)
class Tally:
    """One source's numbers. `unreadable` are documents that are no recordings; `error` is why it ended."""

    source: Source
    unreadable: int = 0
    changes: Counter[Change] = field(default_factory=Counter)
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    taken: Counter[UUID] = field(default_factory=Counter)
    """Recordings by the template that takes them."""
    examples: list[dict[str, Any]] = field(default_factory=list)
    error: PlatformError | None = None

    @property
    def found(self) -> int:
        """Recordings within the job's days."""
        return sum(self.changes.values())

    def as_json(self) -> dict[str, Any]:
        """As the run's result tells it."""
        told: dict[str, Any] = {
            "source_id": str(self.source.id),
            "number": self.source.number,
            "name": self.source.name,
            "found": self.found,
            "new": self.changes[Change.NEW],
            "updated": self.changes[Change.UPDATED],
            "taken": self.taken.total(),
        }
        if self.unreadable:
            told["unreadable"] = self.unreadable
        if self.error is not None:
            told["error"] = self.error.detail
            told["error_code"] = self.error.code
        return told


def failures(tallies: Iterable[Tally]) -> list[PlatformError]:
    """The errors of the sources that failed."""
    return [tally.error for tally in tallies if tally.error is not None]


def most_telling(errors: Sequence[PlatformError], *, is_last_chance: bool) -> PlatformError:
    """Of the errors of all sources, the one the run fails with.

    One that may pass comes first while there is another attempt, that with the longest wait before the
    others; then the one a person can do something about.
    """
    passing = [error for error in errors if not error.permanent]
    lasting = [error for error in errors if error.permanent]
    if passing and not (is_last_chance and lasting):
        return max(passing, key=lambda error: error.retry_after or 0.0)
    return min(
        lasting,
        key=lambda error: (
            _MOST_TELLING_FIRST.index(error.consequence)
            if error.consequence in _MOST_TELLING_FIRST
            else len(_MOST_TELLING_FIRST)
        ),
    )


def faults(tallies: Iterable[Tally]) -> list[PlatformError]:
    """What the errors say about connections, each thing once."""
    distinct = {(error.connection_id, error.consequence, error.code): error for error in failures(tallies)}
    return [error for error in distinct.values() if error.code != NOT_CONNECTED]


NOT_CONNECTED = "not_connected"
"""Code of the error of a source whose account is not connected now; its connection says so already."""


def result(plan: Plan, span: Window, tallies: Sequence[Tally], *, dry_run: bool) -> dict[str, Any]:
    """The run's result."""
    verdicts, changes, taken = _sums(tallies)
    telling = sorted(tallies, key=lambda tally: (tally.error is None, tally.found == 0, tally.source.number))
    told: dict[str, Any] = {
        "since": span.since.isoformat(),
        "until": span.until.isoformat(),
        "found": changes.total(),
        "new": changes[Change.NEW],
        "updated": changes[Change.UPDATED],
        "taken": taken.total(),
        "skipped": verdicts[Verdict.UNMATCHED],
        "held": verdicts[Verdict.HELD],
        "waiting": verdicts[Verdict.WAITING],
        "blank": verdicts[Verdict.BLANK],
        "left_alone": verdicts[Verdict.FILTERED],
        "templates": [
            {
                "template_id": str(template.id),
                "number": template.number,
                "name": template.name,
                "taken": taken[template.id],
            }
            for template in plan.templates
        ],
        "sources": [tally.as_json() for tally in telling[:MOST_SOURCES]],
        "sources_synced": sum(tally.error is None for tally in tallies),
        "sources_failed": len(failures(tallies)),
    }
    if plan.unusable_templates:
        told["unusable_templates"] = dict(plan.unusable_templates)
    if plan.left_out:
        told["sources_left_out"] = dict(plan.left_out)
    if dry_run:
        examples = (example for tally in telling for example in tally.examples)
        told["would_take"] = [example for _, example in zip(range(MOST_EXAMPLES), examples, strict=False)]
    return told


def summary(tallies: Sequence[Tally], *, dry_run: bool) -> str:
    """One line."""
    _, changes, taken = _sums(tallies)
    failed = len(failures(tallies))
    would = "would take " if dry_run else ""
    line = f"{would}{taken.total()} of {_counted(changes.total(), 'recording')} {'' if dry_run else 'taken '}"
    line = f"{line.strip()} from {_counted(len(tallies), 'source')}"
    return f"{line}; {_counted(failed, 'source')} failed" if failed else line


def message(name: str, plan: Plan, tallies: Sequence[Tally], told: dict[str, Any]) -> Message | None:
    """What the job's destination is told; None when nothing was taken."""
    _, _, taken = _sums(tallies)
    if not taken:
        return None
    title = f"{name}: {_counted(taken.total(), 'new recording')}"
    lines = [_by_template(template, taken[template.id]) for template in plan.templates if taken[template.id]]
    lines = _cut(lines)
    failed = [f"{tally.source.name}: {tally.error.detail}" for tally in tallies if tally.error is not None]
    if failed:
        lines += ["", "Not looked at:", *_cut(failed)]
    return Message(type="recordings.taken", title=title, text="\n".join([title, "", *lines]), data=told)


def example(topic: str, started_at: str, source: Source, template: Template) -> dict[str, Any]:
    """One recording that would be taken."""
    return {
        "topic": topic,
        "started_at": started_at,
        "source": source.name,
        "source_number": source.number,
        "template": template.name,
        "template_number": template.number,
    }


def _by_template(template: Template, count: int) -> str:
    return f"{template.name}: {count}"


def _cut(lines: list[str]) -> list[str]:
    more = len(lines) - _MOST_TOLD
    return lines if more <= 0 else [*lines[:_MOST_TOLD], f"and {more} more"]


def _sums(tallies: Iterable[Tally]) -> tuple[Counter[Verdict], Counter[Change], Counter[UUID]]:
    verdicts: Counter[Verdict] = Counter()
    changes: Counter[Change] = Counter()
    taken: Counter[UUID] = Counter()
    for tally in tallies:
        verdicts.update(tally.verdicts)
        changes.update(tally.changes)
        taken.update(tally.taken)
    return verdicts, changes, taken


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
