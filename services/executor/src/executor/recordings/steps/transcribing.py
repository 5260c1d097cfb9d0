"""The second step: what was said, from the platform's own transcript or by listening.

A missing transcript is no failure: where none is wanted, or none can be made, the recording
goes on with a note that says so.
"""

from __future__ import annotations

from datetime import datetime

from common import telemetry
from common.errors import CarillonError
from common.recordings import layout
from common.recordings.artifacts import DownloadedFile, StoredFile, Transcript, TranscriptSource
from common.recordings.store import RecordingStore
from executor.recordings.processing.pipeline import SPOKEN, to_transcribe
from executor.recordings.processing.progress import Work
from executor.recordings.steps.transcription_api import MAX_TRANSCRIPT, Sound, SpeechToText
from executor.recordings.steps.webvtt import spoken_text

NOT_ASKED_FOR = "skip_transcription is set"
NOTHING_TO_HEAR = "the recording has neither a transcript nor sound"
NOBODY_TO_LISTEN = (
    "the platform has no transcript of it, and no endpoint is configured that could make one "
    "(TRANSCRIPTION_BASE_URL)"
)


class UnreadableTranscript(CarillonError):
    """The platform's transcript is none."""


class Transcribing:
    """Makes or takes the transcripts of a recording, one for each of its parts."""

    def __init__(self, store: RecordingStore, speech: SpeechToText | None) -> None:
        self._store = store
        self._speech = speech

    async def run(self, work: Work, *, now: datetime) -> None:
        """Transcribe what is not transcribed yet."""
        sources = to_transcribe(work.artifacts)
        if work.recording.processing.skip_transcription:
            await work.save(work.artifacts.with_note(NOT_ASKED_FOR))
        elif not sources:
            listens = self._speech is not None
            await work.save(work.artifacts.with_note(NOTHING_TO_HEAR if listens else NOBODY_TO_LISTEN))
        elif self._speech is None and sources[0][1].kind not in SPOKEN:
            await work.save(work.artifacts.with_note(NOBODY_TO_LISTEN))
        else:
            for file_id, file in sources:
                if not await self._has(work, file_id):
                    await self._take(work, file_id, file)

    async def _has(self, work: Work, file_id: str) -> bool:
        transcript = work.artifacts.transcripts.get(file_id)
        if transcript is None:
            return False
        parts = (transcript.vtt, transcript.text)
        return all([await self._store.size(part.path) == part.bytes for part in parts])

    async def _take(self, work: Work, file_id: str, file: DownloadedFile) -> None:
        settings = work.recording.processing.transcription
        if file.kind in SPOKEN or self._speech is None:
            vtt = await self._own(file)
            source, model, language = TranscriptSource.PLATFORM, None, None
        else:
            name = f"recording.{file.extension}"
            sound = Sound(name, layout.content_type(name), file.bytes)
            vtt = await self._speech.transcribe(sound, self._store.read(file.path), settings)
            source, model, language = (
                TranscriptSource.ENDPOINT,
                self._speech.model(settings),
                settings.language,
            )
            telemetry.RECORDING_BYTES.labels("transcribe").inc(file.bytes)
        transcript = Transcript(
            source=source,
            vtt=await self._keep(work, file_id, "vtt", vtt),
            text=await self._keep(work, file_id, "txt", spoken_text(vtt)),
            model=model,
            language=language,
        )
        await work.save(work.artifacts.with_transcript(file_id, transcript))

    async def _own(self, file: DownloadedFile) -> str:
        content = await self._store.read_bytes(file.path, limit=MAX_TRANSCRIPT)
        if content is None:
            raise UnreadableTranscript(f"the platform's transcript has more than {MAX_TRANSCRIPT} bytes")
        return content.decode("utf-8", "replace")

    async def _keep(self, work: Work, file_id: str, extension: str, text: str) -> StoredFile:
        recording = work.recording
        path = layout.transcript_path(recording.tenant_id, recording.id, file_id=file_id, extension=extension)
        written = await self._store.put_bytes(path, text.encode())
        return StoredFile(path=path, bytes=written.bytes, sha256=written.sha256)
