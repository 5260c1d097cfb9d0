"""What a run of a recording job tells."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from common.errors import Consequence, PlatformError
from common.recordings.catalog import Source
from common.recordings.intake import Change
from common.recordings.matching import Template
from common.recordings.rules import MatchingRules
from common.recordings.selection import Verdict
from executor.recordings.finding import outcome as sync_outcome
from executor.recordings.finding.outcome import MOST_SOURCES, Tally
from executor.recordings.finding.plan import Plan, window

TEMPLATES = [Template(uuid4(), number, f"Template {number}", MatchingRules()) for number in range(1, 15)]
SPAN = window(datetime(2026, 11, 4, 6, tzinfo=UTC), "UTC", 2)


def error(consequence: Consequence, code: str = "x", **more: Any) -> PlatformError:
    given = {"connection_id": "c1", **more}
    return PlatformError(f"Zoom: {code}", consequence, platform="zoom", code=code, **given)


def tally(number: int = 1, *, failed: PlatformError | None = None, **taken: int) -> Tally:
    source = Source(uuid4(), number, f"Source {number}", uuid4(), "me", True, None)
    made = Tally(source, error=failed)
    made.taken = Counter({TEMPLATES[int(name[1:]) - 1].id: count for name, count in taken.items()})
    made.changes = Counter({Change.NEW: made.taken.total(), Change.SAME: 2})
    made.verdicts = Counter({Verdict.STARTED: made.taken.total(), Verdict.FILTERED: 2})
    return made


def plan(*tallies: Tally) -> Plan:
    return Plan(TEMPLATES, [each.source for each in tallies], {}, {})


@pytest.mark.parametrize(
    ("errors", "last", "code"),
    [
        (
            [error(Consequence.PERM, "p"), error(Consequence.REAUTH, "r"), error(Consequence.GONE, "g")],
            False,
            "r",
        ),
        ([error(Consequence.REAUTH, "r"), error(Consequence.TRANSIENT, "t")], False, "t"),
        ([error(Consequence.REAUTH, "r"), error(Consequence.TRANSIENT, "t")], True, "r"),
        ([error(Consequence.TRANSIENT, "t")], True, "t"),
        (
            [
                error(Consequence.RATE, "short", retry_after=60.0),
                error(Consequence.RATE, "long", retry_after=3600.0),
                error(Consequence.TRANSIENT, "t"),
            ],
            False,
            "long",
        ),
        ([error(Consequence.SPLIT, "s"), error(Consequence.INVALID, "i")], False, "i"),
    ],
)
def test_the_most_telling_error(errors: list[PlatformError], last: bool, code: str) -> None:
    assert sync_outcome.most_telling(errors, is_last_chance=last).code == code


def test_each_connection_fault_is_reported_once() -> None:
    tallies = [
        tally(failed=error(Consequence.PERM, "4711")),
        tally(failed=error(Consequence.PERM, "4711")),
        tally(failed=error(Consequence.PERM, "4711", connection_id="c2")),
        tally(failed=error(Consequence.REAUTH, sync_outcome.NOT_CONNECTED)),
        tally(),
    ]

    assert [fault.connection_id for fault in sync_outcome.faults(tallies)] == ["c1", "c2"]


def test_the_sums() -> None:
    tallies = [tally(1, t1=2, t3=1), tally(2, t1=1), tally(3, failed=error(Consequence.PERM))]

    told = sync_outcome.result(plan(*tallies), SPAN, tallies, dry_run=False)

    assert (told["found"], told["new"], told["taken"], told["left_alone"]) == (10, 4, 4, 6)
    assert [each["taken"] for each in told["templates"][:3]] == [3, 0, 1]
    assert [each["number"] for each in told["sources"]] == [3, 1, 2], "what failed comes first"
    assert told["sources"][0]["error"] == "Zoom: x"
    assert (told["sources_synced"], told["sources_failed"]) == (2, 1)
    assert "would_take" not in told
    assert sync_outcome.summary(tallies, dry_run=False) == (
        "4 of 10 recordings taken from 3 sources; 1 source failed"
    )
    assert sync_outcome.summary(tallies[1:2], dry_run=True) == "would take 1 of 3 recordings from 1 source"


def test_a_result_lists_no_more_than_a_person_can_read() -> None:
    tallies = [tally(number) for number in range(1, MOST_SOURCES + 50)]

    told = sync_outcome.result(plan(*tallies), SPAN, tallies, dry_run=True)

    assert len(told["sources"]) == MOST_SOURCES
    assert told["sources_synced"] == len(tallies)


class TestMessage:
    def told(self, *tallies: Tally) -> str | None:
        result = sync_outcome.result(plan(*tallies), SPAN, tallies, dry_run=False)
        message = sync_outcome.message("Lectures", plan(*tallies), tallies, result)
        return None if message is None else message.text

    def test_the_summary_counts_by_template_and_names_skipped_sources(self) -> None:
        text = self.told(tally(1, t1=2, t2=1), tally(2, failed=error(Consequence.PERM, "no scope")))

        assert text == (
            "Lectures: 3 new recordings\n\nTemplate 1: 2\nTemplate 2: 1\n\n"
            "Not looked at:\nSource 2: Zoom: no scope"
        )

    def test_one_is_one(self) -> None:
        assert (self.told(tally(t1=1)) or "").startswith("Lectures: 1 new recording\n")

    def test_a_long_list_is_cut(self) -> None:
        much = tally()
        much.taken = Counter(template.id for template in TEMPLATES)

        text = self.told(much) or ""

        assert text.endswith("Template 10: 1\nand 4 more")

    def test_a_run_without_new_recordings_sends_no_message(self) -> None:
        assert self.told(tally(), tally(failed=error(Consequence.PERM))) is None
