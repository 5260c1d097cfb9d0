"""ISO base media (ISO/IEC 14496-12): a packaged film and its sound, and the boxes the sandbox reads and adds.

`film.mp4` is eight seconds of one grey picture (H.264) and silence (AAC), `sound.m4a` the silence alone.
"""

import struct
from functools import cache
from pathlib import Path

SECONDS = 8
_HERE = Path(__file__).parent


@cache
def film() -> bytes:
    """A whole MP4 file with picture and sound."""
    return (_HERE / "film.mp4").read_bytes()


@cache
def sound() -> bytes:
    """A whole M4A file."""
    return (_HERE / "sound.m4a").read_bytes()


def free_space(content: bytes, size: int) -> bytes:
    """The head of a box of ``size`` bytes that players skip, without its padding."""
    return struct.pack(">I4s", size, b"free") + content


def duration(content: bytes) -> float | None:
    """Seconds that ISO base media lasts by its movie header; None for anything else."""
    at = content.find(b"mvhd")
    if content[4:8] != b"ftyp" or at < 0 or len(content) < at + 24 or content[at + 4] != 0:
        return None
    timescale, ticks = struct.unpack(">II", content[at + 16 : at + 24])
    return float(ticks / timescale) if timescale else None
