"""The user a child process runs as.

PostgreSQL refuses to run as root. When Carillon itself runs as root (a container, a CI machine), PostgreSQL
runs as `nobody`: no account is created and no folder's permissions are loosened. Where the data lies behind a
folder that only root may enter, the child keeps the one capability that lets it pass.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Identity:
    """An unprivileged user. `passes_closed_folders` keeps the right to enter folders closed to it."""

    uid: int
    gid: int
    passes_closed_folders: bool = False


def unprivileged(*folders: Path) -> Identity | None:
    """Who runs what refuses root and reaches `folders`: `nobody`, or None when we are not root anyway."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    closed = any(_closed_to_others(folder) for folder in folders)
    return Identity(nobody.pw_uid, nobody.pw_gid, passes_closed_folders=closed)


def _closed_to_others(folder: Path) -> bool:
    return any(not parent.stat().st_mode & stat.S_IXOTH for parent in folder.resolve().parents)
