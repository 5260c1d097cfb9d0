"""Write the generated documents: settings.md, events/*.schema.json, asyncapi.yaml and decisions/README.md.

    python docs/generate.py            write them
    python docs/generate.py --check    change nothing; fail if one is out of date

An event's schema is a contract with readers outside this project. A breaking change is rejected in both
cases: it takes a new event type ending in `.v2` beside the old one. Only a schema that was never released may
be withdrawn, by deleting its file first.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic_settings import BaseSettings

from api.settings import ApiSettings
from common.documents import asyncapi, breaking_changes, event_schemas
from executor.settings import ExecutorSettings
from notifier.settings import NotifierSettings
from scheduler.settings import SchedulerSettings

DOCS = Path(__file__).resolve().parent
EVENTS = "events"
SERVICES: dict[str, type[BaseSettings]] = {
    "api": ApiSettings,
    "scheduler": SchedulerSettings,
    "executor": ExecutorSettings,
    "notifier": NotifierSettings,
}
REQUIRED = "**required**"
SIGNS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
DECISIONS = "decisions"
DECISIONS_HEAD = """\
# Decisions

<!-- Written by docs/generate.py from the pages beside it. -->

One page for each decision that could be undone by mistake: the situation, the decision, its consequences, and
the alternatives that were rejected. A decision that no longer holds is not edited: a later page supersedes
it, and both say so in their status.
"""
SETTINGS_HEAD = """\
# Settings

<!-- Written by docs/generate.py from the settings classes. -->

Every service is configured by environment variables, read once when it starts. A missing or unsafe value
stops it with status 78 and one line for each fault; the line names the variable and never its value.

The sandbox, which imitates the vendors, has settings of its own, all of them optional: see
`libs/sandbox/src/sandbox/settings.py`. What `docker compose` asks for is in `deploy/carillon.env.example`.
"""


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing; fail if one is out of date")
    check = parser.parse_args().check
    faults = broken_promises(DOCS / EVENTS)
    if faults:
        sys.exit(
            "\n".join([*faults, "Such a change takes a new event type ending in `.v2`, beside the old one."])
        )
    wanted = documents()
    stale = [name for name, text in wanted.items() if _read(DOCS / name) != text]
    if check and stale:
        sys.exit(f"out of date: {', '.join(sorted(stale))}; run `make generate`")
    for name in stale:
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(wanted[name], encoding="utf-8")
        sys.stdout.write(f"wrote docs/{name}\n")


def documents() -> dict[str, str]:
    """Every generated file: its path below `docs/`, and its text."""
    version = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "version"
    ]
    schemas = {
        f"{EVENTS}/{name}.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in event_schemas().items()
    }
    described = asyncapi(version=version, schema_folder=f"./{EVENTS}")
    return {
        **schemas,
        "asyncapi.yaml": yaml.safe_dump(described, sort_keys=False, allow_unicode=True, width=110),
        "settings.md": settings_page(),
        f"{DECISIONS}/README.md": decisions_page(DOCS / DECISIONS),
    }


def decisions_page(folder: Path) -> str:
    """The index of the decisions: number, title, status and date of each."""
    rows = []
    for page in sorted(folder.glob("[0-9]*.md")):
        text = page.read_text(encoding="utf-8")
        number, title = text.split("\n", 1)[0].removeprefix("# ").split(". ", 1)
        status, date = (_field(name, text) for name in ("Status", "Date"))
        rows.append((f"[{number}]({page.name})", title, status, date))
    return "\n".join([DECISIONS_HEAD, *_table(("", "Decision", "Status", "Date"), rows), ""])


def _field(name: str, text: str) -> str:
    prefix = f"- {name}: "
    return next((line.removeprefix(prefix) for line in text.splitlines() if line.startswith(prefix)), "")


def broken_promises(folder: Path) -> list[str]:
    """Breaking changes between the schemas in `folder` and the current events; one line each."""
    current = event_schemas()
    return [
        f"{name}: {fault}"
        for name, path in sorted(
            (path.name.removesuffix(".schema.json"), path) for path in folder.glob("*.json")
        )
        for fault in breaking_changes(json.loads(path.read_text(encoding="utf-8")), current.get(name))
    ]


def settings_page() -> str:
    """Every environment variable of every service, in one table: what all need first."""
    users: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for service, settings in SERVICES.items():
        schema = settings.model_json_schema()
        for name, described in schema["properties"].items():
            users[(f"`{name.upper()}`", *_cells(described, schema, name in schema["required"]))].append(
                service
            )
    rows = [
        (name, "all" if len(services) == len(SERVICES) else ", ".join(services), *cells)
        for (name, *cells), services in sorted(
            users.items(), key=lambda row: (-len(row[1]), row[0][1] != REQUIRED, row[0])
        )
    ]
    return "\n".join(
        [SETTINGS_HEAD, *_table(("Variable", "Service", "Default", "Limits", "Meaning"), rows), ""]
    )


def _cells(described: Mapping[str, Any], schema: Mapping[str, Any], required: bool) -> tuple[str, str, str]:
    default = described.get("default")
    shown = REQUIRED if required else f"`{default}`" if default not in (None, "", []) else ""
    return shown, _limits(described, schema), " ".join(described.get("description", "").split())


def _limits(described: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    choices = (
        schema.get("$defs", {}).get(described.get("$ref", "").removeprefix("#/$defs/"), {}).get("enum", [])
    )
    limits = [" or ".join(f"`{choice}`" for choice in choices)] if choices else []
    limits += [f"{sign} {described[word]:g}" for word, sign in SIGNS.items() if word in described]
    limits += [f"`{described['pattern']}`"] if "pattern" in described else []
    is_secret = any(part.get("format") == "password" for part in (described, *described.get("anyOf", ())))
    return ", ".join([*limits, "secret"] if is_secret else limits)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    escaped = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *escaped)]


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    main()
