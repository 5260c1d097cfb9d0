"""What should become of every slot, kept by hand: slow, plain, and sharing no code with the product.

A `Ledger` is told what happens to one automation, and when. It walks its slots one at a time and applies the
rules as an owner would state them. Which instants a schedule names comes from a walk over every minute of the
local clock.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from hashlib import blake2b
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from tests.unit.schedule.minute_oracle import Days, Numbers, Pattern, Readings

GRACE = timedelta(minutes=2)
RUNS_AT_ONCE = 100
_TICK = timedelta(microseconds=1)

Told = tuple[str, str | None]
"""A state and a reason."""


@dataclass(frozen=True)
class Rule:
    """A schedule, as the product reads it and as the ledger does."""

    raw: dict[str, Any]
    every: timedelta | None = None
    anchor: datetime | None = None
    pattern: Pattern | None = None
    once: str | None = None
    """A reading of the local clock."""

    @property
    def zone(self) -> str:
        """Whose clock it follows."""
        return str(self.raw.get("timezone", "UTC"))

    @property
    def shape(self) -> dict[str, Any]:
        """What names its slots: all but what delays its runs or limits their number."""
        return {key: value for key, value in self.raw.items() if key not in ("max_runs", "jitter_seconds")}


def cron(expression: str, zone: str, match: Callable[[date], bool], **more: Any) -> Rule:
    """A cron expression whose day fields mean what `match` says."""
    minute, hour, days = expression.split(" ", 2)
    pattern = Pattern(
        Numbers(minute, _values(minute, 60)), Numbers(hour, _values(hour, 24)), Days(days, match)
    )
    return Rule({"type": "cron", "expression": expression, "timezone": zone, **more}, pattern=pattern)


def _values(text: str, size: int) -> frozenset[int]:
    values: set[int] = set()
    for term in text.split(","):
        reach, _, step = term.partition("/")
        low, _, high = reach.partition("-")
        first, last = (0, size - 1) if reach == "*" else (int(low), int(high or low))
        values |= set(range(first, last + 1, int(step or 1)))
    return frozenset(values)


@dataclass
class Calendar:
    """The instants that rules name in a stretch of time, by two tz databases."""

    start: datetime
    end: datetime
    renamed: dict[str, str]
    """The zones that the second database changes, and whose clock each follows there."""
    _named: dict[tuple[int, bool], list[datetime]] = field(default_factory=dict)

    def named(self, rule: Rule, second: bool) -> list[datetime]:
        """Every instant, in order."""
        key = (id(rule), second)
        if key not in self._named:
            self._named[key] = self._find(rule, second)
        return self._named[key]

    def clock(self, zone: str, second: bool) -> str:
        """The zone of the true database that shows what this one shows."""
        return self.renamed.get(zone, zone) if second else zone

    def _find(self, rule: Rule, second: bool) -> list[datetime]:
        zone = self.clock(rule.zone, second)
        if rule.once is not None:
            reading = datetime.fromisoformat(rule.once).replace(tzinfo=ZoneInfo(zone))
            return [reading.astimezone(ZoneInfo("UTC"))]
        if rule.pattern is not None:
            return _readings(zone, self.start, self.end).slots(rule.pattern)
        assert rule.every is not None
        slots, slot = [], rule.anchor or self.start
        while slot < self.end:
            slots.append(slot)
            slot += rule.every
        return slots


@cache
def _readings(zone: str, start: datetime, end: datetime) -> Readings:
    return Readings(zone, start, end)


@dataclass(eq=False)
class Run:
    """A run, of a slot or by hand."""

    slot: datetime | None
    state: str
    reason: str | None = None
    expires_at: datetime | None = None


@dataclass
class Ledger:
    """One automation."""

    id: UUID
    calendar: Calendar
    created_at: datetime
    rule: Rule
    policy: dict[str, Any]
    second: bool = False
    """The tz database is the second one."""
    status: str = "active"
    next: datetime | None = None
    fires: datetime | None = None
    paused_until: datetime | None = None
    choice: str | None = None
    """What its owner wants for slots that pass in a pause."""
    fired: int = 0
    runs: list[Run] = field(default_factory=list)
    skips: dict[datetime, str] = field(default_factory=dict)
    moved: list[datetime] = field(default_factory=list)
    """Slots that a new tz database put elsewhere. What its rules name at the same instant is a slot again."""
    decided: datetime | None = None
    """The latest slot with a run or a reason."""
    _begun: datetime = field(init=False)
    """The schedule names its slots later than this."""
    _new: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._begun = self.created_at
        self._place(self._first_after(self.created_at))

    # what a schedule names

    def _named(self) -> list[datetime]:
        return self.calendar.named(self.rule, self.second)

    def _first_after(self, instant: datetime) -> datetime | None:
        named = self._named()
        index = bisect_right(named, instant)
        return named[index] if index < len(named) else None

    def _latest(self, instant: datetime) -> datetime | None:
        named = self._named()
        index = bisect_right(named, instant)
        return named[index - 1] if index else None

    def _from_next(self, until: datetime) -> list[datetime]:
        """The undecided slots; the first is one whatever the schedule says."""
        if self.next is None or self.next > until:
            return []
        named = self._named()
        return [self.next, *named[bisect_right(named, self.next) : bisect_right(named, until)]]

    def _excluded(self, slot: datetime) -> bool:
        exclude = self.rule.raw.get("exclude", {})
        zone = self.calendar.clock(self.rule.zone, self.second)
        day = slot.astimezone(ZoneInfo(zone)).date()
        return day.isoformat() in exclude.get("dates", ()) or day.weekday() in exclude.get("weekdays", ())

    def _fire(self, slot: datetime) -> datetime:
        jitter = self.rule.raw.get("jitter_seconds", 0)
        if not jitter or self._excluded(slot):
            return slot
        point = int.from_bytes(blake2b(f"{self.id}@{slot.timestamp()}".encode(), digest_size=8).digest())
        return slot + timedelta(seconds=point * (jitter + 1) // (1 << 64))

    def _left(self) -> int | None:
        most = self.rule.raw.get("max_runs")
        return None if most is None else max(0, most - self.fired)

    def _place(self, slot: datetime | None) -> None:
        self.next = slot
        self.fires = None if slot is None else self._fire(slot)

    def has_run(self, slot: datetime) -> bool:
        """Whether the slot has a run."""
        return any(run.slot == slot for run in self.runs)

    def _unfinished(self) -> tuple[int, int]:
        states = [run.state for run in self.runs]
        return states.count("queued"), states.count("waiting")

    def latest_named(self, now: datetime) -> datetime | None:
        """The latest slot of the schedule that has passed, since the automation's creation."""
        latest = self._latest(now)
        return latest if latest is not None and latest > self.created_at else None

    # what people do

    def edit(self, rule: Rule, now: datetime) -> bool:
        """Another schedule; False when it is refused."""
        if rule.raw == self.rule.raw:
            return True
        before = (self.rule, self.next, dict(self.skips), self.decided)
        passed = self._from_next(now)
        if self.next is None:
            self._end(now)
        old, self.rule = self.rule, rule
        boundary, kept = now, False
        if self.next is not None and not passed:
            named = self.calendar.named(old, self.second)
            index = bisect_left(named, self.next)
            boundary = max(now, self._begun, named[index - 1] if index else now)
        elif passed:
            named = self._named()
            again = named[bisect_left(named, passed[0]) : bisect_right(named, now)]
            kept = old.shape == rule.shape or again == passed
        following = passed[0] if kept else self._first_after(boundary)
        later = self._named()[bisect_right(self._named(), passed[0] - _TICK if kept else boundary) :]
        if self._left() == 0 or following is None or all(map(self._excluded, later)):
            self.rule, self.next, self.skips, self.decided = before
            return False
        if passed and not kept:
            self.rule = old
            for slot in passed:
                self._skip(slot, "schedule_edited" if self.status == "active" else "paused")
            self.rule = rule
        self._begun = passed[0] - _TICK if kept else boundary
        self._place(following)
        return True

    def pause(self, until: datetime | None) -> bool:
        """For a time or until it is resumed; False when it is refused."""
        if self.status not in ("active", "paused"):
            return False
        self.status, self.paused_until, self.choice = "paused", until, None
        return True

    def resume(self, choice: str, now: datetime) -> bool:
        """Run it again; False when it is refused."""
        if self.status == "active":
            return True
        following = self._first_after(now)
        named = self._named()
        later = named[bisect_right(named, now) :]
        over = self._left() == 0 or following is None or all(map(self._excluded, later))
        passed = self.fires is not None and self.fires <= now
        if over and not (passed and choice != "none"):
            return False
        if self.next is None:
            self._end(now)
            self._place(following)
        self.choice = choice if passed else None
        self.status, self.paused_until = "active", None
        return True

    def run_by_hand(self, slot: datetime | None) -> None:
        """A run for a slot, where that has none, or for none."""
        taken = slot is not None and not self.has_run(slot)
        self.runs.append(Run(slot if taken else None, "queued"))
        if slot is not None and taken:
            self._seen(slot)

    def skip_next(self, now: datetime) -> bool:
        """Leave out the next run; False when it is refused."""
        if self.status not in ("active", "paused") or self.next is None or self._fire(self.next) <= now:
            return False
        passed = []
        for slot in self._from_next(now + timedelta(days=60)):
            passed.append(slot)
            if not self._excluded(slot):
                break
        following = self._first_after(passed[-1])
        if following is None:
            return False
        for slot in passed:
            self._skip(slot, "skipped_by_request")
        self._place(following)
        return True

    def finish_runs(self) -> None:
        """What is queued completes."""
        for run in self.runs:
            if run.state == "queued":
                run.state = "completed"

    def new_tz_database(self, now: datetime) -> None:
        """A slot to come moves with its local time; one whose instant has passed stays."""
        self.second = not self.second
        awaited = self.next
        if self.status not in ("active", "paused") or awaited is None or awaited <= now or self._left() == 0:
            return
        if "timezone" not in self.rule.raw:
            return
        before = [one for one in [self.decided] if one is not None and one < awaited]
        decided = max([*before, self._begun])
        slot, passed = self._first_after(max(now, decided)), self._latest(now)
        undecided = passed is not None and passed > decided
        if passed is not None and undecided and (slot is None or awaited - passed < abs(slot - awaited)):
            slot = passed
        if slot is None or slot == awaited:
            return
        self.moved.append(awaited)
        self._begun = min(now, slot - _TICK)
        self._place(slot)

    # what a leader does

    def wake(self, now: datetime) -> bool:
        """End a pause whose time has come."""
        if self.status != "paused" or self.paused_until is None or self.paused_until > now:
            return False
        self.status, self.paused_until = "active", None
        passed = self.fires is not None and self.fires <= now
        self.choice = (self.choice or "none") if passed else None
        return True

    def dispatch(self, now: datetime) -> bool:
        """Decide about what has come due; once, for as many runs as are made at once."""
        if self.status != "active" or self.fires is None or self.fires > now:
            return False
        due = self._started(self._from_next(now), now)
        if due:
            self._decide(due, now)
        else:
            self._place(self.next)
        self.choice = None
        return True

    def _started(self, slots: list[datetime], instant: datetime) -> list[datetime]:
        """The first of these, as far as every one has started."""
        for index, slot in enumerate(slots):
            if slot > instant or self._fire(slot) > instant:
                return slots[:index]
        return slots

    def _decide(self, due: list[datetime], now: datetime) -> None:
        following = self._first_after(due[-1])
        if self.choice == "none":
            for slot in due:
                self._skip(slot, "paused")
            self._go_on(following)
            return
        catch_up = self.choice or self.policy.get("catch_up", "latest")
        left = self._left()
        if left == 0:
            for slot in due:
                self._skip(slot, "ended")
            self._go_on(None)
            return
        for seconds, reason in (
            (self.policy.get("catch_up_window"), "catch_up_window"),
            (self.policy.get("expires_after"), "expired"),
            (GRACE.total_seconds() if catch_up == "none" else None, "catch_up_none"),
        ):
            if seconds is not None:
                stale = self._started(due, now - timedelta(seconds=seconds) - _TICK)
                for slot in stale:
                    self._skip(slot, reason)
                due = due[len(stale) :]
        if catch_up == "all":
            self._all(due, now, left, following)
        else:
            self._newest(due, now, left, following, f"catch_up_{catch_up}")

    def _all(self, due: list[datetime], now: datetime, left: int | None, following: datetime | None) -> None:
        most = min(RUNS_AT_ONCE, left or RUNS_AT_ONCE)
        before, made = self._unfinished(), 0
        for index, slot in enumerate(due):
            if self._excluded(slot) or self.has_run(slot):
                self._skip(slot, "excluded")
                continue
            late = self._fire(slot) < now - GRACE
            made += self._run(slot, before, made, waits_if_late=late)
            if made == most:
                if left is not None and made >= left:
                    for rest in due[index + 1 :]:
                        self._skip(rest, "ended")
                    self._go_on(None)
                else:
                    self._go_on(due[index + 1] if index + 1 < len(due) else following)
                return
        self._go_on(following)

    def _newest(
        self, due: list[datetime], now: datetime, left: int | None, following: datetime | None, older: str
    ) -> None:
        running = [slot for slot in due if not self._excluded(slot)]
        made = 0
        for slot in due:
            if not running or slot != running[-1]:
                self._skip(slot, older)
            elif not self.has_run(slot):
                made += self._run(slot, self._unfinished(), 0, waits_if_late=False)
        self._go_on(None if left is not None and made >= left else following)

    def _run(self, slot: datetime, before: tuple[int, int], made: int, *, waits_if_late: bool) -> int:
        """Make a run of the slot, or skip it; how many were made."""
        overlap = self.policy.get("overlap", "skip")
        queued, waiting = before
        busy = queued + waiting > 0
        state = "queued" if not busy and (not made or overlap == "allow") else "waiting"
        if overlap == "allow":
            state = "queued"
        elif busy and not waits_if_late:
            if overlap == "cancel_running":
                for run in self.runs:
                    if run.state in ("queued", "waiting") and run not in self._new:
                        run.state, run.reason = "cancelled", "replaced"
            elif self.rule.once is None and (overlap == "skip" or (overlap == "queue_one" and waiting)):
                self._skip(slot, "overlap")
                return 0
        expires = self.policy.get("expires_after")
        run = Run(slot, state, None, None if expires is None else slot + timedelta(seconds=expires))
        self.runs.append(run)
        self._new.append(run)
        self._seen(slot)
        self.fired += 1
        return 1

    def _go_on(self, following: datetime | None) -> None:
        self._new.clear()
        self._place(following)
        if following is None:
            self.status = "stopped"

    def admit(self, now: datetime) -> bool:
        """End what waited too long, and let go what may."""
        changed = False
        for run in self.runs:
            if run.state in ("queued", "waiting") and run.expires_at is not None and run.expires_at <= now:
                run.state, run.reason, changed = "skipped", "expired", True
        going = self._unfinished()[0]
        for run in sorted(self.runs, key=lambda one: one.slot or self.created_at):
            if run.state == "waiting" and (going == 0 or self.policy.get("overlap") == "allow"):
                run.state, changed = "queued", True
                going += 1
        return changed

    # what is told

    def told(self, first: datetime, last: datetime, now: datetime) -> dict[datetime, Told]:
        """What should be told of every slot of a range."""
        told: dict[datetime, Told] = dict.fromkeys(self.moved, ("skipped", "moved"))
        told |= {slot: ("skipped", reason) for slot, reason in self.skips.items()}
        if self.next is None:
            named = self._named()
            since = max(self._begun, self.decided or self._begun)
            for slot in named[bisect_right(named, since) : bisect_right(named, now)]:
                told[slot] = ("skipped", "ended")
        told |= self._undecided(last, now)
        for run in self.runs:
            if run.slot is not None:
                told[run.slot] = run.state, "waiting" if run.state == "waiting" else run.reason
        return {slot: told[slot] for slot in sorted(told) if first <= slot <= last}

    def _undecided(self, last: datetime, now: datetime) -> dict[datetime, Told]:
        told: dict[datetime, Told] = {}
        left = self._left()
        for slot in self._from_next(last):
            if self.has_run(slot):
                continue
            state, reason = self._expected(slot, now)
            if state in ("due", "overdue") and left is not None:
                if left == 0:
                    break
                left -= 1
            told[slot] = (state, reason)
        return told

    def _expected(self, slot: datetime, now: datetime) -> Told:
        passed = self._fire(slot) <= now
        if self._excluded(slot):
            return "skipped", "excluded"
        if self.status == "paused":
            if self.paused_until is not None and not passed and slot >= self.paused_until:
                return "due", None
            return ("skipped" if passed else "due"), "paused"
        if self.status != "active":
            return ("skipped" if passed else "due"), self.status
        if not passed:
            return "due", None
        return ("skipped", "paused") if self.choice == "none" else ("overdue", None)

    def _skip(self, slot: datetime, reason: str) -> None:
        if not self.has_run(slot):
            self.skips[slot] = "excluded" if self._excluded(slot) else reason
            self._seen(slot)

    def _seen(self, slot: datetime) -> None:
        self.decided = slot if self.decided is None else max(self.decided, slot)

    def _end(self, now: datetime) -> None:
        """What an ended schedule has named since is recorded before another begins."""
        if self.decided is None:
            return
        named = self._named()
        for slot in named[bisect_right(named, self.decided) : bisect_right(named, now)]:
            self._skip(slot, "ended")
