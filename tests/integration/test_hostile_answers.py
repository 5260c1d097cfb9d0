"""Servers that answer without an end: what they send is cut off, and memory stays as it was.

Real servers on loopback, because a limit that holds in a double proves nothing about what the libraries
below it collect before they ask.
"""

from __future__ import annotations

import asyncio
import gzip
import struct
import tracemalloc
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address

import asyncpg
import httpx
import pytest

from common.http import Address, AddressGuard, ResponseTooLarge, create_client
from common.http.client import DEFAULT_MAX_BODY, MAX_RATIO, TooCompressed
from executor.sync.postgresql.address import DatabaseAddress, Tls
from executor.sync.postgresql.connecting import connected
from executor.sync.postgresql.failures import FAILURES, failure
from executor.sync.postgresql.limits import MAX_BYTES, MAX_MESSAGE, AnswerTooLarge
from tests.support.hostile_servers import (
    MEGABYTE,
    WELCOME,
    Talk,
    answering,
    compressed,
    huge_row,
    message,
    pour,
    serving,
    started,
)


@contextmanager
def memory(most: int) -> Iterator[None]:
    """Fails when what Python allocates within exceeds `most` bytes."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < most, f"{peak / MEGABYTE:.1f} MB"


async def get(port: int, **kwargs: bytes) -> httpx.Response:
    async with create_client(
        allowed_hosts=[f"127.0.0.1:{port}"], receiver_hosts=[f"127.0.0.1:{port}"]
    ) as http:
        return await http.get(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    ("coding", "bits"),
    [("gzip", zlib.MAX_WBITS | 16), ("deflate", zlib.MAX_WBITS), ("deflate", -zlib.MAX_WBITS)],
    ids=["gzip", "deflate", "raw deflate"],
)
async def test_a_bomb_is_not_unpacked(coding: str, bits: int) -> None:
    bomb = compressed(150 * MEGABYTE, bits)
    assert len(bomb) < 160_000
    async with serving(answering(bomb, coding)) as port:
        with memory(most=24 * MEGABYTE), pytest.raises(TooCompressed):
            await get(port)


async def test_an_answer_may_decompress_to_no_more_than_the_limit() -> None:
    half = bytes(range(256)) * 2_048  # 512 kB
    body = gzip.compress(half * 80, compresslevel=1)
    assert len(half) * 80 > DEFAULT_MAX_BODY
    body += b"\0" * max(0, 2 * DEFAULT_MAX_BODY // MAX_RATIO - len(body))
    async with serving(answering(body, "gzip")) as port:
        with memory(most=3 * DEFAULT_MAX_BODY), pytest.raises(ResponseTooLarge):
            await get(port)


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "zstd", "GZIP,GZIP"])
async def test_codings_that_nobody_asked_for_are_left_as_they_are(coding: str) -> None:
    body = gzip.compress(compressed(20 * MEGABYTE))
    async with serving(answering(body, coding)) as port:
        with memory(most=8 * MEGABYTE):
            assert (await get(port)).content == body


@pytest.mark.parametrize("coding", ["gzip", "X-GZIP", "deflate"])
async def test_an_honest_answer_is_decompressed(coding: str) -> None:
    text = b'{"spend": "12.34", "clicks": 56}' * 10_000
    body = zlib.compress(text) if coding == "deflate" else gzip.compress(text)
    async with serving(answering(body, coding)) as port:
        answer = await get(port)
    assert answer.content == text
    assert "content-encoding" not in answer.headers


async def test_what_cannot_be_decompressed_is_an_error_of_httpx() -> None:
    async with serving(answering(b"no gzip at all", "gzip")) as port:
        with pytest.raises(httpx.DecodingError):
            await get(port)


async def huge_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The first message is of 1 GiB."""
    await started(reader)
    writer.write(message(b"R", announced=1024 * MEGABYTE - 8))
    await pour(writer, bytes(MEGABYTE), 1024)


async def many_notices(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the first statement with messages of a moderate size, without an end."""
    await started(reader)
    writer.write(WELCOME)
    await reader.readexactly(1)
    await pour(writer, message(b"N", b"SNOTICE\0M" + b"x" * (MAX_MESSAGE // 2) + b"\0\0"), 2_000)


async def many_rows(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the first statement with empty rows, without an end."""
    await started(reader)
    writer.write(WELCOME)
    await reader.readexactly(1)
    writer.write(message(b"T", struct.pack("!h", 0)))
    await pour(writer, message(b"D", struct.pack("!h", 0)) * 10_000, 10_000)


async def ask(port: int) -> None:
    async def resolve(_host: str, _port: int) -> Sequence[Address]:
        return [ip_address("127.0.0.1")]

    address = DatabaseAddress("db.example.com", port, "x", "bob", "secret", Tls.DISABLE)
    guard = AddressGuard({f"db.example.com:{port}"}, resolver=resolve)
    async with asyncio.timeout(20), connected(address, guard) as db:
        await db.execute("SELECT 1")


ENDLESS = [huge_at_once, huge_row, many_notices, many_rows]


@pytest.mark.parametrize("talk", ENDLESS, ids=[talk.__name__ for talk in ENDLESS])
async def test_a_database_that_answers_without_an_end_is_cut_off(talk: Talk) -> None:
    async with serving(talk) as port:
        with memory(most=3 * MAX_BYTES), pytest.raises(AnswerTooLarge) as refused:
            await ask(port)
    error = failure(refused.value, connection_id="c")
    assert error.code == "answer_too_large"
    assert error.permanent


@pytest.mark.parametrize("greeting", [b"", b"server_version\0\0", b"server_version\0new\0"])
async def test_a_server_that_is_no_postgresql_is_named_as_such(greeting: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await started(reader)
        said = message(b"S", greeting) if greeting else b""
        writer.write(message(b"R", struct.pack("!i", 0)) + said + message(b"Z", b"I"))
        await reader.read()

    async with serving(talk) as port:
        with pytest.raises(FAILURES) as refused:
            await ask(port)
    error = failure(refused.value, connection_id="c")
    assert (error.code, error.permanent) == ("protocol", True)


async def test_other_connections_have_no_limit(database_url: str) -> None:
    db = await asyncpg.connect(database_url)
    try:
        assert len(await db.fetchval("SELECT repeat('x', $1)", 2 * MAX_MESSAGE)) == 2 * MAX_MESSAGE
    finally:
        await db.close()
