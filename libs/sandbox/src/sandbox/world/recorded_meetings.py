"""What was recorded of a meeting. All of it follows from the seed, the host and the meeting's number."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from uuid import UUID

from sandbox.world.dice import between, throw
from sandbox.world.media import EMPTY, Media, audio, text, video
from sandbox.world.meeting_ids import ROOMS, Place, meeting_number, uuid_of
from sandbox.world.meeting_series import Series
from sandbox.world.speech import talk, webvtt
from sandbox.world.zoom_account import Host

PROCESSING = 600
"""Seconds from the end of a meeting until its picture and sound can be had."""
TRANSCRIBING = 1_200
"""Seconds from the end of a meeting until its transcript can be had."""
_TOPICS = ("Weekly marketing call", "Course 101: live lesson", "Product demo", "Office hours")
_SINGLE_TOPICS = ("Kick-off", "Interview", "Workshop: landing pages", "Retrospective", "Guest lecture")
SCHEDULED, RECURRING = 2, 8
SOUND = "audio_only"
SOUND_SHARE = 8
"""A film is so many times as large as its sound."""


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """One file; ``slot`` counts from 0 within its meeting."""

    slot: int
    file_type: str
    extension: str
    recording_type: str
    media: Media
    ready_at: float
    """Unix seconds from which it can be had."""

    @property
    def is_transcript(self) -> bool:
        return self.file_type == "TRANSCRIPT"


@dataclass(frozen=True)
class Recording:
    """One instance of a meeting."""

    uuid: str
    place: Place
    host: Host
    meeting_id: int
    topic: str
    type: int
    start: int
    seconds: int
    files: tuple[RecordedFile, ...]

    @property
    def end(self) -> int:
        return self.start + self.seconds

    @property
    def key(self) -> tuple[int, int, int]:
        """Its place in a list by time."""
        return (self.start, self.place.generation, self.place.number)

    @cached_property
    def passcode(self) -> str:
        return blake2b(self.uuid.encode(), digest_size=5, person=b"passcode").hexdigest()

    def file_id(self, slot: int) -> str:
        """A UUID that is always the same."""
        return str(UUID(bytes=blake2b(f"{self.uuid}|{slot}".encode(), digest_size=16).digest(), version=4))


@dataclass(frozen=True, slots=True)
class Plan:
    """How much a host records, and what."""

    generation: int
    series: Series
    file_bytes: int
    blank: float
    """The share of recordings in which nothing happens for a minute at most."""
    transcripts: float
    """The share of the others that have a transcript."""


def recording_of(seed: int, host: Host, plan: Plan, number: int) -> Recording:
    """The meeting of that number in the host's plan."""
    place = Place(host.number, plan.generation, number)
    uuid = uuid_of(seed, place)
    luck = throw(seed, "meeting", *place)
    room = number % ROOMS
    topics = _TOPICS if room else _SINGLE_TOPICS
    topic = topics[(host.number + room) % len(topics) if room else int(luck[0] * len(topics))]
    blank = luck[1] < plan.blank
    seconds = int(between(3, 55, luck[2])) if blank else int(between(15, 90, luck[2]) * 60)
    start = plan.series.start(number)
    recording_types = _recorded(luck, blank=blank, transcripts=plan.transcripts)
    size = 0 if blank and luck[3] < 0.5 else 1 if blank else int(plan.file_bytes * between(0.5, 1.5, luck[3]))
    files = tuple(
        make_file(uuid, slot, kind, topic, start, seconds, size // SOUND_SHARE if kind == SOUND else size)
        for slot, kind in enumerate(recording_types)
    )
    return Recording(
        uuid=uuid,
        place=place,
        host=host,
        meeting_id=meeting_number(host.number, number),
        topic=topic,
        type=RECURRING if room else SCHEDULED,
        start=start,
        seconds=seconds,
        files=files,
    )


def _recorded(luck: tuple[float, ...], *, blank: bool, transcripts: float) -> tuple[str, ...]:
    if blank:
        return ("shared_screen_with_speaker_view",)
    return (
        "shared_screen_with_speaker_view",
        SOUND,
        *(("audio_transcript",) if luck[4] < transcripts else ()),
        *(("chat_file",) if luck[5] < 0.3 else ()),
        *(("timeline",) if luck[6] < 0.15 else ()),
    )


_TYPES = {
    SOUND: ("M4A", "M4A"),
    "audio_transcript": ("TRANSCRIPT", "VTT"),
    "chat_file": ("CHAT", "TXT"),
    "timeline": ("TIMELINE", "JSON"),
}
"""File type and extension by recording type; everything else is a film."""


def make_file(
    uuid: str, slot: int, recording_type: str, topic: str, start: int, seconds: int, size: int
) -> RecordedFile:
    """A file of a meeting. ``size`` is what a film or its sound is to have; 0 for nothing at all."""
    file_type, extension = _TYPES.get(recording_type, ("MP4", "MP4"))
    name = f"{uuid}|{slot}"
    wait = PROCESSING
    if file_type == "TRANSCRIPT":
        wait = TRANSCRIBING
        media = text(webvtt(talk(uuid, seconds, 12), numbered=True))
    elif file_type == "CHAT":
        media = text(f"00:01:00\tDana Demo:\tWelcome to {topic}\r\n00:04:10\tMateo Ruiz:\tThank you!\r\n")
    elif file_type == "TIMELINE":
        media = text('{"timeline":[{"ts":"00:00:00.000","users":[{"username":"Dana Demo"}]}]}')
    elif size == 0:
        media = EMPTY
    elif file_type == "M4A":
        media = audio(name, size)
    else:
        media = video(name, size)
    return RecordedFile(slot, file_type, extension, recording_type, media, start + seconds + wait)
