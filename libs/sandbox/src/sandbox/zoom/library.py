"""Every recording of the account: what follows from a host's plan, what was added, less what is gone.

Nothing is listed in memory: a page of a list is worked out when it is asked for.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from sandbox.clock import Clock
from sandbox.settings import Settings
from sandbox.world.meeting_ids import ROOMS, Place, Room, meeting_of, place_of
from sandbox.world.meeting_series import Series, daily, spread
from sandbox.world.recorded_meetings import Plan, Recording, recording_of
from sandbox.world.zoom_account import Directory, Host

Key = tuple[int, int, int]
"""Where a recording is in a list by time: its start, the generation of its plan, its number."""
ADDED = 0xFFFF
"""The generation of recordings that were added one by one."""
_BLANK = 0.06
_TRANSCRIPTS = 0.6


@dataclass(frozen=True, slots=True)
class Removal:
    """A recording in the trash, or deleted for good."""

    recording: Recording
    at: float
    for_good: bool


class Library:
    """Finds recordings by host and time, UUID or meeting number."""

    def __init__(self, settings: Settings, clock: Clock, directory: Directory) -> None:
        self._seed = settings.seed
        self._file_bytes = settings.zoom_file_bytes
        self._clock = clock
        self._directory = directory
        self._plans: dict[int, Plan] = {}
        self._generations = 0
        self._added: dict[str, Recording] = {}
        self._removed: dict[str, Removal] = {}

    def reset(self) -> None:
        """As in a new account."""
        self._plans.clear()
        self._generations = 0
        self._added.clear()
        self._removed.clear()

    def plan(
        self,
        host: Host,
        recordings: int,
        days: float,
        *,
        file_bytes: int | None = None,
        blank: float = _BLANK,
        transcripts: float = _TRANSCRIPTS,
    ) -> Plan:
        """Have the host's recordings spread over the ``days`` before now, in place of those there were."""
        self._generations += 1
        self._removed = {
            uuid: removal
            for uuid, removal in self._removed.items()
            if removal.recording.host.number != host.number or uuid in self._added
        }
        name = f"{self._seed}|{host.number}|{self._generations}"
        series = spread(name, recordings, days, self._clock.now())
        size = self._file_bytes if file_bytes is None else file_bytes
        plan = self._plans[host.number] = Plan(self._generations, series, size, blank, transcripts)
        return plan

    def plan_of(self, host: Host) -> Plan:
        """What was planned for the host, or a meeting a day."""
        planned = self._plans.get(host.number)
        if planned is None:
            series = daily(f"{self._seed}|{host.number}")
            planned = Plan(0, series, self._file_bytes, _BLANK, _TRANSCRIPTS)
        return planned

    def next_place(self, host: Host) -> Place:
        """For a recording that is about to be added."""
        return Place(host.number, ADDED, len(self._added))

    def add(self, recording: Recording) -> None:
        """One more recording, or another in place of the one with its UUID."""
        self._added[recording.uuid] = recording
        self._removed.pop(recording.uuid, None)

    def find(self, uuid: str) -> Recording | None:
        """The recording of that UUID unless it is gone or has not begun."""
        recording = self._added.get(uuid) or self._planned(place_of(self._seed, uuid))
        return recording if recording and self._is_there(recording) else None

    def latest(self, meeting_id: int) -> Recording | None:
        """The newest recording of a meeting by its number."""
        added = [it for it in self._added.values() if it.meeting_id == meeting_id and self._is_there(it)]
        return max((*added, *self._latest_planned(meeting_id)), key=lambda it: it.key, default=None)

    def page(
        self,
        host: Host,
        low: float,
        high: float,
        size: int,
        *,
        after: Key | None = None,
        meeting_id: int | None = None,
    ) -> list[Recording]:
        """``size`` recordings that begin in [low, high), newest first, starting behind ``after``."""
        high = min(high, self._clock.now() + 1, after[0] + 1 if after else high)
        found = (
            recording
            for recording in self._newest_first(host, low, high)
            if (after is None or recording.key < after)
            and recording.uuid not in self._removed
            and meeting_id in (None, recording.meeting_id)
        )
        return list(islice(found, size))

    def count(self, host: Host, low: float, high: float, meeting_id: int | None = None) -> int:
        """How many recordings begin in [low, high)."""
        high = min(high, self._clock.now() + 1)
        if meeting_id is not None:
            return len(self.page(host, low, high, 1_000_000, meeting_id=meeting_id))
        series = self.plan_of(host).series
        planned = max(series.before(high) - series.before(low), 0)
        removed = [removal.recording for removal in self._removed.values()]
        return planned + _within(self._added.values(), host, low, high) - _within(removed, host, low, high)

    def trash(self, host: Host, low: float, high: float) -> list[Removal]:
        """What was moved to the trash of what begins in [low, high), newest first."""
        found = [
            removal
            for removal in self._removed.values()
            if not removal.for_good and _is_within(removal.recording, host, low, high)
        ]
        return sorted(found, key=lambda removal: removal.recording.key, reverse=True)

    def remove(self, recording: Recording, *, for_good: bool) -> None:
        """Into the trash, or away for good."""
        self._removed[recording.uuid] = Removal(recording, self._clock.now(), for_good)

    def _newest_first(self, host: Host, low: float, high: float) -> Iterator[Recording]:
        plan = self.plan_of(host)
        planned = (
            recording_of(self._seed, host, plan, number) for number in plan.series.newest_first(low, high)
        )
        added = [it for it in self._added.values() if _is_within(it, host, low, high)]
        added.sort(key=_key, reverse=True)
        return heapq.merge(planned, added, key=_key, reverse=True)

    def _planned(self, place: Place | None) -> Recording | None:
        host = self._directory.at(place.host) if place else None
        if place is None or host is None:
            return None
        plan = self.plan_of(host)
        if plan.generation != place.generation or place.number >= plan.series.count:
            return None
        return recording_of(self._seed, host, plan, place.number)

    def _latest_planned(self, meeting_id: int) -> Iterator[Recording]:
        """At most one."""
        meeting = meeting_of(meeting_id)
        host = self._directory.at(meeting.host) if meeting else None
        if meeting is None or host is None:
            return
        plan = self.plan_of(host)
        for number in _numbers(meeting, plan.series, self._clock.now()):
            recording = recording_of(self._seed, host, plan, number)
            if recording.meeting_id == meeting_id and self._is_there(recording):
                yield recording
                return

    def _is_there(self, recording: Recording) -> bool:
        return recording.uuid not in self._removed and recording.start <= self._clock.now()


def _numbers(meeting: Room | Place, series: Series, now: float) -> Iterable[int]:
    """Which meetings of a series may be meant by a number, newest first."""
    if isinstance(meeting, Place):
        return (meeting.number,) if meeting.number < series.count else ()
    begun = range(series.before(now + 1) - 1, -1, -1)
    return (number for number in begun if number % ROOMS == meeting.room)


def _is_within(recording: Recording, host: Host, low: float, high: float) -> bool:
    return recording.host.number == host.number and low <= recording.start < high


def _within(recordings: Iterable[Recording], host: Host, low: float, high: float) -> int:
    return sum(_is_within(recording, host, low, high) for recording in recordings)


def _key(recording: Recording) -> Key:
    return recording.key
