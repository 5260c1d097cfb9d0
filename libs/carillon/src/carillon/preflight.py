"""What would stop a start, found before anything runs, and said in one line each."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import psutil

from carillon.ports import is_free
from carillon.postgres import data_problem

_LEAST_SPACE = 300 * 1024 * 1024


def port_problem(port: int, host: str, *, remedy: str) -> str | None:
    """Why a server cannot listen there, naming who does if that can be seen; None when it can."""
    if is_free(port, host):
        return None
    holder = _listener(port)
    by = f" by {holder}" if holder else ""
    return f"port {port} is in use{by}: stop that, or {remedy}"


def folder_problem(root: Path, data: Path) -> str | None:
    """Why a state folder, or PostgreSQL's data in it, cannot be used; None when they can."""
    parent = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    if not os.access(parent, os.W_OK | os.X_OK):
        return f"cannot write to {parent}: run as its owner, or choose another folder with --state"
    if shutil.disk_usage(parent).free < _LEAST_SPACE:
        return f"less than {_LEAST_SPACE >> 20} MB are free in {parent}: make room, or use --state"
    return data_problem(data)


def _listener(port: int) -> str | None:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return None
