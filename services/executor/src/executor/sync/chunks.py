"""Rows cut into chunks of bounded size, kept compressed until they are needed."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one chunk may hold, in rows and in bytes of JSON."""

    rows: int
    bytes: int


WEBHOOK = Limits(rows=500, bytes=255 * 1024)
"""With its envelope a request stays under 256 KiB."""
DATABASE = Limits(rows=1_000, bytes=1024 * 1024)


@dataclass(frozen=True, slots=True)
class Chunk:
    """`accounts` and `rows` as compressed JSON. An account is named once, in the chunk its rows begin in; one
    without rows is named too."""

    rows: int
    body: bytes

    def read(self) -> dict[str, Any]:
        """`{"accounts": […], "rows": […]}`."""
        read: dict[str, Any] = json.loads(self.text())
        return read

    def text(self) -> str:
        """The JSON."""
        return zlib.decompress(self.body).decode()


def encoded(document: Mapping[str, Any]) -> str:
    """The same JSON for the same document, whenever it is made."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


@dataclass(frozen=True, slots=True)
class AccountRows:
    """One account and its rows, kept compressed: a first sync reads a year of many accounts."""

    account: Row
    count: int
    body: bytes

    def rows(self) -> Iterator[str]:
        """Each row as JSON. No row has a line break: JSON escapes them."""
        yield from zlib.decompress(self.body).decode().split("\n")[:-1]


class Packer:
    """Packs an account's rows as they come."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj()
        self._packed: list[bytes] = []
        self._count = 0

    def add(self, rows: Iterable[Row]) -> None:
        """More of them."""
        for row in rows:
            self._packed.append(self._compressor.compress(encoded(row).encode() + b"\n"))
            self._count += 1

    def packed(self, account: Row) -> AccountRows:
        """All of them, the rows of `account`. Nothing can be added any more."""
        self._packed.append(self._compressor.flush())
        return AccountRows(account, self._count, b"".join(self._packed))


def cut(accounts: Iterable[AccountRows], limits: Limits) -> Iterator[Chunk]:
    """The accounts' rows in chunks, in the order given; the same chunks for the same rows."""
    heads: list[str] = []
    rows: list[str] = []
    size = 0
    for account in accounts:
        head = encoded(account.account)
        if (heads or rows) and size + _size(head) > limits.bytes:
            yield _chunk(heads, rows)
            heads, rows, size = [], [], 0
        heads.append(head)
        size += _size(head)
        for row in account.rows():
            if rows and (len(rows) == limits.rows or size + _size(row) > limits.bytes):
                yield _chunk(heads, rows)
                heads, rows, size = [], [], 0
            rows.append(row)
            size += _size(row)
    if heads or rows:
        yield _chunk(heads, rows)


def _size(text: str) -> int:
    return len(text.encode()) + 1  # and the comma


def _chunk(accounts: list[str], rows: list[str]) -> Chunk:
    text = f'{{"accounts":[{",".join(accounts)}],"rows":[{",".join(rows)}]}}'
    return Chunk(len(rows), zlib.compress(text.encode()))
