"""The console in a browser, on running services, at desktop and phone size."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from carillon.services import SANDBOX_APPS
from tests.factories import Team, World
from tests.support.history import add_delivery, add_run, add_skip
from tests.support.stack import Service, Stack

CHROMIUM = shutil.which("chromium")
HOOK = "console"
SHOWN_WITHIN = 20_000
"""Milliseconds."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"),
]

SCREEN = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
Open = Callable[..., Coroutine[Any, Any, Page]]


@pytest.fixture
async def world(stack: Stack) -> AsyncIterator[World]:
    opened = await World.open(stack.environment["DATABASE_URL"], stack.environment["ENCRYPTION_KEYS"])
    yield opened
    await opened.sql.close()


@pytest.fixture
async def team(world: World) -> Team:
    return await world.team()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield started
        await started.close()


@pytest.fixture
async def open_page(browser: Browser) -> AsyncIterator[Open]:
    """Opens pages that must not log an error: a refused script, a broken link, an exception.

    `but` is the one a test expects.
    """
    complaints: list[str] = []
    contexts: list[BrowserContext] = []

    async def opened(*, but: str | None = None, **options: Any) -> Page:
        context = await browser.new_context(**{"viewport": SCREEN, **options})
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(SHOWN_WITHIN)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: (
                complaints.append(said.text)
                if said.type == "error" and not (but and but in said.text)
                else None
            ),
        )
        return page

    yield opened
    for context in contexts:
        await context.close()
    assert complaints == []


async def serve(stack: Stack, team: Team, *kinds: str) -> Service:
    """Start the API with the team as its demo, and the other services."""
    await stack.start("api", *kinds, DEMO_API_KEY=team.api_key)
    return stack["api"]


async def enter(page: Page, api: Service) -> None:
    await page.goto(api.url)
    await page.get_by_role("button", name="Open the demo").click()
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()


async def test_an_automation_is_created_run_and_followed_live_to_its_delivery(
    stack: Stack, sandbox_server: Service, world: World, team: Team, open_page: Open
) -> None:
    await world.facebook(team, f"sandbox-fb-{HOOK}")
    async with httpx.AsyncClient(base_url=sandbox_server.url) as client:
        await client.put(f"/_sandbox/hooks/{HOOK}", json={})
    api = await serve(stack, team, "scheduler", "executor", "notifier")
    page = await open_page(timezone_id="Europe/Berlin")
    await enter(page, api)

    await page.get_by_role("link", name="Destinations", exact=True).click()
    await page.get_by_role("link", name="New destination").first.click()
    await page.get_by_role("link", name="Webhook").click()
    await page.get_by_label("Name").fill("Warehouse")
    await page.get_by_label("Address").fill(f"{sandbox_server.url}/hooks/{HOOK}")
    await page.get_by_role("button", name="Create destination").click()
    await expect(page.locator("#secret")).to_have_text(re.compile(r"^whsec_"))

    await page.goto(f"{api.url}/automations/new")
    ahead = page.locator("#look-ahead")
    await expect(ahead).to_contain_text("Every day at 09:00 (Europe/Berlin)")
    await page.get_by_text("Some weekdays").click()
    await page.get_by_label("At", exact=True).fill("07:30")
    await expect(ahead).to_contain_text("Every Monday to Friday at 07:30 (Europe/Berlin)")
    await expect(ahead.locator("li")).to_have_count(5)
    await page.get_by_label("Name").fill("Morning numbers")
    await page.get_by_label("Deliver to").select_option(label="Warehouse (Webhook)")
    await page.get_by_label("Facebook").check()
    await page.get_by_role("button", name="Create automation").click()
    await expect(page.get_by_role("status")).to_contain_text("Morning numbers is set up")

    watching = await page.context.new_page()
    await watching.goto(api.url)
    await expect(watching.locator("[data-feed-state]")).to_have_text("live")

    await page.get_by_role("button", name="Run now").click()
    # Neither page is reloaded by hand from here on.
    way = page.locator("ol.way")
    await expect(way.locator("li.done")).to_have_count(4)
    await expect(way).to_contain_text("Delivered")
    await expect(page.locator(".message")).to_contain_text("Morning numbers")
    feed = watching.locator("#feed")
    await expect(feed).to_contain_text("Morning numbers started")
    await expect(feed).to_contain_text("Morning numbers completed")
    await expect(feed).to_contain_text("Warehouse got a delivery")
    await expect(watching.locator("#figures")).to_contain_text("1 completed")


async def test_the_link_in_a_notice_opens_a_page_whose_first_button_resumes(
    stack: Stack, world: World, team: Team, open_page: Open
) -> None:
    (automation,) = await world.automations(team, await world.telegram(team))
    await world.sql.execute("UPDATE automation SET status = 'error', status_reason = 'failed 5 times'")
    api = await serve(stack, team)
    page = await open_page()
    await enter(page, api)
    link = f"{api.url}/automations/{automation}"
    chat = f'<a href="{link}">Look and resume</a>'
    await page.route(
        "https://chat.example/", lambda route: route.fulfill(body=chat, content_type="text/html")
    )
    await page.goto("https://chat.example/")
    await page.get_by_text("Look and resume").click()
    await expect(page).to_have_url(link)
    first = page.locator("main button").first
    await expect(first).to_have_text("Resume")
    await first.click()
    await expect(page.get_by_role("status")).to_contain_text("is active again")


async def test_everything_works_without_scripts(
    stack: Stack, world: World, team: Team, open_page: Open
) -> None:
    (automation,) = await world.automations(team, await world.telegram(team))
    api = await serve(stack, team)
    page = await open_page(java_script_enabled=False)
    await enter(page, api)
    await page.goto(f"{api.url}/automations")
    await page.get_by_role("button", name="Pause").click()
    await expect(page.get_by_role("status")).to_contain_text("is paused")
    await page.goto(f"{api.url}/automations/new")
    await page.get_by_text("Every so often").click()
    await page.get_by_label("Every", exact=True).fill("90")
    await page.get_by_role("button", name="Show the next runs").click()
    await expect(page.locator("#look-ahead")).to_contain_text("Every 1 hour 30 minutes")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Your automations, on time.")).to_be_visible()
    assert (await world.row("automation", automation))["status"] == "paused"


CONTRAST = (Path(__file__).parents[1] / "support" / "contrast.js").read_text()
"""Lists the texts of a page that are hard to read."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [SCREEN, PHONE], ids=["screen", "phone"])
async def test_every_page_fits_its_screen_with_readable_contrast(
    stack: Stack, world: World, team: Team, open_page: Open, size: dict[str, int], scheme: str
) -> None:
    long = "A name as long as people write them, with-a-word-that-does-not-end-" + "x" * 60
    chat = await world.telegram(team)
    stopped, paused, active = await world.automations(team, chat, 3)
    await world.sql.execute("UPDATE automation SET name = $1", long)
    await world.sql.execute(
        "UPDATE automation SET status = 'error', status_reason = $2 WHERE id = $1", stopped, long
    )
    await world.sql.execute("UPDATE automation SET status = 'paused' WHERE id = $1", paused)
    run = await add_run(
        world,
        team,
        active,
        status="failed",
        attempts=3,
        error=long,
        logs=[{"at": "2026-01-01T00:00:00+00:00", "level": "error", "event": long, "wide": "y" * 300}],
        result={"wide": "z" * 300},
    )
    await add_run(world, team, active, slot=datetime.now(UTC) - timedelta(hours=3))
    delivery = await add_delivery(world, team, chat, run, status="failed", error=long)
    await add_skip(world, active, first=datetime.now(UTC) - timedelta(hours=1), slots=3)
    connection = await world.facebook(team)
    await world.sql.execute("UPDATE connection SET status = 'reauth_required', status_reason = $1", long)
    api = await serve(stack, team)
    page = await open_page(
        viewport=size, color_scheme=scheme, reduced_motion="reduce", is_mobile=size is PHONE
    )
    await page.goto(f"{api.url}/sign-in")
    assert await page.evaluate(CONTRAST) == []
    await enter(page, api)
    paths = [
        *(
            "/",
            "/automations",
            f"/automations/{active}?tab=why",
            f"/automations/{stopped}",
            f"/runs/{run}",
            "/runs",
        ),
        *("/automations/new", f"/automations/{active}/edit", "/destinations", f"/destinations/{chat}"),
        *(
            "/destinations/new",
            f"/deliveries/{delivery}",
            "/connections",
            f"/connections/{connection}",
            f"/connections/{connection}/edit",
            "/connections/new?kind=zoom_server",
            "/docs",
        ),
    ]
    for path in paths:
        await page.goto(f"{api.url}{path}")
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
        assert await page.evaluate(CONTRAST) == [], path


async def test_an_account_is_connected_and_reconnected_by_oauth(
    stack: Stack, world: World, team: Team, open_page: Open
) -> None:
    await stack.start("api", DEMO_API_KEY=team.api_key, **SANDBOX_APPS)
    api = stack["api"]
    page = await open_page()
    await enter(page, api)
    await page.get_by_role("link", name="Connections").click()

    async def connect(button: str, decision: str) -> None:
        await page.get_by_role("button", name=button, exact=True).first.click()
        await page.wait_for_url(re.compile(r"/dialog/oauth"))
        await page.locator(f"button[value={decision}]").click()
        await page.wait_for_url(re.compile(rf"^{re.escape(api.url)}/connections"))

    await connect("Connect Facebook", "deny")
    await expect(page.get_by_role("status")).to_have_text(re.compile("You did not agree on Facebook"))
    await connect("Connect Facebook", "allow")
    await expect(page.get_by_role("status")).to_have_text(
        re.compile(r"is connected\. It reaches \d+ ad accounts, \d+ pages\.")
    )
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Healthy")
    await expect(page.get_by_text("Europe/Berlin").first).to_be_visible()

    await world.sql.execute(
        "UPDATE connection SET status = 'reauth_required', status_reason = 'the password was changed'"
    )
    await page.get_by_role("link", name="Connections").first.click()
    await expect(page.get_by_text("The password was changed.")).to_be_visible()
    await connect("Connect again", "allow")
    await expect(page.get_by_role("status")).to_have_text(re.compile("is connected again"))
    await page.get_by_role("button", name="Check now").click()
    await expect(page.get_by_role("status")).to_have_text(re.compile("It works"))
    assert await world.sql.fetchval("SELECT array_agg(token_version) FROM connection") == [2]
    # The way back must not lead to the platform's page once more.
    await page.go_back()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Healthy")


async def test_keyboard_focus_reaches_the_content_and_is_visible(
    stack: Stack, team: Team, open_page: Open
) -> None:
    api = await serve(stack, team)
    page = await open_page()
    await enter(page, api)
    await page.goto(f"{api.url}/automations")
    await page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    await expect(skip).to_be_focused()
    await expect(skip).to_be_in_viewport()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    await page.keyboard.press("Tab")
    focused = page.locator(":focus")
    await expect(focused).to_have_text("Templates")
    assert await focused.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"


async def test_an_expired_session_leads_to_the_sign_in_page(
    stack: Stack, world: World, team: Team, open_page: Open
) -> None:
    api = await serve(stack, team)
    page = await open_page(but="401 (Unauthorized)")
    await enter(page, api)
    # From here on the page is live, and refreshes when it becomes visible again.
    await expect(page.locator("[data-feed-state]")).to_have_text("live")
    await world.sql.execute("DELETE FROM api_key")
    async with asyncio.timeout(SHOWN_WITHIN / 1000):
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await page.wait_for_url(re.compile(r"/sign-in"))
