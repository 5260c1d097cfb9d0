"""A webhook that is sent the files.

First a signed message of type `recording.processed` (Standard Webhooks), with what is known of the recording,
its transcript and the list of its files. Then each file as a POST of its own: the body is the file, byte for
byte, and what is said of it is a JSON document in the header `carillon-file`, which holds the body's SHA-256.
The signature is over that document in the body's place:

    webhook-id: rec_… (the same at every try: the receiver's idempotency key)
    webhook-signature: v1,base64(HMAC-SHA256(key, "{webhook-id}.{webhook-timestamp}.{carillon-file}"))

so that a receiver can check who sends before it takes gigabytes, and what it took afterwards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus

import httpx

from common.clock import utc_now
from common.errors import Consequence
from common.http import parse_retry_after
from common.http.standard_webhooks import signed_headers, signing_keys
from common.recordings.store import RecordingStore
from executor.recordings.processing.claims import ClaimedRecording
from executor.recordings.steps.upload_names import OutgoingFile
from executor.recordings.targets.base import Parcel, Target, UploadFailed
from executor.recordings.targets.exchange import send

TYPE = "recording.processed"
LONGEST_TRANSCRIPT = 200_000
"""Characters of the transcript a message holds; the whole of it comes as a file."""
ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is written to. `keys` sign."""

    url: httpx.URL
    keys: Sequence[bytes] = field(repr=False)

    @classmethod
    def read(cls, url: object, secret: str) -> Receiver:
        """From a destination; raises UploadFailed."""
        try:
            return cls(httpx.URL(str(url)), signing_keys(secret))
        except (httpx.InvalidURL, ValueError) as error:
            raise UploadFailed(
                "the destination has no valid address or signing secret", Consequence.INVALID, code="unusable"
            ) from error


class Webhook(Target):
    """One receiver."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        store: RecordingStore,
        receiver: Receiver,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._http = http
        self._store = store
        self._receiver = receiver
        self._now = now

    def places(self, recording: ClaimedRecording, files: Sequence[OutgoingFile]) -> Mapping[str, str]:
        """The ids of the messages the files come in."""
        return {file.name: message_id(recording, self._receiver.url, file.name) for file in files}

    async def announce(self, parcel: Parcel) -> None:
        """The signed message that comes first."""
        body = await self._message(parcel)
        identifier = message_id(parcel.recording, self._receiver.url, "")
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        await self._post(body, identifier, body, headers)

    async def send(self, parcel: Parcel, file: OutgoingFile) -> None:
        """One file, byte for byte."""
        document = file_document(parcel.recording, file)
        headers = {
            "content-type": file.type,
            "content-length": str(file.bytes),
            "carillon-recording-id": str(parcel.recording.id),
            "carillon-file-name": file.name,
            "carillon-file": document,
        }
        content = self._store.read(file.path)
        await self._post(content, parcel.places[file.name], document.encode(), headers)

    async def _message(self, parcel: Parcel) -> bytes:
        recording = parcel.recording
        text = await self._transcript(parcel)
        begun = parcel.begun_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        document = {
            "type": TYPE,
            "timestamp": begun,
            "data": {
                "recording_id": str(recording.id),
                "meeting_id": recording.meeting_id,
                "topic": recording.topic,
                "host": recording.host,
                "source": recording.source,
                "template": recording.template,
                "started_at": recording.started_at.isoformat(),
                "timezone": recording.timezone,
                "duration_minutes": recording.duration_minutes,
                "transcript": text[:LONGEST_TRANSCRIPT],
                "transcript_is_cut": len(text) > LONGEST_TRANSCRIPT,
                "files": [
                    json.loads(file_document(recording, file)) | {"webhook_id": parcel.places[file.name]}
                    for file in parcel.files
                ],
                "missing": [
                    {"kind": file.kind.value, "reason": file.message}
                    for file in parcel.artifacts.missing.values()
                ],
            },
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode(
            errors="replace"
        )

    async def _transcript(self, parcel: Parcel) -> str:
        texts = []
        for transcript in parcel.artifacts.transcripts_in_order():
            content = await self._store.read_bytes(transcript.text.path, limit=transcript.text.bytes)
            texts.append((content or b"").decode("utf-8", "replace"))
        return "\n".join(texts)

    async def _post(
        self,
        content: bytes | AsyncIterable[bytes],
        identifier: str,
        signed: bytes,
        headers: Mapping[str, str],
    ) -> None:
        signatures = signed_headers(identifier, self._now(), signed, self._receiver.keys)
        answer = await send(
            self._http,
            "POST",
            self._receiver.url,
            content,
            {**headers, **signatures},
            patience=ANSWER_SECONDS,
        )
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise refusal(
                answer.status,
                retry_after=parse_retry_after(answer.headers.get("retry-after"), now=self._now()),
            )


def message_id(recording: ClaimedRecording, url: httpx.URL, file_name: str) -> str:
    """`webhook-id`: the same for the same file of the same recording at the same receiver."""
    about = f"{recording.id} {url} {file_name}"
    return f"rec_{hashlib.sha256(about.encode()).hexdigest()[:32]}"


def file_document(recording: ClaimedRecording, file: OutgoingFile) -> str:
    """What is said of a file, on one line of ASCII, fit for a header."""
    document = {
        "bytes": file.bytes,
        "content_type": file.type,
        "name": file.name,
        "recording_id": str(recording.id),
        "sha256": file.sha256,
    }
    return json.dumps(document, separators=(",", ":"), sort_keys=True)


def refusal(status: int, *, retry_after: float | None) -> UploadFailed:
    """What an answer that is not 2xx asks of us: it is tried again, except after 410 Gone. Pure."""
    match status:
        case HTTPStatus.GONE:
            consequence = Consequence.GONE
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE:
            consequence = Consequence.RATE
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            consequence = Consequence.SPLIT
        case _:
            consequence = Consequence.TRANSIENT
    return UploadFailed(
        f"the receiver answered {status}",
        consequence,
        code=str(status),
        http_status=status,
        retry_after=retry_after,
    )
