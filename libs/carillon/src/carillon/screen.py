"""What a person sees while Carillon runs: one calm screen on a terminal, plain lines anywhere else."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from carillon.client import Document
from carillon.plan import Plan
from carillon.supervisor import Change, Incident

_KEPT_DELIVERIES = 6
_KEPT_INCIDENTS = 4
_TEXT_WIDTH = 56

STOPPED = "Everything has stopped; the data is kept."


class Screen(Protocol):
    """Where the stack's story is told."""

    def step(self, text: str) -> None:
        """What is being done now."""

    def ready(self, plan: Plan, api_key: str, logs: str, seconds: float) -> None:
        """Everything runs."""

    def delivered(self, message: Document) -> None:
        """The sandbox received something."""

    def incident(self, incident: Incident) -> None:
        """A program changed its state."""

    def close(self) -> None:
        """Nothing more comes."""


def make_screen(console: Console) -> Screen:
    """The screen that suits where the console writes to."""
    return (
        LiveScreen(console) if console.is_terminal and not console.is_dumb_terminal else PlainScreen(console)
    )


def addresses(plan: Plan, api_key: str, logs: str) -> Iterator[tuple[str, str, str]]:
    """What to tell about a running stack: name, value, remark."""
    yield "Console", plan.console, "press “Open the demo”"
    yield "API key", api_key, "or sign in with this"
    yield "Sandbox", plan.sandbox_page, "where the messages arrive"
    yield "Logs", logs, ""


def describe(message: Document) -> tuple[str, str] | None:
    """Where a received message went, and how it begins; None for what is no delivery."""
    match message["kind"]:
        case "telegram":
            text = " ".join(str(message.get("caption") or message.get("text") or "").split())
            if not text:
                text = "a picture" if "photo" in message else "a file"
            return f"Telegram chat {message['chat_id']}", text
        case "webhook":
            return f"webhook {message['hook']}", f"signature {message['signature']}"
        case _:
            return None


def notable(incident: Incident) -> str | None:
    """An incident in a line; None where it need not be shown."""
    if incident.change is Change.READY:
        return None
    if incident.change is Change.RESTARTED:
        return f"{incident.program} runs again"
    return f"{incident.program} {incident.detail.splitlines()[0]}"


class PlainScreen:
    """A line for each thing that happens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._was_ready = False

    def step(self, text: str) -> None:
        """What is being done now."""
        self._print(f"{text} …")

    def ready(self, plan: Plan, api_key: str, logs: str, seconds: float) -> None:
        """Everything runs."""
        self._was_ready = True
        self._print(f"Carillon runs (ready in {seconds:.1f} s)")
        for name, value, _remark in addresses(plan, api_key, logs):
            self._print(f"  {name:8} {value}")

    def delivered(self, message: Document) -> None:
        """The sandbox received something."""
        delivery = describe(message)
        if delivery is not None:
            where, text = delivery
            self._print(f"{_clock()} delivered to {where}: {_short(text)}")

    def incident(self, incident: Incident) -> None:
        """A program changed its state."""
        line = notable(incident)
        if line is not None:
            self._print(f"{_clock()} {line}")

    def close(self) -> None:
        """Nothing more comes."""
        if self._was_ready:
            self._print(STOPPED)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class LiveScreen:
    """One screen: a spinner while things start, and then it changes only when something happens."""

    def __init__(self, console: Console) -> None:
        self._step: str | None = "starting"
        self._head: list[tuple[str, str, str]] = []
        self._last_line = ""
        self._count = 0
        self._deliveries: deque[tuple[str, str, str]] = deque(maxlen=_KEPT_DELIVERIES)
        self._incidents: deque[tuple[str, str]] = deque(maxlen=_KEPT_INCIDENTS)
        self._spinner = Spinner("dots", style="cyan")
        self._console = console
        self._live = Live(self._render(), console=console, refresh_per_second=8, transient=True)
        self._live.start()

    def step(self, text: str) -> None:
        """What is being done now."""
        self._step = text
        self._show()

    def ready(self, plan: Plan, api_key: str, logs: str, seconds: float) -> None:
        """Everything runs."""
        self._head = list(addresses(plan, api_key, logs))
        self._last_line = f"Ready in {seconds:.1f} s. Ctrl-C stops everything."
        self._step = None
        self._live.stop()
        self._live = Live(self._render(), console=self._console, auto_refresh=False)
        self._live.start(refresh=True)

    def delivered(self, message: Document) -> None:
        """The sandbox received something."""
        delivery = describe(message)
        if delivery is not None:
            where, text = delivery
            self._count += 1
            self._deliveries.append((_clock(), where, _short(text)))
            self._show()

    def incident(self, incident: Incident) -> None:
        """A program changed its state."""
        if incident.change is Change.WAITED_FOR and self._step is not None:
            self.step(f"{incident.program} {incident.detail}")
            return
        line = notable(incident)
        if line is not None:
            self._incidents.append((_clock(), line))
            self._show()

    def close(self) -> None:
        """Nothing more comes."""
        self._step = None
        self._last_line = STOPPED
        self._show()
        self._live.stop()

    def _show(self) -> None:
        self._live.update(self._render(), refresh=True)

    def _render(self) -> Group:
        parts: list[Table | Text | Spinner | Padding] = [Text("\n Carillon", style="bold")]
        if self._head:
            table = _grid()
            for name, value, remark in self._head:
                table.add_row(name, Text(value, style="cyan"), Text(remark, style="dim"))
            parts += [Padding(table, (1, 0, 1, 1)), *self._news()]
        if self._step is not None:
            self._spinner.update(text=Text(f"{self._step} …", style="dim"))
            parts.append(Padding(self._spinner, (0, 1)))
        elif self._head:
            parts.append(Text(f"\n {self._last_line}", style="dim"))
        return Group(*parts)

    def _news(self) -> Iterator[Padding | Text]:
        if not self._deliveries:
            yield Text(" The first report is due in a few seconds.", style="dim")
        else:
            yield Text(f" {self._count} delivered", style="bold green")
            table = _grid()
            for at, where, text in self._deliveries:
                table.add_row(Text(at, style="dim"), where, Text(text, style="dim"))
            yield Padding(table, (0, 0, 0, 1))
        if self._incidents:
            yield Text("")
            for at, line in self._incidents:
                yield Text(f" {at}  {line}", style="yellow")


def _grid() -> Table:
    table = Table.grid(padding=(0, 2, 0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    return table


def _clock() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_WIDTH else text[: _TEXT_WIDTH - 1] + "…"
