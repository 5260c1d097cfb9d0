"""What has been stored and sent of a recording so far, as its `artifacts` hold it. Pure.

Every step adds what it has done at once, so that the next attempt, in whichever process, begins where the
last one ended. Paths are those of `common.recordings.layout`, below the file store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from common.recordings.settings import FileKind


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class StoredFile(_Part):
    """A file in the store. `sha256` is in hexadecimal digits."""

    path: str
    bytes: int = Field(ge=0)
    sha256: str


class DownloadedFile(StoredFile):
    """One of the platform's files. `announced_bytes` is the size in the platform's list, 0 when it told none.

    Zoom's lists differ from what is served by some bytes: `bytes` is what came.

    `is_wanted`: the settings ask for it; one that is not was only taken to make a transcript of.
    """

    kind: FileKind
    extension: str
    announced_bytes: int = 0
    is_wanted: bool = True
    starts_at: AwareDatetime | None = None


class MissingFile(_Part):
    """One of the platform's files that could not be had; the others are delivered without it.

    `code` and `message` say why, and are fit to be shown.
    """

    kind: FileKind
    code: str
    message: str


class TranscriptSource(StrEnum):
    """Whose transcript it is: the platform's own, or made by the speech-to-text endpoint."""

    PLATFORM = "platform"
    ENDPOINT = "endpoint"


class Transcript(_Part):
    """What was said in one file, with times and without."""

    source: TranscriptSource
    vtt: StoredFile
    text: StoredFile
    model: str | None = None
    language: str | None = None


class Sent(_Part):
    """A file on its way to a target: `place` is the path or the message id it has there.

    It is noted before it is sent, so that what a crash left behind can be found; `is_done` comes after.
    """

    place: str
    bytes: int
    is_done: bool = False


class Upload(_Part):
    """What one target has been given, by file name."""

    type: str
    begun_at: AwareDatetime
    files: Mapping[str, Sent] = Field(default_factory=dict)
    announced: bool = False
    """A webhook has been told of the recording."""
    completed_at: AwareDatetime | None = None

    def with_sent(self, name: str) -> Self:
        """With one more file that has arrived."""
        sent = self.files[name].model_copy(update={"is_done": True})
        return self.model_copy(update={"files": {**self.files, name: sent}})


class Retries(_Part):
    """What the attempts since the last step that was done have met.

    `missing_since`: when the platform first said that it does not have the recording.
    """

    missing_since: AwareDatetime | None = None


class Artifacts(_Part):
    """`files`, `missing` and `transcripts` are by the platform's file id, `uploads` by target."""

    files: Mapping[str, DownloadedFile] = Field(default_factory=dict)
    missing: Mapping[str, MissingFile] = Field(default_factory=dict)
    transcripts: Mapping[str, Transcript] = Field(default_factory=dict)
    transcript_note: str | None = None
    """Why there is no transcript."""
    uploads: Mapping[str, Upload] = Field(default_factory=dict)
    retries: Retries = Retries()

    def with_file(self, file_id: str, file: DownloadedFile) -> Self:
        """With one more file, which is missing no longer."""
        missing = {key: each for key, each in self.missing.items() if key != file_id}
        return self.model_copy(update={"files": {**self.files, file_id: file}, "missing": missing})

    def with_missing(self, file_id: str, missing: MissingFile) -> Self:
        """With the reason why a file is not there."""
        return self.model_copy(update={"missing": {**self.missing, file_id: missing}})

    def without_file(self, file_id: str) -> Self:
        """Without a file, and without the transcript that was made of it."""
        return self.model_copy(
            update={
                "files": {key: file for key, file in self.files.items() if key != file_id},
                "transcripts": {key: each for key, each in self.transcripts.items() if key != file_id},
            }
        )

    def without_stored(self) -> Self:
        """Without everything that was in the store: what remains is what others have been given."""
        sent = {key: upload for key, upload in self.uploads.items() if upload.type != "store"}
        return self.model_copy(update={"files": {}, "missing": {}, "transcripts": {}, "uploads": sent})

    def with_transcript(self, file_id: str, transcript: Transcript) -> Self:
        """With the transcript of one more file."""
        return self.model_copy(
            update={"transcripts": {**self.transcripts, file_id: transcript}, "transcript_note": None}
        )

    def with_note(self, note: str) -> Self:
        """With the reason why there is no transcript."""
        return self.model_copy(update={"transcript_note": note})

    def with_upload(self, target: str, upload: Upload) -> Self:
        """With what a target has been given by now."""
        return self.model_copy(update={"uploads": {**self.uploads, target: upload}})

    def with_retries(self, retries: Retries) -> Self:
        """With what the next attempt must know of those before it."""
        return self.model_copy(update={"retries": retries})

    def transcripts_in_order(self) -> list[Transcript]:
        """The transcripts of a recording's parts, in the order these were recorded."""

        def place(file_id: str) -> tuple[str, str]:
            file = self.files.get(file_id)
            return ("" if file is None else str(file.starts_at or ""), file_id)

        return [self.transcripts[file_id] for file_id in sorted(self.transcripts, key=place)]

    def paths(self) -> Iterator[str]:
        """Every path below the store that holds something of the recording."""
        for file in self.files.values():
            yield file.path
        for transcript in self.transcripts.values():
            yield transcript.vtt.path
            yield transcript.text.path
        for upload in self.uploads.values():
            if upload.type == "store":
                for sent in upload.files.values():
                    yield sent.place

    def as_document(self) -> dict[str, Any]:
        """As it is stored with the recording."""
        return self.model_dump(mode="json", exclude_defaults=True)
