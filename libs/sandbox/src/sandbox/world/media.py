"""Files of any size that are made as they are read."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

from sandbox.world.isobmff import film, free_space, sound

_CHUNK = 64 * 1024
_FILLING = b"".join(blake2b(bytes((n,)), digest_size=64).digest() for n in range(128)) * (_CHUNK // 8192)
_BOX_HEAD = 8
_STAMP = 32


@dataclass(frozen=True, slots=True)
class Media:
    """``opening`` and then filling up to ``size`` bytes, which are never all in memory."""

    opening: bytes
    size: int

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``stop``, in pieces of at most 64 KiB."""
        stop = self.size if stop is None else min(stop, self.size)
        head = self.opening[start:stop]
        for at in range(0, len(head), _CHUNK):
            yield head[at : at + _CHUNK]
        start = max(start, len(self.opening))
        while start < stop:
            within = (start - len(self.opening)) % _CHUNK
            piece = _FILLING[within : within + stop - start]
            yield piece
            start += len(piece)


EMPTY = Media(b"", 0)


def text(content: str) -> Media:
    """A text file."""
    raw = content.encode()
    return Media(raw, len(raw))


def video(name: str, size: int) -> Media:
    """An MP4 file of about ``size`` bytes that no other ``name`` makes."""
    return _padded(film(), name, size)


def audio(name: str, size: int) -> Media:
    """An M4A file of about ``size`` bytes that no other ``name`` makes."""
    return _padded(sound(), name, size)


def _padded(whole: bytes, name: str, size: int) -> Media:
    """Never smaller than a playable file with its stamp in a box that players skip."""
    size = max(size, len(whole) + _BOX_HEAD + _STAMP)
    stamp = blake2b(name.encode(), digest_size=_STAMP).digest()
    return Media(whole + free_space(stamp, size - len(whole)), size)
