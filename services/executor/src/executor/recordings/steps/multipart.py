"""A form with one file (`multipart/form-data`, RFC 7578), sent while the file is read."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FileForm:
    """Its length is known before it is sent, as receivers that limit it want. Names are ours, and plain ASCII
    without quotes."""

    fields: Mapping[str, str]
    file_field: str
    file_name: str
    file_type: str
    file_bytes: int
    boundary: str = field(default_factory=lambda: f"carillon-{secrets.token_hex(16)}")

    @property
    def content_type(self) -> str:
        """The value of the header."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def length(self) -> int:
        """Bytes of the whole form."""
        return len(self._head) + self.file_bytes + len(self._tail)

    async def stream(self, file: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """The form, with the file's pieces as they come."""
        yield self._head
        async for piece in file:
            yield piece
        yield self._tail

    @property
    def _head(self) -> bytes:
        parts = [
            f'--{self.boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in self.fields.items()
        ]
        parts.append(
            f'--{self.boundary}\r\nContent-Disposition: form-data; name="{self.file_field}"; '
            f'filename="{self.file_name}"\r\nContent-Type: {self.file_type}\r\n\r\n'
        )
        return "".join(parts).encode()

    @property
    def _tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()
