"""Rules about the product's code that no linter knows, each with the places that are exempt and why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parent.parent.parent
_SERVICES = sorted(
    path
    for part in ("services", "libs/common/src", "libs/platforms/src")
    for path in (_ROOT / part).rglob("*.py")
    if "migrations" not in path.parts
)

MAY_LOOP = {
    "common/process/loops.py": "is the loop that the others use",
    "common/broker.py": "creates topics with a deadline of its own, at start-up",
    "notifier/channels/telegram.py": "catches refusals only, each remedy of which is tried once",
}
"""Loops that catch errors and need not ask whether they were cancelled."""

TELLS_THE_TIME = {
    "common/clock.py": "is the clock",
}


def _name(path: Path) -> str:
    return path.as_posix().partition("/src/")[2]


def _endless(tree: ast.AST) -> Iterator[ast.While]:
    for node in ast.walk(tree):
        if isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and node.test.value:
            yield node


def _catches(loop: ast.While) -> bool:
    """Whether an error is caught within the loop which may have replaced a cancellation, and it goes on."""
    return any(
        isinstance(node, ast.ExceptHandler)
        and not isinstance(node.body[-1], ast.Raise | ast.Return | ast.Break)
        for node in ast.walk(loop)
    )


def _asks(loop: ast.While) -> bool:
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "end_if_cancelled"
        for node in ast.walk(loop)
    )


def _awaits(loop: ast.While) -> bool:
    return any(isinstance(node, ast.Await | ast.AsyncWith | ast.AsyncFor) for node in ast.walk(loop))


def _calls_now(tree: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in ("now", "utcnow")
        and isinstance(node.value, ast.Name)
        and node.value.id == "datetime"
        for node in ast.walk(tree)
    )


def test_an_endless_loop_that_catches_errors_ends_when_it_is_cancelled() -> None:
    """asyncpg may raise InterfaceError in place of CancelledError: see `common.process.loops`."""
    going_on = [
        f"{path}:{loop.lineno}"
        for path in _SERVICES
        if _name(path) not in MAY_LOOP
        for loop in _endless(ast.parse(path.read_text()))
        if _awaits(loop) and _catches(loop) and not _asks(loop)
    ]
    assert not going_on, "use `repeat`, `until_done` or `end_if_cancelled`"


def test_the_time_is_the_databases() -> None:
    """`common.clock.utc_now` tells it; the machine's clock may be wrong."""
    others = [
        str(path)
        for path in _SERVICES
        if _name(path) not in TELLS_THE_TIME and _calls_now(ast.parse(path.read_text()))
    ]
    assert not others, "use `common.clock.utc_now`"


def test_every_exemption_is_needed() -> None:
    names = {_name(path) for path in _SERVICES}
    assert names >= {*MAY_LOOP, *TELLS_THE_TIME}
