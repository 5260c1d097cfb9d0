"""What people say in recordings: sentences that depend on nothing but a name."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sandbox.world.dice import throw

_OPENINGS = (
    "So",
    "Right",
    "As I said",
    "To begin with",
    "Looking at last week",
    "One more thing",
    "Honestly",
    "Then",
)
_SUBJECTS = (
    "the campaign",
    "our landing page",
    "the second lesson",
    "this audience",
    "the spring offer",
    "the homework",
    "the support queue",
    "the new video",
)
_FINDINGS = (
    "did better than we expected",
    "needs another look before Friday",
    "costs twice what it did in June",
    "is what everybody asks about",
    "should be shorter",
    "went out on time",
    "brought in forty new people",
    "is still waiting for approval",
)


@dataclass(frozen=True, slots=True)
class Cue:
    """A sentence and when it is heard, in seconds from the beginning."""

    start: float
    end: float
    words: str


def talk(name: str, seconds: float, sentences: int) -> list[Cue]:
    """As many sentences, evenly over so many seconds; the same ``name`` says the same."""
    length = seconds / max(sentences, 1)
    return [
        Cue(round(n * length, 3), round((n + 0.9) * length, 3), words)
        for n, words in enumerate(_sentences(name, sentences))
    ]


def webvtt(cues: Iterable[Cue], *, numbered: bool = False) -> str:
    """The cues as a WebVTT file; Zoom numbers them, speech-to-text services do not."""
    blocks = ["WEBVTT"]
    for number, cue in enumerate(cues, 1):
        timing = f"{timestamp(cue.start)} --> {timestamp(cue.end)}\n{cue.words}"
        blocks.append(f"{number}\n{timing}" if numbered else timing)
    return "\n\n".join(blocks) + "\n"


def timestamp(seconds: float) -> str:
    """``hh:mm:ss.mmm``"""
    thousandths = round(seconds * 1_000)
    minutes, thousandths = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, thousandths = divmod(thousandths, 1_000)
    return f"{hours:02d}:{minutes:02d}:{whole:02d}.{thousandths:03d}"


def _sentences(name: str, count: int) -> Iterator[str]:
    for number in range(count):
        opening, subject, finding, *_ = throw("speech", name, number)
        yield (
            f"{_OPENINGS[int(opening * len(_OPENINGS))]}, {_SUBJECTS[int(subject * len(_SUBJECTS))]} "
            f"{_FINDINGS[int(finding * len(_FINDINGS))]}."
        )
