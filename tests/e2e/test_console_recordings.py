"""The pages of recordings in a browser: rules tried while they are written, and room on a phone."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import (
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    ViewportSize,
    async_playwright,
    expect,
)

from platforms.zoom import ZOOM_USER
from tests.factories import Team, World
from tests.support import recordings
from tests.support.stack import Stack

CHROMIUM = shutil.which("chromium")
PHONE = ViewportSize(width=390, height=844)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"),
]


@pytest.fixture
async def world(stack: Stack) -> AsyncIterator[World]:
    opened = await World.open(stack.environment["DATABASE_URL"], stack.environment["ENCRYPTION_KEYS"])
    yield opened
    await opened.sql.close()


@pytest.fixture
async def team(world: World) -> Team:
    return await world.team()


@pytest.fixture
async def context() -> AsyncIterator[BrowserContext]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield await browser.new_context(viewport={"width": 1280, "height": 900})
        await browser.close()


@pytest.fixture
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    """A page that must not log an error."""
    complaints: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    def failed(error: Error) -> None:
        complaints.append(str(error))

    opened = await context.new_page()
    opened.set_default_timeout(20_000)
    opened.on("console", said)
    opened.on("pageerror", failed)
    yield opened
    assert complaints == []


async def test_matching_rules_are_previewed_while_typing(
    stack: Stack, world: World, team: Team, page: Page
) -> None:
    zoom = await world.connection(team, ZOOM_USER, "sandbox-zoom-1", name="Dana's Zoom")
    source = await recordings.source(world, team, zoom)
    for topic in ("Course 101: live lesson", "Guest lecture", "Stand-up"):
        await recordings.recording(world, team, source, topic=topic)
    await stack.start("api", DEMO_API_KEY=team.api_key)
    url = stack["api"].url
    await page.goto(url)
    await page.get_by_role("button", name="Open the demo").click()
    await page.get_by_role("link", name="Recordings", exact=True).click()
    await page.get_by_role("link", name="Templates", exact=True).click()
    await page.get_by_role("link", name="New template").first.click()

    preview = page.locator("#preview")
    await expect(preview).to_contain_text("as soon as there is a rule")
    await page.get_by_label("Words in the topic").fill("lecture")
    await expect(preview).to_contain_text("1 of the last 3 recordings")
    await page.get_by_label("Patterns").fill("^Course (")
    await expect(preview).to_contain_text("not a regular expression")
    await page.get_by_label("Patterns").fill("^Course \\d+:")
    await expect(preview).to_contain_text("2 of the last 3 recordings")
    await expect(preview.locator(".matched")).to_have_count(2)
    await page.get_by_role("textbox", name="Name", exact=True).fill("Lectures")
    await page.get_by_role("button", name="Create template").click()
    await expect(page.get_by_role("status")).to_contain_text("Lectures is template 1")

    await page.set_viewport_size(PHONE)
    for path in ("", "/templates", "/templates/new", "/sources", f"/sources/{source}"):
        await page.goto(f"{url}/recordings{path}")
        wider = await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wider == 0, path


async def test_processing_is_followed_without_reloading(
    stack: Stack, world: World, team: Team, page: Page
) -> None:
    zoom = await world.connection(team, ZOOM_USER, "sandbox-zoom-1")
    source = await recordings.source(world, team, zoom)
    recording = await recordings.recording(world, team, source, topic="Guest lecture")
    await stack.start("api", DEMO_API_KEY=team.api_key)
    await page.goto(stack["api"].url)
    await page.get_by_role("button", name="Open the demo").click()
    await page.goto(f"{stack['api'].url}/recordings/{recording}")

    await page.get_by_role("button", name="Process", exact=True).click()
    way = page.locator("ol.way")
    await expect(way.locator("li.current")).to_contain_text("Downloading")
    await world.sql.execute(
        "UPDATE recording SET status = 'UPLOADED', available_at = NULL, completed_at = now()"
    )

    await expect(way.locator("li.done")).to_have_count(5)
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Uploaded")
