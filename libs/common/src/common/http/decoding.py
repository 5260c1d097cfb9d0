"""Decompressing answers within limits.

httpx decompresses every piece it reads at once and whole: 64 kB of gzip become 64 MB before these can be
counted. Here a piece is decompressed a little at a time, and what was decompressed is counted.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

ACCEPTED = "gzip, deflate"
"""What is asked for, as `Accept-Encoding`; nothing else is decoded, whatever is installed."""

_WINDOW_BITS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_PIECE = 65_536


class Decoder:
    """Decompresses one body. Raises zlib.error for what cannot be."""

    def __init__(self, coding: str) -> None:
        self._zlib = zlib.decompressobj(_WINDOW_BITS[coding])
        self._may_be_raw = coding == "deflate"

    @classmethod
    def for_coding(cls, coding: str) -> Decoder | None:
        """The decoder for a `Content-Encoding`; None for those that are left as they are."""
        name = coding.strip().lower()
        return cls(name) if name in _WINDOW_BITS else None

    def decode(self, data: bytes) -> Iterator[bytes]:
        """What `data` decompresses to, in pieces of a bounded size."""
        while not self._zlib.eof:
            piece = self._decompress(data)
            data = self._zlib.unconsumed_tail
            if piece:
                yield piece
            if not data and len(piece) < _PIECE:
                return

    def _decompress(self, data: bytes) -> bytes:
        try:
            piece = self._zlib.decompress(data, _PIECE)
        except zlib.error:
            # RFC 9110 means zlib's format by deflate; some servers send it without zlib's header.
            if not self._may_be_raw:
                raise
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
            piece = self._zlib.decompress(data, _PIECE)
        self._may_be_raw = False
        return piece
