"""Write `.env` for docker-compose.yml from `carillon.env.example`, with newly generated secrets.

Uses the standard library only, so that a machine with Docker and any Python 3 can run it. Refuses to
overwrite: the keys in an existing `.env` open what is in the database.
"""

from __future__ import annotations

import argparse
import base64
import os
import secrets
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "deploy" / "carillon.env.example"


def main() -> None:
    """Read the command line and write the file, readable by its owner only."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", action="store_true", help="the sandbox for vendors, and a demo team")
    parser.add_argument("--observability", action="store_true", help="a collector, Prometheus, Grafana")
    parser.add_argument("--output", type=Path, default=ROOT / ".env", help="the file to write (.env)")
    given = parser.parse_args()
    profiles = [name for name in ("demo", "observability") if getattr(given, name)]
    text = environment(EXAMPLE.read_text(encoding="utf-8"), profiles, fresh_secrets())
    try:
        descriptor = os.open(given.output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.exit(f"{given.output} is there already, and its keys may be in use: move it away first")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def fresh_secrets() -> dict[str, str]:
    """A value for every secret: letters, digits, `-`, `_`, so that each can stand in a URL."""
    return {
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
        "ENCRYPTION_KEYS": "k1:" + base64.b64encode(os.urandom(32)).decode(),
        "GRAFANA_PASSWORD": secrets.token_urlsafe(16),
        "DEMO_API_KEY": "car_" + secrets.token_urlsafe(32),
    }


def environment(example: str, profiles: Collection[str], values: Mapping[str, str]) -> str:
    """The example with the paragraphs of `profiles` in force and the empty secrets filled in."""
    values = {**values, "COMPOSE_PROFILES": ",".join(profiles)}
    wanted = ("# Parts beside", *(f"# {profile.capitalize()} (" for profile in profiles)) if profiles else ()
    return "\n\n".join(
        "\n".join(_line(line, paragraph.startswith(wanted), values) for line in paragraph.split("\n"))
        for paragraph in example.split("\n\n")
    )


def _line(line: str, in_force: bool, values: Mapping[str, str]) -> str:
    if in_force and not line.startswith("# "):  # a line of prose has a space there
        line = line.removeprefix("#")
    name, _, value = line.partition("=")
    return line + values[name] if name in values and not value else line


if __name__ == "__main__":
    main()
