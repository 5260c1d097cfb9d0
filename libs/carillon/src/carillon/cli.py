"""The `carillon` command."""

from __future__ import annotations

import asyncio
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from carillon.demo import demo as tell_demo
from carillon.errors import reported
from carillon.plan import DEFAULT_PORT, BrokerChoice, Options
from carillon.ports import LOOPBACK
from carillon.remote import automations, runs
from carillon.screen import make_screen
from carillon.state import DEFAULT_STATE, StateFolder
from carillon.up import up as run_up
from common.__main__ import main as operate
from common.settings import KafkaSettings, load

SERVICES = {
    "api": "Serve the public API and the console",
    "scheduler": "Lead, or stand by to lead: dispatch what is due",
    "executor": "Do the runs",
    "notifier": "Deliver the results",
    "sandbox": "Imitate Facebook, TikTok, Zoom, Telegram and a webhook",
}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Carillon runs a team's automations on time.",
)
keys = typer.Typer(no_args_is_help=True, help="Encryption keys.")
tenant = typer.Typer(no_args_is_help=True, help="Teams.")
app.add_typer(automations, name="automations")
app.add_typer(runs, name="runs")
app.add_typer(keys, name="keys")
app.add_typer(tenant, name="tenant")

State = Annotated[
    Path, typer.Option("--state", envvar="CARILLON_STATE", help="Folder for data, logs and secrets.")
]
Broker = Annotated[BrokerChoice, typer.Option(help="`kafka` is Apache Kafka, run by Maven and Java.")]


@app.command()
def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of console and API.")] = DEFAULT_PORT,
    host: Annotated[str, typer.Option(help="Address the console and the sandbox listen on.")] = LOOPBACK,
    broker: Broker = BrokerChoice.EMBEDDED,
    state: State = DEFAULT_STATE,
) -> None:
    """Run everything on this machine until Ctrl-C, with a demo team.

    DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS, where set, replace the embedded PostgreSQL and broker.
    """
    database_url = os.environ.get("DATABASE_URL")
    kafka = load(KafkaSettings) if os.environ.get("KAFKA_BOOTSTRAP_SERVERS") else None
    options = Options(StateFolder(state), port, host, broker, database_url=database_url, kafka=kafka)
    with reported():
        screen = make_screen(Console())
        try:
            asyncio.run(run_up(options, screen))
        finally:
            screen.close()


@app.command()
def demo(broker: Broker = BrokerChoice.EMBEDDED, state: State = DEFAULT_STATE) -> None:
    """Show a scheduled report on its way and check every step; fails with the reason if one is not true.

    It has a folder and ports of its own, so it can run beside `carillon up`.
    """
    with reported():
        state.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="demo-", dir=state))
        folder = StateFolder(scratch, kept=state / "cache")
        try:
            asyncio.run(tell_demo(Options(folder, port=None, broker=broker), Console()))
        except BaseException:
            sys.stderr.write(f"the logs are in {folder.logs}\n")
            raise
        shutil.rmtree(scratch)


@app.command()
def clean(state: State = DEFAULT_STATE) -> None:
    """Remove the state folder, unless something runs in it."""
    if state.exists():
        with reported(), StateFolder(state).claimed("cleaning"):
            shutil.rmtree(state)


@app.command()
def migrate() -> None:
    """Bring the database at DATABASE_URL to the current schema."""
    operate(["migrate"])


@app.command()
def topics(replication: Annotated[int, typer.Option(min=1, help="Replicas of each topic.")] = 1) -> None:
    """Create the topics that the Kafka at KAFKA_BOOTSTRAP_SERVERS does not have yet."""
    operate(["topics", "--replication", str(replication)])


@keys.command("new")
def new_key(name: Annotated[str, typer.Argument(help="What to call it.")] = "k1") -> None:
    """Print a fresh entry for ENCRYPTION_KEYS."""
    operate(["keys", "new", name])


@keys.command("rotate")
def rotate_keys() -> None:
    """Seal every secret in DATABASE_URL again with the first of ENCRYPTION_KEYS; then the others can be
    removed."""
    operate(["keys", "rotate"])


@tenant.command("create")
def create_tenant(
    name: Annotated[str, typer.Argument(help="The team's name.")],
    email: Annotated[str, typer.Argument(help="Its owner's address.")],
) -> None:
    """Create a team and its owner in DATABASE_URL; prints the owner's API key, once."""
    operate(["tenant", "create", name, email])


def _service(name: str, purpose: str) -> Callable[[], None]:
    def run() -> None:
        importlib.import_module(f"{name}.main").main()

    run.__doc__ = f"{purpose}; configured by environment variables."
    return run


for _name, _purpose in SERVICES.items():
    app.command(_name)(_service(_name, _purpose))
