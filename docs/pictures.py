"""Take the README's pictures of the console: `.venv/bin/python docs/pictures.py`, about three minutes.

Starts the stack with the demo team on ports of its own, lets it work, and photographs the overview and one
run with a headless Chromium.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from playwright.async_api import Page, ViewportSize, async_playwright, expect

from carillon.client import Api
from carillon.plan import Options
from carillon.seed import plant
from carillon.stack import Stack, running
from carillon.state import StateFolder

PICTURES = Path(__file__).parent / "pictures"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",  # only pages of our own are opened
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_SIZE = ViewportSize(width=1200, height=730)
_ROUNDS = 4
_PATIENCE = 180_000
"""Milliseconds for the demo's automations to have run."""


async def take(folder: Path) -> None:
    """Write `overview.png` and `run.png` into a folder."""
    with tempfile.TemporaryDirectory(prefix="carillon-pictures-") as scratch:
        options = Options(StateFolder(Path(scratch)), port=None)
        async with running(options, report=lambda incident: None, progress=print) as stack:
            run_id = await _work(stack)
            async with _page(stack) as page:
                await _photograph_run(page, f"{stack.plan.api_origin}/runs/{run_id}", folder / "run.png")
                await _photograph_overview(page, folder / "overview.png")


async def _work(stack: Stack) -> str:
    """Plant the demo's data and run its automations a few times; the id of a scheduled run."""
    async with Api.connected(stack.plan.api_origin, stack.secrets.api_key) as api:
        seeds = await plant(
            api,
            sandbox_origin=stack.plan.sandbox_origin,
            webhook_secret=stack.secrets.webhook_secret,
            now=datetime.now(UTC),
        )
        automations = await api.everything("automations")
        for _ in range(_ROUNDS):
            for automation in automations:
                await api.run_automation(automation["id"])
                await asyncio.sleep(1)
        scheduled = [run for run in await api.runs_of(seeds.to_chat) if run["trigger"] == "schedule"]
        return str(scheduled[0]["id"])


@asynccontextmanager
async def _page(stack: Stack) -> AsyncIterator[Page]:
    """A page of the console, signed in as the demo team."""
    chromium = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if chromium is None:
        raise SystemExit("needs Chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        page = await browser.new_page(viewport=_SIZE, timezone_id="UTC", locale="en-GB")
        page.set_default_timeout(_PATIENCE)
        await page.goto(stack.plan.api_origin)
        await page.get_by_role("button", name="Open the demo").click()
        await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        yield page
        await browser.close()


async def _photograph_run(page: Page, url: str, path: Path) -> None:
    """A run that has come from its slot to its delivery."""
    await page.goto(url)
    await expect(page.locator("ol.way li.done")).to_have_count(5, timeout=_PATIENCE)
    await page.screenshot(path=path)


async def _photograph_overview(page: Page, path: Path) -> None:
    """The overview, with its live feed connected and a few runs in it."""
    await page.get_by_role("link", name="Overview").click()
    await expect(page.locator("[data-feed-state]")).to_have_text("live")
    await expect(page.locator("#feed")).to_contain_text(re.compile("Lectures"), timeout=_PATIENCE)
    await page.screenshot(path=path)


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES))
