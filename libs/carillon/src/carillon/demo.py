"""`carillon demo`: one scheduled report from its slot to its readers, checked at each step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import httpx
from rich.console import Console

from carillon.client import Api, Document, Sandbox
from carillon.errors import Obstacle
from carillon.plan import Options
from carillon.seed import CHAT_ID, HOOK, Seeds, plant
from carillon.stack import Stack, running
from carillon.supervisor import Change, Incident
from carillon.up import Interruption

_DEADLINE = 75.0
_POLL_SECONDS = 0.1

T = TypeVar("T")


class DemoFailed(Obstacle):
    """Something did not happen as it should have; the message says what."""


class Story:
    """Prints what happened, with the time since the beginning."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = asyncio.get_running_loop().time()

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return asyncio.get_running_loop().time() - self._started

    def tell(self, text: str, *details: str) -> None:
        """A thing that happened."""
        self._print(f"{self.seconds:6.1f} s  ✓ {text}")
        for detail in details:
            self._print(f"            {detail}")

    def note(self, text: str) -> None:
        """A thing that is being done."""
        self._print(f"{self.seconds:6.1f} s    {text}")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


async def demo(options: Options, console: Console) -> None:
    """Tell the story and stop everything. Raises Obstacle with the reason when a part of it is not true."""
    story = Story(console)
    interruption = Interruption()
    deaths: list[Incident] = []

    def report(incident: Incident) -> None:
        if incident.change in (Change.ENDED, Change.FAILED):
            deaths.append(incident)

    try:
        async with running(options, report, story.note) as stack:
            story.tell(f"Carillon runs: {len(stack.pids())} processes, console at {stack.plan.console}")
            await _tell(stack, story)
            if deaths:
                raise DemoFailed(f"{deaths[0].program} {deaths[0].detail}")
    except asyncio.CancelledError:
        if not interruption.happened:
            raise
        raise DemoFailed("interrupted") from None
    finally:
        interruption.forget()
    story.tell("everything has stopped")


async def _tell(stack: Stack, story: Story) -> None:
    origin, key = stack.plan.api_origin, stack.secrets.api_key
    async with Api.connected(origin, key) as api, Sandbox.connected(stack.plan.sandbox_origin) as sandbox:
        seeds = await plant(
            api,
            sandbox_origin=stack.plan.sandbox_origin,
            webhook_secret=stack.secrets.webhook_secret,
            now=datetime.now(UTC),
        )
        story.tell(
            "planted a team with three accounts, two destinations, five automations and a recording job"
        )
        await _follow_reports(stack, api, sandbox, seeds, story)
        await _follow_recordings(api, seeds, story)


async def _follow_reports(stack: Stack, api: Api, sandbox: Sandbox, seeds: Seeds, story: Story) -> None:
    to_chat = await _completed_run(api, seeds.to_chat)
    late = _instant(to_chat["completed_at"]) - _instant(to_chat["scheduled_for"])
    story.tell(
        "a scheduled report ran",
        f"slot {to_chat['scheduled_for']}, completed {late.total_seconds():.2f} s later "
        f"(attempt {to_chat['attempt']}, by {to_chat['attempts'][-1]['worker']})",
    )
    in_chat = await _arrival(sandbox, "telegram", "chat_id", CHAT_ID, which=_words)
    story.tell("the team's Telegram chat received it", *_excerpt(_words(in_chat)))

    to_hook = await _completed_run(api, seeds.to_hook)
    at_hook = await _arrival(sandbox, "webhook", "hook", HOOK)
    if at_hook["signature"] != "valid":
        raise DemoFailed(f"the webhook's signature is {at_hook['signature']}, not valid")
    story.tell("the webhook received its own, and its signature is valid", f"id {at_hook['webhook_id']}")

    for run in (to_chat, to_hook):
        await _recorded_delivery(api, run)
    story.tell("Carillon has recorded both deliveries")
    arrived = trace_of(at_hook)
    if arrived != to_hook["trace_id"]:
        raise DemoFailed(f"the run's trace is {to_hook['trace_id']}, and {arrived} arrived at the webhook")
    await _logged(stack.logs, arrived)
    story.tell("one trace leads from the slot to the webhook, through the services' logs", arrived)


async def _follow_recordings(api: Api, seeds: Seeds, story: Story) -> None:
    async def probe() -> Document | None:
        taken = [each for each in await api.everything("recordings") if each["automation_id"] == seeds.job]
        for recording in taken:
            if recording["status"] == "FAILED":
                raise DemoFailed(f"a recording failed: {recording.get('error_message')}")
        return next((each for each in taken if each["status"] == "UPLOADED"), None)

    recording = await _until(probe, story_is="no recording was processed")
    story.tell(
        "a Zoom recording was found, matched to a template, downloaded, transcribed and stored",
        f"“{recording['topic']}”: {recording['duration_minutes']} min, {recording['total_bytes']:,} bytes",
    )


async def _completed_run(api: Api, automation_id: str) -> Document:
    async def probe() -> Document | None:
        for run in reversed(await api.runs_of(automation_id)):
            if run["trigger"] == "schedule" and run["status"] == "failed":
                raise DemoFailed(f"the run failed: {run.get('error_message')}")
            if run["trigger"] == "schedule" and run["status"] == "completed":
                return await api.run(run["id"])
        return None

    return await _until(probe, story_is="no scheduled run completed")


async def _recorded_delivery(api: Api, run: Document) -> None:
    async def probe() -> bool | None:
        deliveries = (await api.run(run["id"]))["deliveries"]
        done = [delivery["status"] == "delivered" for delivery in deliveries]
        return True if done and all(done) else None

    await _until(probe, story_is="a delivery was not recorded")


async def _logged(logs: Path, trace_id: str) -> None:
    async def probe() -> bool | None:
        return True if _services_that_logged(logs, trace_id) >= {"executor", "notifier"} else None

    await _until(probe, story_is=f"trace {trace_id} was not in the logs of executor and notifier")


async def _arrival(
    sandbox: Sandbox, kind: str, address: str, value: object, *, which: Callable[[Document], object] = bool
) -> Document:
    async def probe() -> Document | None:
        for message in await sandbox.received():
            if message["kind"] == kind and message[address] == value and which(message):
                return message
        return None

    return await _until(probe, story_is=f"nothing arrived at {address} {value}")


async def _until(probe: Callable[[], Awaitable[T | None]], *, story_is: str) -> T:
    """The first value of `probe`; DemoFailed when there is none in time."""
    try:
        async with asyncio.timeout(_DEADLINE):
            while True:
                value = await probe()
                if value is not None:
                    return value
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise DemoFailed(f"{story_is} within {_DEADLINE:g} s") from None
    except httpx.HTTPError as error:
        raise DemoFailed(f"{story_is}: the sandbox did not answer ({error})") from error


def _services_that_logged(logs: Path, text: str) -> set[str]:
    return {log.stem.partition("-")[0] for log in logs.glob("*.log") if text in log.read_text()}


def trace_of(message: Document) -> str:
    """The trace id in a received message's `traceparent` (W3C Trace Context); empty without one."""
    parts = str(message.get("traceparent", "")).split("-")
    return parts[1] if len(parts) == 4 else ""


def _words(message: Document) -> str:
    """What a chat's message says; a picture may say nothing."""
    return str(message.get("caption") or message.get("text") or "")


def _excerpt(text: str, lines: int = 6) -> list[str]:
    return [f"│ {line}" for line in text.splitlines() if line.strip()][:lines]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
