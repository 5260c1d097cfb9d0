"""The files of a recording: their stored form, which of them are taken, and whether it is blank or ready.
Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from common.recordings.settings import FileKind

PROCESSING, COMPLETED = "processing", "completed"
SHORTEST = timedelta(minutes=1)
"""A recording whose media are all shorter counts as blank."""
PATIENCE = timedelta(hours=6)
"""How long after its start a recording waits for files that its platform is still making."""
_VIEWS = (
    "shared_screen_with_speaker_view(CC)",
    "shared_screen_with_speaker_view",
    "shared_screen_with_gallery_view",
    "active_speaker",
    "speaker_view",
    "gallery_view",
    "shared_screen",
)
"""Views of a meeting, the best first; those not named come after them."""
_MEDIA = frozenset({FileKind.VIDEO, FileKind.AUDIO})


class RecordedFile(BaseModel):
    """A file as its platform has it: what a recording's `files` hold.

    `view` is the platform's own name of what is seen or heard; `url` is where it can be had, without a token.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    kind: FileKind
    view: str = ""
    extension: str = ""
    bytes: int = Field(0, ge=0, le=2**63 - 1)
    status: str = COMPLETED
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    url: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether it can be had."""
        return self.status == COMPLETED and bool(self.url)

    @property
    def length(self) -> timedelta | None:
        """How long it lasts, if known."""
        return None if self.starts_at is None or self.ends_at is None else self.ends_at - self.starts_at


def chosen(files: Sequence[RecordedFile], kinds: Collection[FileKind]) -> list[RecordedFile]:
    """The files of these kinds that can be had, in the order they were recorded.

    Of several views the best one is chosen; a meeting that was stopped and went on has several files of it.
    """
    wanted = [file for file in files if file.is_complete and file.kind in kinds]
    views = {file.view for file in wanted if file.kind is FileKind.VIDEO}
    best = min(views, key=_rank, default="")
    return sorted(
        (file for file in wanted if file.kind is not FileKind.VIDEO or file.view == best),
        key=lambda file: (list(FileKind).index(file.kind), str(file.starts_at or ""), file.id),
    )


def is_blank(files: Sequence[RecordedFile]) -> bool:
    """Whether nothing was recorded: every film and sound is empty or shorter than a minute, or there is none.

    False while a file is still being processed, because that is not known yet.
    """
    if any(file.status == PROCESSING for file in files):
        return False
    media = [file for file in files if file.kind in _MEDIA and file.bytes > 0]
    return all(file.length is not None and file.length < SHORTEST for file in media)


def is_ready(files: Sequence[RecordedFile], *, started_at: datetime, now: datetime) -> bool:
    """Whether processing can start: all files are there, or those that are not have had their time."""
    if not any(file.is_complete for file in files):
        return False
    waits = any(file.status == PROCESSING for file in files)
    return not waits or now - started_at > PATIENCE


def _rank(view: str) -> tuple[int, str]:
    return (_VIEWS.index(view) if view in _VIEWS else len(_VIEWS), view)
