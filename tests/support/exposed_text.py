"""Collects all text that running services log, store, publish or return, so that tests can search it."""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from aiokafka import AIOKafkaConsumer

from common.broker import TOPICS
from common.database.pool import DbSession
from common.settings import KafkaSettings
from tests.support.console_browser import Person
from tests.support.stack import Service

MOST_OF_A_KIND = 30
"""Rows whose pages and answers are asked for, of each table."""
_MOST_PAGES = 500
_PARAMETER = re.compile(r"\{(\w+)\}")
_TABLES = {
    "automation_id": "automation",
    "backfill_id": "backfill",
    "connection_id": "connection",
    "delivery_id": "delivery",
    "destination_id": "destination",
    "job_id": "automation WHERE type = 'recording_sync'",
    "key_id": "api_key",
    "recording_id": "recording",
    "run_id": "automation_run",
    "source_id": "recording_source",
    "template_id": "recording_template",
    "user_id": "user_account",
}
ENDLESS = "/api/events"
"""The live feed, a response that does not end."""

Places = list[tuple[str, str | bytes]]
"""What was found where."""


@dataclass
class ResponseLog:
    """Records every response of a client with its headers, but not the requests."""

    answers: Places = field(default_factory=list)
    answered: set[tuple[str, str]] = field(default_factory=set)

    async def note(self, answer: httpx.Response) -> None:
        """An event hook of httpx."""
        request = answer.request
        if request.url.path == ENDLESS:
            return
        await answer.aread()
        headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
        self.answers.append((f"{request.method} {request.url.path}", f"{headers}\n\n{answer.text}"))

    @asynccontextmanager
    async def client(self, origin: str, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
        """A client whose responses are all recorded."""
        async with httpx.AsyncClient(
            base_url=origin,
            headers=headers,
            event_hooks={"response": [self.note]},
            timeout=60,
            trust_env=False,
        ) as client:
            yield client


def logs(services: Iterable[Service]) -> Places:
    """What processes wrote."""
    return [(f"the log of {service.name}", service.log) for service in services]


async def rows(db: DbSession) -> dict[str, Places]:
    """Every row of every table, bytes and compressed bytes included."""
    tables = await db.fetch(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name"
    )
    found: dict[str, Places] = {}
    for (table,) in map(tuple, tables):
        places: Places = []
        for row in await db.fetch(f'SELECT to_jsonb(t)::text AS document, t.* FROM "{table}" t'):
            places.append((f"a row of {table}", row["document"]))
            places += [
                (f"{table}.{name}", content)
                for name, value in row.items()
                if isinstance(value, bytes)
                for content in (value, _inflated(value))
            ]
        found[table] = places
    return found


def _inflated(value: bytes) -> bytes:
    try:
        return zlib.decompress(value, wbits=47)
    except zlib.error:
        return b""


async def records(settings: KafkaSettings) -> dict[str, Places]:
    """Every record of every topic, dead letters included: key, headers and value."""
    names = [settings.kafka_topic_prefix + topic.name for topic in TOPICS]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers, group_id=None, auto_offset_reset="earliest"
    )
    found: dict[str, Places] = {name.removeprefix(settings.kafka_topic_prefix): [] for name in names}
    consumer.subscribe(names)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        behind = {partition for partition, end in ends.items() if end}
        while behind:
            for partition, batch in (await consumer.getmany(timeout_ms=200)).items():
                topic = partition.topic.removeprefix(settings.kafka_topic_prefix)
                for record in batch:
                    headers = b"\n".join(name.encode() + b": " + value for name, value in record.headers)
                    content = b"\n".join((record.key or b"", headers, record.value or b""))
                    found[topic].append((f"a record of {topic}", content))
            behind = {each for each in behind if await consumer.position(each) < ends[each]}
    finally:
        await consumer.stop()
    return found


async def answers(clients: Iterable[httpx.AsyncClient], db: DbSession) -> Mapping[str, Mapping[int, int]]:
    """Ask everything the API's own description says can be asked, for everything there is, as each client.

    Answers how often each operation answered with which status. What it answered is in the notebooks.
    """
    outcomes: dict[str, dict[int, int]] = {}
    operations_of: Mapping[str, Any] = {}
    for client in clients:
        if not operations_of:
            operations_of = (await client.get("/openapi.json")).raise_for_status().json()["paths"]
        for path, operations in operations_of.items():
            if "get" not in operations or path == ENDLESS:
                continue
            counts = outcomes.setdefault(path, {})
            for address in await _addresses(client, db, path):
                status = (await client.get(address)).status_code
                counts[status] = counts.get(status, 0) + 1
    return outcomes


async def _addresses(client: httpx.AsyncClient, db: DbSession, path: str) -> list[str]:
    match = _PARAMETER.search(path)
    if match is None:
        return [path]
    collection = path[: match.start()].rstrip("/")
    if collection == "/api/automation-templates":
        ids = [item["id"] for item in _items((await client.get(collection)).json())]
    else:
        tenant = (await client.get("/api/tenant")).raise_for_status().json()["id"]
        table, _, condition = _TABLES[match[1]].partition(" WHERE ")
        ids = [
            str(row["id"])
            for row in await db.fetch(
                f"SELECT id FROM {table} WHERE {condition or 'true'} AND tenant_id = $1"
                f" ORDER BY id DESC LIMIT {MOST_OF_A_KIND}",
                tenant,
            )
        ]
    return [path.replace(match[0], each) for each in ids]


def _items(answer: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = answer["items"] if isinstance(answer, dict) else answer
    return items


async def pages(person: Person) -> set[str]:
    """Open every page of the console that a link leads to; answers their paths."""
    waiting, seen = ["/"], {"/"}
    while waiting and len(seen) < _MOST_PAGES:
        page = await person.open(waiting.pop())
        for link in page.links:
            parts = urlsplit(urljoin(person.path, link))
            address = parts._replace(fragment="").geturl()
            if not parts.netloc and parts.path.startswith("/") and address not in seen:
                seen.add(address)
                waiting.append(address)
    return {urlsplit(address).path for address in seen}
