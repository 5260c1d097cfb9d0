"""WebVTT, as far as a transcript needs it: telling one when it is seen, and what is said in it. Pure."""

from __future__ import annotations

import html
import re

_TAG = re.compile(r"<[^<>]*>")
_TIMING = "-->"
_NOT_SPOKEN = ("NOTE", "STYLE", "REGION")


def is_vtt(text: str) -> bool:
    """Whether a text is WebVTT: it begins with the word, alone or before a space."""
    first = text.removeprefix("\ufeff")[:7]
    return first[:6] == "WEBVTT" and first[6:].strip() == ""


def spoken_text(vtt: str) -> str:
    """What is said, a line for each line of the cues, without times, numbers and tags.

    A line that repeats the one before it, as captions that scroll do, is left out.
    """
    lines: list[str] = []
    for block in re.split(
        r"\n[ \t]*\n", vtt.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    ):
        for line in _cue(block.strip("\n").split("\n")):
            if not lines or lines[-1] != line:
                lines.append(line)
    return "\n".join(lines) + "\n" if lines else ""


def _cue(block: list[str]) -> list[str]:
    """The words of a block; none when it is no cue."""
    timing = next((number for number, line in enumerate(block) if _TIMING in line), None)
    if timing is None or block[0].startswith(_NOT_SPOKEN):
        return []
    words = (html.unescape(_TAG.sub("", line)).strip() for line in block[timing + 1 :])
    return [line for line in words if line]
