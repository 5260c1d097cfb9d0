"""The console shows the chart of a message, and names its files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.messages import Attachment
from tests.factories import Team, World
from tests.support.console_browser import Person
from tests.support.history import add_delivery, add_run
from tests.support.sample_deliveries import PNG, chart, message, table

Client = Callable[[Team | None], httpx.AsyncClient]
ENCLOSED = message(chart=chart(), files=(table(),)).model_dump(mode="json")


@pytest.fixture
async def person(client_of: Client, acme: Team) -> Person:
    somebody = Person(client_of(None))
    await somebody.sign_in(acme)
    return somebody


@pytest.fixture
async def stranger(client_of: Client, globex: Team) -> Person:
    somebody = Person(client_of(None))
    await somebody.sign_in(globex)
    return somebody


@pytest.fixture
async def chat(world: World, acme: Team) -> UUID:
    return await world.telegram(acme)


@pytest.fixture
async def automation(world: World, acme: Team, chat: UUID) -> UUID:
    (made,) = await world.automations(acme, chat)
    return made


async def test_a_delivery_shows_its_chart_and_names_its_files(
    person: Person, stranger: Person, world: World, acme: Team, chat: UUID
) -> None:
    delivery = await add_delivery(world, acme, chat, None, message=ENCLOSED)

    page = await person.open(f"/deliveries/{delivery}")

    assert f'src="/deliveries/{delivery}/chart"' in page.source
    assert "report-2026-11-05.csv" in page.text
    assert ENCLOSED["chart"]["content"] not in page.source
    picture = await person.client.get(f"/deliveries/{delivery}/chart")
    assert (picture.content, picture.headers["content-type"]) == (PNG, "image/png")
    assert picture.headers["x-content-type-options"] == "nosniff"
    assert (await stranger.client.get(f"/deliveries/{delivery}/chart")).status_code == 404


async def test_a_dry_run_shows_the_chart_it_would_have_sent(
    person: Person, stranger: Person, world: World, acme: Team, automation: UUID
) -> None:
    result = {"summary": "1 ad account", "would_deliver": [message().model_dump(mode="json"), ENCLOSED]}
    run = await add_run(world, acme, automation, result=result)
    await world.sql.execute("UPDATE automation_run SET trigger = 'dry_run', scheduled_for = NULL")

    page = await person.open(f"/runs/{run}")

    assert f'src="/runs/{run}/charts/1"' in page.source
    assert f'src="/runs/{run}/charts/0"' not in page.source
    assert ENCLOSED["files"][0]["content"] not in page.source
    assert (await person.client.get(f"/runs/{run}/charts/1")).content == PNG
    for path in ("charts/0", "charts/2"):
        assert (await person.client.get(f"/runs/{run}/{path}")).status_code == 404
    assert (await stranger.client.get(f"/runs/{run}/charts/1")).status_code == 404


@pytest.mark.parametrize(
    "stored",
    [
        None,
        Attachment.of("chart.html", "text/html", b"<script>alert(1)</script>").model_dump(mode="json"),
        Attachment.of("chart.svg", "image/svg+xml", b"<svg onload='alert(1)'/>").model_dump(mode="json"),
        {"filename": "chart.png", "media_type": "image/png"},
    ],
    ids=["none", "a page", "a drawing that acts", "no content"],
)
async def test_only_pictures_are_shown(
    person: Person, world: World, acme: Team, chat: UUID, stored: dict[str, Any] | None
) -> None:
    delivery = await add_delivery(world, acme, chat, None, message=ENCLOSED | {"chart": stored})
    assert (await person.client.get(f"/deliveries/{delivery}/chart")).status_code == 404
