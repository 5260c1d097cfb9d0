"""Small programs for tests that start, stop and kill processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from carillon.child import Program

STAYS = """
import pathlib, signal, sys
pathlib.Path(sys.argv[1]).touch()
signal.pause()
"""
"""Says that it is there by making a file, and stays."""

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + STAYS


def program(name: str, folder: Path, source: str = STAYS, **options: Any) -> Program:
    """A program that is ready once the file it makes is there."""
    sign = folder / f"{name}.ready"

    async def prepare() -> None:
        sign.unlink(missing_ok=True)

    async def is_ready() -> bool:
        return sign.exists()

    defaults: dict[str, Any] = {"prepare": prepare, "is_ready": is_ready, "environment": dict(os.environ)}
    return Program(name=name, command=(sys.executable, "-c", source, str(sign)), **(defaults | options))


def exists(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    return state_of(pid) not in ("", "Z")


def state_of(pid: int) -> str:
    """The kernel's letter for what a process does: R, S, T (stopped), Z; empty when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return ""
    return stat.rpartition(")")[2].split()[0]
