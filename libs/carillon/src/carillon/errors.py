"""What the command reports to a person instead of a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Obstacle(Exception):
    """Something stands in the way; the message says what, and what to do about it."""


@contextmanager
def reported() -> Iterator[None]:
    """Print an Obstacle, or what the system refuses, and end with status 1 rather than with a traceback."""
    try:
        yield
    except Obstacle as obstacle:
        message = str(obstacle)
    except PermissionError as error:
        message = f"no permission for {error.filename}: run as its owner, or use another --state"
    except OSError as error:
        message = str(error)
    else:
        return
    sys.stderr.write(f"carillon: {message}\n")
    raise SystemExit(1)
