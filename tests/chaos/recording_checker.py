"""The checker of recordings: each processed once, complete in every place, and no other object left."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from common.events import RecordingProcessed
from common.recordings import retention
from common.recordings.artifacts import Artifacts
from common.recordings.store import RecordingStore
from tests.chaos.ledger import Ledger
from tests.factories import World
from tests.support.file_receiver import Taken

LEFTOVER = re.compile(r"#\d+$")
"""What the name of an object ends in while it is being written into a folder."""
_AT_ONCE = 4


@dataclass
class Verdict:
    """What is wrong; every list is empty when all went well."""

    not_uploaded: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Recording, state and error."""
    not_announced_once: list[tuple[UUID, int]] = field(default_factory=list)
    not_whole: list[str] = field(default_factory=list)
    """Paths whose content is not what the platform has, or not what the record says."""
    unknown: list[str] = field(default_factory=list)
    """Paths in the store that no record names."""
    not_received: list[str] = field(default_factory=list)
    """Messages the webhook was not sent, or not with the content the record says."""
    unexpected: list[str] = field(default_factory=list)
    """Messages the webhook was sent that belong to no file."""
    undeleted: list[str] = field(default_factory=list)
    """Paths that are still there when everything has been forgotten."""
    objects: int = 0
    leftovers: int = 0
    """Partial objects of killed processes, which go when their object goes."""
    received_twice: int = 0

    def faults(self) -> dict[str, list[Any]]:
        """What is wrong by kind, with examples."""
        found = {name: value for name, value in vars(self).items() if isinstance(value, list) and value}
        return {name: [len(value), *value[:3]] for name, value in found.items()}


@dataclass(frozen=True)
class Expectation:
    """How many recordings there are, where they were got, and who was sent them."""

    recordings: int
    token: str
    store: RecordingStore
    folder: Path
    received: Sequence[Taken]


async def check(world: World, ledger: Ledger, http: httpx.AsyncClient, wanted: Expectation) -> Verdict:
    """Compare the platform's recordings with the database, the store, the webhook and what was announced.

    At the end it forgets everything, as the clean-up will one day: what is left then, is left for ever.
    """
    verdict = Verdict()
    rows = await world.sql.fetch("SELECT * FROM recording ORDER BY started_at")
    if len(rows) != wanted.recordings:
        verdict.not_uploaded.append((f"{len(rows)} of {wanted.recordings} recordings", "missing", None))
    for row in rows:
        if row["status"] != "UPLOADED" or row["worker"] is not None or row["completed_at"] is None:
            verdict.not_uploaded.append((str(row["id"]), row["status"], row["error_message"]))
    announced = Counter(event.recording_id for event in await ledger.of(RecordingProcessed))
    verdict.not_announced_once = [
        (row["id"], announced[row["id"]]) for row in rows if announced[row["id"]] != 1
    ]
    known = {row["id"]: Artifacts.model_validate(row["artifacts"]) for row in rows}
    for row in rows:
        verdict.not_whole += await _not_whole(row, known[row["id"]], http, wanted)
    _check_paths(verdict, known, wanted.folder)
    _check_received(verdict, known, wanted.received)
    await _forget(world, wanted.store)
    verdict.undeleted = [str(path) for path in _files_below(wanted.folder)]
    return verdict


async def _not_whole(
    row: asyncpg.Record, artifacts: Artifacts, http: httpx.AsyncClient, wanted: Expectation
) -> list[str]:
    faults: list[str] = []
    gate = asyncio.Semaphore(_AT_ONCE)

    async def compare(told: dict[str, Any]) -> None:
        stored = artifacts.files.get(told["id"])
        if stored is None:
            if told["kind"] in ("video", "audio", "transcript"):
                faults.append(f"{row['topic']}: no {told['kind']}")
            return
        async with gate:
            original = await _original(http, told["url"], wanted.token)
        if original != stored.sha256 or stored.bytes != told["bytes"]:
            faults.append(f"{stored.path}: noted otherwise than the platform has it")
        if _digest(wanted.folder / stored.path) != stored.sha256:
            faults.append(f"{stored.path}: stored otherwise than noted")

    await asyncio.gather(*(compare(told) for told in row["files"]))
    for transcript in artifacts.transcripts.values():
        for part in (transcript.vtt, transcript.text):
            if _digest(wanted.folder / part.path) != part.sha256:
                faults.append(f"{part.path}: stored otherwise than noted")
    digests = Counter(
        [file.sha256 for file in artifacts.files.values() if file.kind != "transcript"]
        + [part.sha256 for each in artifacts.transcripts.values() for part in (each.vtt, each.text)]
    )
    for upload in artifacts.uploads.values():
        if upload.completed_at is None or not all(sent.is_done for sent in upload.files.values()):
            faults.append(f"{row['topic']}: not uploaded to {upload.type}")
        elif upload.type == "store":
            copies = Counter(_digest(wanted.folder / sent.place) for sent in upload.files.values())
            if copies != digests:
                faults.append(f"{row['topic']}: the library has other files than were made")
    if not artifacts.transcripts:
        faults.append(f"{row['topic']}: no transcript")
    return faults


async def _original(http: httpx.AsyncClient, url: str, token: str) -> str:
    answer = await http.get(url, headers={"authorization": f"Bearer {token}"}, follow_redirects=True)
    return hashlib.sha256(answer.raise_for_status().content).hexdigest()


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _files_below(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def _check_paths(verdict: Verdict, known: dict[UUID, Artifacts], folder: Path) -> None:
    named = {path for artifacts in known.values() for path in artifacts.paths()}
    for path in _files_below(folder):
        if str(path) in named:
            verdict.objects += 1
        elif LEFTOVER.sub("", str(path)) in named:
            verdict.leftovers += 1
        else:
            verdict.unknown.append(str(path))


def _check_received(verdict: Verdict, known: dict[UUID, Artifacts], received: Sequence[Taken]) -> None:
    """Sending is at least once: what comes again is the same, under the same id."""
    by_id: dict[str, set[str]] = {}
    for taken in received:
        verdict.received_twice += taken.headers["webhook-id"] in by_id
        by_id.setdefault(taken.headers["webhook-id"], set()).add(taken.sha256)
    expected: dict[str, set[str]] = {}
    for artifacts in known.values():
        stored = {
            file.bytes: file.sha256
            for file in [
                *artifacts.files.values(),
                *(part for each in artifacts.transcripts.values() for part in (each.vtt, each.text)),
            ]
        }
        for upload in artifacts.uploads.values():
            if upload.type == "webhook":
                for sent in upload.files.values():
                    expected[sent.place] = {stored[sent.bytes]}
    verdict.not_received = [
        identifier for identifier, digests in expected.items() if by_id.get(identifier) != digests
    ]
    # Beside the files there is one message for each recording that says what comes.
    others = by_id.keys() - expected.keys()
    if len(others) != len(known):
        verdict.unexpected = sorted(others)


async def _forget(world: World, store: RecordingStore) -> None:
    after = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
    old = await retention.old_recordings(
        world.sql, datetime.now(UTC) + timedelta(days=1), after=after, limit=10_000
    )
    await retention.delete_files(store, old)
