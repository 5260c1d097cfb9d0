"""The `carillon` command."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from carillon.client import Api, Document
from carillon.demo import demo as tell_demo
from carillon.errors import Obstacle
from carillon.plan import DEFAULT_PORT, BrokerChoice, Options
from carillon.ports import LOOPBACK
from carillon.screen import make_screen
from carillon.state import DEFAULT_STATE, StateFolder
from carillon.up import up as run_up
from common.broker import TOPICS, ensure_topics
from common.crypto import new_encryption_key
from common.migrate import upgrade
from common.settings import KafkaSettings, load
from common.tenants import bootstrap

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Carillon runs a team's automations on time.",
)
automations = typer.Typer(no_args_is_help=True, help="List, create and run automations.")
runs = typer.Typer(no_args_is_help=True, help="Look at runs.")
keys = typer.Typer(no_args_is_help=True, help="Encryption keys.")
tenants = typer.Typer(no_args_is_help=True, help="Teams.")
app.add_typer(automations, name="automations")
app.add_typer(runs, name="runs")
app.add_typer(keys, name="keys")
app.add_typer(tenants, name="tenants")

State = Annotated[
    Path, typer.Option("--state", envvar="CARILLON_STATE", help="Folder for data, logs and secrets.")
]
Broker = Annotated[
    BrokerChoice,
    typer.Option(help="Embedded, or Apache Kafka by Maven and Java. KAFKA_BOOTSTRAP_SERVERS wins."),
]
DatabaseUrl = Annotated[
    str, typer.Option(envvar="DATABASE_URL", show_envvar=True, show_default=False, help="PostgreSQL to use.")
]
Url = Annotated[str, typer.Option(envvar="CARILLON_URL", help="Where the API is.")]
Key = Annotated[
    str | None,
    typer.Option(envvar="CARILLON_API_KEY", help="Your API key; by default that of the local demo team."),
]


@app.command()
def up(
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the console and the API.")
    ] = DEFAULT_PORT,
    host: Annotated[str, typer.Option(help="Address the console and the sandbox listen on.")] = LOOPBACK,
    broker: Broker = BrokerChoice.EMBEDDED,
    state: State = DEFAULT_STATE,
) -> None:
    """Run everything on this machine until Ctrl-C, with a demo team.

    DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS replace the embedded PostgreSQL and broker.
    """
    options = Options(
        StateFolder(state), port, host, broker, database_url=os.environ.get("DATABASE_URL"), kafka=_kafka()
    )
    with _obstacles():
        screen = make_screen(Console())
        try:
            asyncio.run(run_up(options, screen))
        finally:
            screen.close()


@app.command()
def demo(broker: Broker = BrokerChoice.EMBEDDED, state: State = DEFAULT_STATE) -> None:
    """Show a scheduled report on its way and check every step; fails with the reason if one is not true.

    Works in a folder and on ports of its own, so it can run beside `carillon up`.
    """
    with _obstacles():
        state.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="demo-", dir=state))
        folder = StateFolder(scratch, kept=state / "cache")
        try:
            asyncio.run(tell_demo(Options(folder, None, broker=broker), Console()))
        except BaseException:
            sys.stderr.write(f"the logs are in {folder.logs}\n")
            raise
        shutil.rmtree(scratch)


def _service(name: str) -> Callable[[], None]:
    def run() -> None:
        importlib.import_module(f"{name}.main").main()

    run.__doc__ = f"Run one {name}, configured by environment variables."
    return run


for _name in ("api", "scheduler", "executor", "notifier", "sandbox"):
    app.command(_name)(_service(_name))


@app.command()
def migrate(database_url: DatabaseUrl) -> None:
    """Bring the database to the current schema."""
    upgrade(database_url)
    print("The database is up to date.")


@app.command()
def topics(replication: Annotated[int, typer.Option(min=1, help="Replicas of each topic.")] = 1) -> None:
    """Create the Kafka topics that do not exist yet."""
    created = asyncio.run(ensure_topics(load(KafkaSettings), replication=replication))
    print(f"{len(TOPICS)} topics, {created} of them new.")


@app.command()
def clean(state: State = DEFAULT_STATE) -> None:
    """Remove the state folder, unless something runs in it."""
    folder = StateFolder(state)
    if not state.exists():
        return
    with _obstacles(), folder.claimed("cleaning"):
        shutil.rmtree(state)


@keys.command("new")
def new_key(name: Annotated[str, typer.Argument(help="What to call it.")] = "k1") -> None:
    """Print a fresh entry for ENCRYPTION_KEYS."""
    print(new_encryption_key(name))


@tenants.command("create")
def create_tenant(
    name: Annotated[str, typer.Argument(help="The team's name.")],
    email: Annotated[str, typer.Argument(help="Its owner's address.")],
    database_url: DatabaseUrl,
) -> None:
    """Create a team and its owner, and print the owner's API key; it is not shown again."""
    print(asyncio.run(bootstrap(database_url, tenant_name=name, user_email=email)))


@automations.command("list")
def list_automations(url: Url = f"http://localhost:{DEFAULT_PORT}", api_key: Key = None) -> None:
    """List your team's automations."""
    found = _ask(url, api_key, lambda api: api.everything("automations"))
    table = Table("id", "name", "status", "next run (UTC)", "runs", box=None, header_style="bold")
    for automation in found:
        due = str(automation["next_run"] or "").replace("T", " ")[:19]
        shown = (
            automation["id"],
            automation["name"],
            automation["status"],
            due,
            str(automation["run_count"]),
        )
        table.add_row(*shown)
    Console().print(table)


@automations.command("create")
def create_automation(
    file: Annotated[typer.FileText, typer.Argument(help="The automation as JSON; - reads standard input.")],
    url: Url = f"http://localhost:{DEFAULT_PORT}",
    api_key: Key = None,
) -> None:
    """Create an automation and print it."""
    with _obstacles():
        try:
            body = json.load(file)
        except ValueError as error:
            raise Obstacle(f"{file.name} is not JSON: {error}") from error
    _print(_ask(url, api_key, lambda api: api.create("automations", body)))


@automations.command("run")
def run_automation(
    automation_id: str, url: Url = f"http://localhost:{DEFAULT_PORT}", api_key: Key = None
) -> None:
    """Run an automation now and print the queued run."""
    _print(_ask(url, api_key, lambda api: api.run_automation(automation_id)))


@runs.command("show")
def show_run(run_id: str, url: Url = f"http://localhost:{DEFAULT_PORT}", api_key: Key = None) -> None:
    """Print a run with its attempts, logs and deliveries."""
    _print(_ask(url, api_key, lambda api: api.run(run_id)))


def _ask(url: str, api_key: str | None, question: Callable[[Api], Awaitable[Any]]) -> Any:
    async def ask(key: str) -> Any:
        async with Api.connected(url, key) as api:
            return await question(api)

    with _obstacles():
        return asyncio.run(ask(api_key or _local_key()))


def _local_key() -> str:
    folder = StateFolder(Path(os.environ.get("CARILLON_STATE", DEFAULT_STATE)))
    if not folder.root.is_dir():
        raise Obstacle("no API key: give --api-key or set CARILLON_API_KEY")
    return folder.secrets().api_key


def _kafka() -> KafkaSettings | None:
    return load(KafkaSettings) if os.environ.get("KAFKA_BOOTSTRAP_SERVERS") else None


def _print(document: Document) -> None:
    Console().print_json(json.dumps(document))


@contextmanager
def _obstacles() -> Iterator[None]:
    """Print an Obstacle and end with status 1, rather than with a traceback."""
    try:
        yield
    except Obstacle as obstacle:
        sys.stderr.write(f"carillon: {obstacle}\n")
        raise SystemExit(1) from None
