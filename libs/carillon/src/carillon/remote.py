"""The commands that talk to a running Carillon through its public API."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from carillon.client import Api, Document
from carillon.errors import Obstacle, reported
from carillon.plan import DEFAULT_PORT
from carillon.state import DEFAULT_STATE, StateFolder

automations = typer.Typer(no_args_is_help=True, help="List, create and run automations.")
runs = typer.Typer(no_args_is_help=True, help="Look at runs.")

Url = Annotated[
    str | None, typer.Option(envvar="CARILLON_URL", help="Where the API is; by default what runs here.")
]
Key = Annotated[
    str | None,
    typer.Option(envvar="CARILLON_API_KEY", help="Your API key; by default the local demo team's."),
]

T = TypeVar("T")


@automations.command("list")
def list_automations(url: Url = None, api_key: Key = None) -> None:
    """List your team's automations."""
    table = Table("id", "name", "status", "next run (UTC)", "runs", box=None, header_style="bold")
    for automation in _ask(url, api_key, lambda api: api.everything("automations")):
        told = (automation[field] for field in ("id", "name", "status"))
        due = str(automation["next_run"] or "").replace("T", " ")[:19]
        table.add_row(*told, due, str(automation["run_count"]))
    Console().print(table)


@automations.command("create")
def create_automation(
    file: Annotated[typer.FileText, typer.Argument(help="The automation as JSON; - reads standard input.")],
    url: Url = None,
    api_key: Key = None,
) -> None:
    """Create an automation and print it."""
    with reported():
        try:
            body = json.load(file)
        except ValueError as error:
            raise Obstacle(f"{file.name} is not JSON: {error}") from error
    _print(_ask(url, api_key, lambda api: api.create("automations", body)))


@automations.command("run")
def run_automation(automation_id: str, url: Url = None, api_key: Key = None) -> None:
    """Run an automation now and print the queued run."""
    _print(_ask(url, api_key, lambda api: api.run_automation(automation_id)))


@runs.command("show")
def show_run(run_id: str, url: Url = None, api_key: Key = None) -> None:
    """Print a run with its attempts, logs and deliveries."""
    _print(_ask(url, api_key, lambda api: api.run(run_id)))


def _ask(url: str | None, api_key: str | None, question: Callable[[Api], Awaitable[T]]) -> T:
    local = StateFolder(Path(os.environ.get("CARILLON_STATE", DEFAULT_STATE)))

    async def ask(origin: str, key: str) -> T:
        async with Api.connected(origin, key) as api:
            return await question(api)

    with reported():
        origin = url or local.console() or f"http://localhost:{DEFAULT_PORT}"
        return asyncio.run(ask(origin, api_key or _key_in(local)))


def _key_in(folder: StateFolder) -> str:
    if not folder.root.is_dir():
        raise Obstacle("no API key: give --api-key or set CARILLON_API_KEY")
    return folder.secrets().api_key


def _print(document: Document) -> None:
    Console().print_json(json.dumps(document))
