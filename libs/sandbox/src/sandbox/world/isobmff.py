"""A film of one grey picture and silence, as ISO base media (ISO/IEC 14496-12), written box by box.

Players, probes and speech-to-text services take it for what it is: H.264 and AAC of `SECONDS` seconds.
"""

import struct
from dataclasses import dataclass
from functools import cache

SECONDS = 8
_TIMESCALE = 1_000
_DURATION = SECONDS * _TIMESCALE
_UNITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_ENGLISH = 0x15C7
"""Three letters of five bits each, "eng"."""

_COLUMNS, _ROWS = 16, 9
"""The picture in macroblocks of 16 by 16 points."""
_GREY_MACROBLOCK = "00100111"
"""Intra 16x16, predicted as the mean of its neighbours and nothing left over: grey, as the first has none."""

_SAMPLE_RATE = 16_000
_FRAME_LENGTH = 1_024
_FRAMES = SECONDS * _SAMPLE_RATE // _FRAME_LENGTH
_SILENT_FRAME = b"\x00\x00\x00\x07"
"""One AAC-LC channel element without a single scale factor band, and the end mark."""
_AAC_LC_16K_MONO = b"\x14\x08"


@dataclass(frozen=True, slots=True)
class _Track:
    """One track: what decodes it (``entry``) and its samples, stored in one chunk."""

    number: int
    handler: bytes
    media_header: bytes
    timescale: int
    entry: bytes
    sample: bytes
    samples: int
    sample_ticks: int
    width: int = 0
    height: int = 0

    @property
    def data(self) -> bytes:
        return self.sample * self.samples


@cache
def film() -> bytes:
    """A whole MP4 file with picture and sound."""
    return _file(b"isom", b"isomiso2avc1mp41", (_video(1), _audio(2)))


@cache
def sound() -> bytes:
    """A whole M4A file."""
    return _file(b"M4A ", b"M4A isomiso2mp41", (_audio(1),))


def free_space(content: bytes, size: int) -> bytes:
    """The head of a box of ``size`` bytes that players skip; all of the box but its filling."""
    return struct.pack(">I4s", size, b"free") + content


def duration(content: bytes) -> float | None:
    """Seconds that ISO base media lasts by its movie header; None for anything else."""
    at = content.find(b"mvhd")
    if content[4:8] != b"ftyp" or at < 0 or len(content) < at + 24 or content[at + 4] != 0:
        return None
    timescale, ticks = struct.unpack(">II", content[at + 16 : at + 24])
    return float(ticks / timescale) if timescale else None


def _file(brand: bytes, compatible: bytes, tracks: tuple[_Track, ...]) -> bytes:
    head = _box(b"ftyp", brand, struct.pack(">I", 512), compatible)
    # The offsets of the data depend on the size of the index, and that on nothing: measure it first.
    data_at = len(head) + len(_index(tracks, 0)) + 8
    return head + _index(tracks, data_at) + _box(b"mdat", *(track.data for track in tracks))


def _index(tracks: tuple[_Track, ...], data_at: int) -> bytes:
    boxes = []
    for track in tracks:
        boxes.append(_track(track, data_at))
        data_at += len(track.data)
    header = struct.pack(">IIIIIHHII", 0, 0, _TIMESCALE, _DURATION, 0x10000, 0x100, 0, 0, 0)
    header += _UNITY + bytes(24) + struct.pack(">I", len(tracks) + 1)
    return _box(b"moov", _full(b"mvhd", 0, header), *boxes)


def _track(track: _Track, data_at: int) -> bytes:
    volume = 0 if track.width else 0x100
    header = struct.pack(">IIIIIIIHHHH", 0, 0, track.number, 0, _DURATION, 0, 0, 0, 0, volume, 0)
    header += _UNITY + struct.pack(">II", track.width << 16, track.height << 16)
    ticks = track.samples * track.sample_ticks
    media_info = struct.pack(">IIIIHH", 0, 0, track.timescale, ticks, _ENGLISH, 0)
    handler = struct.pack(">I4s", 0, track.handler) + bytes(12) + b"sandbox\x00"
    here = _box(b"dinf", _full(b"dref", 0, struct.pack(">I", 1), _full(b"url ", 1)))
    samples = _box(
        b"stbl",
        _full(b"stsd", 0, struct.pack(">I", 1), track.entry),
        _full(b"stts", 0, struct.pack(">III", 1, track.samples, track.sample_ticks)),
        _full(b"stsc", 0, struct.pack(">IIII", 1, 1, track.samples, 1)),
        _full(b"stsz", 0, struct.pack(">II", len(track.sample), track.samples)),
        _full(b"stco", 0, struct.pack(">II", 1, data_at)),
    )
    media = _box(
        b"mdia",
        _full(b"mdhd", 0, media_info),
        _full(b"hdlr", 0, handler),
        _box(b"minf", track.media_header, here, samples),
    )
    return _box(b"trak", _full(b"tkhd", 3, header), media)


def _video(number: int) -> _Track:
    width, height = _COLUMNS * 16, _ROWS * 16
    parameters, picture_parameters = _sequence_parameters(), _picture_parameters()
    configuration = b"\x01" + parameters[1:4] + b"\xff\xe1"
    configuration += struct.pack(">H", len(parameters)) + parameters
    configuration += b"\x01" + struct.pack(">H", len(picture_parameters)) + picture_parameters
    entry = bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">HH", width, height)
    entry += struct.pack(">IIIH", 0x480000, 0x480000, 0, 1) + bytes(32) + struct.pack(">Hh", 24, -1)
    picture = _picture()
    return _Track(
        number=number,
        handler=b"vide",
        media_header=_full(b"vmhd", 1, bytes(8)),
        timescale=_TIMESCALE,
        entry=_box(b"avc1", entry, _box(b"avcC", configuration)),
        sample=struct.pack(">I", len(picture)) + picture,
        samples=1,
        sample_ticks=_DURATION,
        width=width,
        height=height,
    )


def _audio(number: int) -> _Track:
    entry = bytes(6) + struct.pack(">H", 1) + bytes(8)
    entry += struct.pack(">HHHHI", 1, 16, 0, 0, _SAMPLE_RATE << 16)
    decoder = struct.pack(">BBBHII", 0x40, 0x15, 0, 0, 0, 0) + _descriptor(5, _AAC_LC_16K_MONO)
    stream = struct.pack(">HB", number, 0) + _descriptor(4, decoder) + _descriptor(6, b"\x02")
    return _Track(
        number=number,
        handler=b"soun",
        media_header=_full(b"smhd", 0, bytes(4)),
        timescale=_SAMPLE_RATE,
        entry=_box(b"mp4a", entry, _full(b"esds", 0, _descriptor(3, stream))),
        sample=_SILENT_FRAME,
        samples=_FRAMES,
        sample_ticks=_FRAME_LENGTH,
    )


def _sequence_parameters() -> bytes:
    """H.264, 7.3.2.1.1: constrained baseline, level 1.1, pictures in the order they are decoded."""
    bits = _golomb(0) + _golomb(0) + _golomb(2) + _golomb(1) + "0"
    bits += _golomb(_COLUMNS - 1) + _golomb(_ROWS - 1) + "1100"
    return b"\x67" + bytes((66, 0xC0, 11)) + _pack(bits)


def _picture_parameters() -> bytes:
    """H.264, 7.3.2.2: variable length codes, one slice group, everything else left out."""
    bits = _golomb(0) * 2 + "00" + _golomb(0) * 3 + "000" + _golomb(0) * 3 + "000"
    return b"\x68" + _pack(bits)


def _picture() -> bytes:
    """H.264, 7.3.3: the one slice of a picture that stands alone."""
    header = _golomb(0) + _golomb(7) + _golomb(0) + "0000" + _golomb(0) + "00" + _golomb(0)
    return b"\x65" + _pack(header + _GREY_MACROBLOCK * (_COLUMNS * _ROWS))


def _golomb(number: int) -> str:
    """The bits of an unsigned Exp-Golomb code (H.264, 9.1); 0 is the same when signed."""
    digits = f"{number + 1:b}"
    return "0" * (len(digits) - 1) + digits


def _pack(bits: str) -> bytes:
    """Bits closed by the stop bit and filled up to whole bytes."""
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", len(content) + 8, kind) + content


def _full(kind: bytes, flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack(">I", flags), *parts)


def _descriptor(tag: int, content: bytes) -> bytes:
    """ISO/IEC 14496-1, 8.3.3; all of ours are shorter than 128 bytes."""
    return bytes((tag, len(content))) + content
