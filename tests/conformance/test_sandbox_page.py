"""The sandbox's page in a real browser."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from playwright.async_api import Page, async_playwright, expect

from sandbox.main import SandboxServer
from sandbox.settings import Settings

BOT = "/bot123456:" + "A" * 35
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]


@pytest.fixture
async def origin() -> AsyncIterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    port: int = listening.getsockname()[1]
    server = SandboxServer(replace(Settings(), port=port))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving
    listening.close()


@pytest.fixture
async def http(origin: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=origin) as client:
        yield client


@pytest.fixture
async def page(origin: str) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = await browser.new_page()
        problems: list[str] = []
        opened.on("pageerror", lambda error: problems.append(str(error)))
        await opened.goto(origin, wait_until="domcontentloaded")
        await expect(opened.get_by_role("status")).to_have_text("live")
        yield opened
        await browser.close()
        assert problems == []


async def test_messages_appear_as_they_arrive_and_stay_harmless(page: Page, http: httpx.AsyncClient) -> None:
    await expect(page.locator("#who")).to_have_text("No messages yet")
    text = '<b>Bold <i>both</i></b> &lt;img src=x onerror="document.title=1"&gt; <a href="https://x.org/a">link</a>'
    await http.post(f"{BOT}/sendMessage", json={"chat_id": -5, "text": text, "parse_mode": "HTML"})
    words = page.locator(".words")
    await expect(words).to_have_text('Bold both <img src=x onerror="document.title=1"> link')
    await expect(words.locator("b i")).to_have_text("both")
    await expect(words.locator("a")).to_have_attribute("rel", "noopener noreferrer")
    await expect(words.locator("img")).to_have_count(0)
    await expect(page).to_have_title("Sandbox")
    given = [{"type": "text_link", "offset": 0, "length": 5, "url": "javascript:alert(1)"}]
    await http.post(f"{BOT}/sendMessage", json={"chat_id": -5, "text": "click", "entities": given})
    await expect(words).to_have_count(2)
    await expect(words.last.locator("a")).to_have_count(0)


async def test_webhooks_show_their_signature_and_calls_their_status(
    page: Page, http: httpx.AsyncClient
) -> None:
    await http.put("/_sandbox/hooks/team", json={"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
    await http.post("/hooks/team", content=b'{"type":"report.completed"}', headers={"webhook-id": "m1"})
    row = page.locator("#hooks details")
    await expect(row).to_contain_text("not signed")
    await row.locator("summary").click()
    await expect(row.locator("pre")).to_contain_text('"type": "report.completed"')
    await http.get("/v26.0/me", params={"access_token": "expired-1"})
    await expect(page.locator("#calls .call")).to_contain_text("400")


async def test_trouble_is_switched_on_and_off_with_buttons(page: Page, http: httpx.AsyncClient) -> None:
    await page.get_by_role("radio", name="Telegram").check()
    await page.get_by_label("How often").select_option("until switched off")
    await page.get_by_role("button", name="Server error").click()
    await expect(page.locator("#active li")).to_contain_text("server error · telegram · until switched off")
    struck = await http.post(f"{BOT}/sendMessage", json={"chat_id": 1, "text": "x"})
    assert struck.status_code == 500
    await page.get_by_role("button", name="Switch off").click()
    await expect(page.locator("#active li")).to_have_count(0)
    assert (await http.post(f"{BOT}/sendMessage", json={"chat_id": 1, "text": "x"})).status_code == 200


async def test_starting_afresh_empties_the_page(page: Page, http: httpx.AsyncClient) -> None:
    await http.post(f"{BOT}/sendMessage", json={"chat_id": 1, "text": "old"})
    await expect(page.locator(".bubble")).to_have_count(1)
    await page.get_by_role("button", name="Start afresh").click()
    await expect(page.locator(".bubble")).to_have_count(0)
    await http.post(f"{BOT}/sendMessage", json={"chat_id": 1, "text": "new"})
    await expect(page.locator(".words")).to_have_text("new")
