"""Processing claimed recordings: what the machine of `common.work.worker` must know of them.

Every step writes down what it has done. If this process dies, its leases expire, and the next worker goes on
at the file that was not done. A film of hours does not finish while a process drains: what is written down so
far is what the next worker goes on from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from common.work.leases import Attempt
from common.work.patience import Patience
from common.work.places import Places
from common.work.waiting import Waiting
from common.work.worker import Held
from executor.recordings.processing.attempts import RecordingAttempts
from executor.recordings.processing.claims import ClaimedRecording, RecordingClaims


class Processing:
    """Recordings as a kind of claimed work. `sweep_after`: how long a recording may wait for its event."""

    name = "recording"

    def __init__(
        self, claims: RecordingClaims, attempts: RecordingAttempts, *, sweep_after: Patience
    ) -> None:
        self._claims = claims
        self._attempts = attempts
        self._sweep_after = sweep_after

    async def claim(self, wanted: Mapping[UUID, str | None]) -> Sequence[ClaimedRecording]:
        """Those of the recordings that wait."""
        return await self._claims.claim(wanted)

    async def waiting(
        self, places: Places, *, at_once: bool, without: Sequence[UUID], limit: int
    ) -> Sequence[Waiting]:
        """What is due, and what lost its event."""
        waited = 0.0 if at_once else self._sweep_after.seconds
        return await self._claims.waiting(waited_seconds=waited, without=without, limit=limit)

    async def read_back(self, known: Sequence[Attempt]) -> Sequence[ClaimedRecording]:
        """Recordings claimed without an answer."""
        return await self._claims.read_back(known)

    async def work(self, held: Held[ClaimedRecording]) -> None:
        """Go on with the recording from where it is."""
        held.begin()
        await self._attempts.make(held)
