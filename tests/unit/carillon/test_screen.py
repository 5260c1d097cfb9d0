"""The screen shows deliveries and incidents, not every event, and no secret except the demo's key."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from carillon.plan import Options, Plan, make_plan
from carillon.screen import LiveScreen, PlainScreen, make_screen
from carillon.state import StateFolder
from carillon.supervisor import Change, Incident

TELEGRAM = {"kind": "telegram", "seq": 1, "chat_id": -100, "text": "Daily report\n\nTotal  375.81 USD"}
WEBHOOK = {"kind": "webhook", "seq": 2, "hook": "northwind", "signature": "valid"}
INTERNAL = {"kind": "facebook", "seq": 3, "status": 200}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    folder = StateFolder(tmp_path)
    return make_plan(Options(folder, port=8123), folder.secrets())


def test_output_is_lines_without_a_terminal(plan: Plan) -> None:
    output = io.StringIO()
    screen = make_screen(Console(file=output, width=100))
    assert isinstance(screen, PlainScreen)
    screen.step("starting the services")
    screen.ready(plan, "car_demo", ".carillon/logs", 3.2)
    for message in (TELEGRAM, WEBHOOK, INTERNAL):
        screen.delivered(message)
    screen.incident(Incident("executor-1", Change.READY))
    screen.incident(Incident("executor-1", Change.ENDED, "was ended by SIGKILL"))
    screen.incident(Incident("executor-1", Change.RESTARTED))
    screen.close()
    told = output.getvalue()
    assert "http://localhost:8123" in told
    assert "car_demo" in told
    assert "delivered to Telegram chat -100: Daily report Total 375.81 USD" in told
    assert "delivered to webhook northwind: signature valid" in told
    assert "facebook" not in told
    assert "executor-1 was ended by SIGKILL" in told
    assert told.count("executor-1") == 2
    assert told.rstrip().endswith("Everything has stopped; the data is kept.")


def test_a_start_that_failed_does_not_claim_to_have_stopped() -> None:
    output = io.StringIO()
    screen = PlainScreen(Console(file=output))
    screen.step("starting postgres")
    screen.close()
    assert "stopped" not in output.getvalue()


def test_output_is_one_screen_on_a_terminal(plan: Plan) -> None:
    output = io.StringIO()
    console = Console(file=output, width=100, force_terminal=True, _environ={"TERM": "xterm"})
    screen = make_screen(console)
    assert isinstance(screen, LiveScreen)
    screen.step("starting the services")
    screen.ready(plan, "car_demo", ".carillon/logs", 3.2)
    screen.delivered(TELEGRAM)
    screen.delivered(INTERNAL)
    screen.incident(Incident("notifier", Change.FAILED, "notifier ended with status 1; its log\nlong log"))
    screen.close()
    last = output.getvalue().rpartition("Carillon")[2]
    assert "car_demo" in last
    assert "1 delivered" in last
    assert "notifier ended with status 1" in last
    assert "long log" not in last


def test_message_text_is_not_interpreted_as_markup(plan: Plan) -> None:
    output = io.StringIO()
    screen = PlainScreen(Console(file=output, width=100))
    screen.delivered(TELEGRAM | {"text": "[bold]spend[/bold] [/]"})
    assert "[bold]spend[/bold] [/]" in output.getvalue()
