"""What the command reports to a person instead of a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Obstacle(Exception):
    """Something stands in the way; the message says what, and what to do about it."""


@contextmanager
def reported() -> Iterator[None]:
    """Print an Obstacle and end with status 1, rather than with a traceback."""
    try:
        yield
    except Obstacle as obstacle:
        sys.stderr.write(f"carillon: {obstacle}\n")
        raise SystemExit(1) from None
