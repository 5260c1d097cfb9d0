"""No regular expression of the product takes longer than reading its text, whatever the text is.

Every compiled pattern of every module is searched for in texts made of its own pieces, because those are what
makes a pattern backtrack: `<[^>]+>` reads a row of `<` to its end from each of them.
"""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import re
import time
from collections.abc import Iterator
from re import _constants as codes  # type: ignore[attr-defined]  # typeshed leaves the parser out
from re import _parser  # type: ignore[attr-defined]  # as above
from types import ModuleType
from typing import Any

import pytest

import api
import common
import executor
import notifier
import platforms
import scheduler

SMALL, LARGE = 2_000, 16_000


def modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__") and ".migrations." not in found.name:
            yield importlib.import_module(found.name)


def patterns() -> dict[str, re.Pattern[Any]]:
    found: dict[re.Pattern[Any], str] = {}
    for module in itertools.chain.from_iterable(
        map(modules, (api, common, executor, notifier, platforms, scheduler))
    ):
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                found.setdefault(value, f"{module.__name__}.{name}")
    return {name: pattern for pattern, name in found.items()}


PATTERNS = patterns()


def characters(tree: Any) -> Iterator[str]:
    """What a pattern's parts match: a character of each class and each literal, in order."""
    for code, argument in tree:
        match code:
            case codes.LITERAL:
                yield chr(argument)
            case codes.NOT_LITERAL | codes.ANY:
                yield "x"
            case codes.IN:
                yield member(argument)
            case codes.BRANCH:
                for branch in argument[1]:
                    yield from characters(branch)
            case codes.MAX_REPEAT | codes.MIN_REPEAT | codes.POSSESSIVE_REPEAT:
                yield from characters(argument[2])
            case codes.SUBPATTERN:
                yield from characters(argument[3])
            case codes.ATOMIC_GROUP:
                yield from characters(argument)
            case codes.ASSERT | codes.ASSERT_NOT:
                yield from characters(argument[1])


def member(members: list[tuple[Any, Any]]) -> str:
    compiled = re.compile(_class(members))
    return next(
        char for char in "a0A-_ .:/<>\"'=\n\t,;" + "".join(map(chr, range(256))) if compiled.match(char)
    )


def _class(members: list[tuple[Any, Any]]) -> str:
    categories = {
        codes.CATEGORY_DIGIT: r"\d",
        codes.CATEGORY_NOT_DIGIT: r"\D",
        codes.CATEGORY_SPACE: r"\s",
        codes.CATEGORY_NOT_SPACE: r"\S",
        codes.CATEGORY_WORD: r"\w",
        codes.CATEGORY_NOT_WORD: r"\W",
    }
    written = ""
    for code, argument in members:
        match code:
            case codes.NEGATE:
                written += "^"
            case codes.LITERAL:
                written += re.escape(chr(argument))
            case codes.RANGE:
                written += f"{re.escape(chr(argument[0]))}-{re.escape(chr(argument[1]))}"
            case codes.CATEGORY:
                written += categories[argument]
    return f"[{written}]"


def pumped(pattern: re.Pattern[Any]) -> set[str]:
    """What is repeated to make hostile texts: each piece, each beginning, and each two pieces."""
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode()
    pieces = list(characters(_parser.parse(source, pattern.flags & re.VERBOSE)))
    beginnings = ["".join(pieces[:length]) for length in range(1, len(pieces) + 1)]
    endings = ["".join(pieces[start:]) for start in range(len(pieces))]
    pairs = ["".join(pair) for pair in itertools.pairwise(dict.fromkeys(pieces))]
    return {*pieces, *beginnings, *endings, *pairs, " ", "\\", "\x00"}


def seconds(pattern: re.Pattern[Any], unit: str, length: int) -> float:
    text: Any = (unit * (length // len(unit) + 1))[:length] + "\x00"
    if isinstance(pattern.pattern, bytes):
        text = text.encode()
    least = float("inf")
    for _ in range(2):
        begun = time.thread_time()
        for _match in pattern.finditer(text):
            pass
        pattern.fullmatch(text)
        least = min(least, time.thread_time() - begun)
    return least


def test_there_are_patterns() -> None:
    assert len(PATTERNS) > 30


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_a_pattern_grows_with_its_text(pattern: re.Pattern[Any]) -> None:
    for unit in pumped(pattern):
        took, took_longer = seconds(pattern, unit, SMALL), seconds(pattern, unit, LARGE)
        # Linear is 8 times; quadratic would be 64.
        assert took_longer < 24 * took + 0.02, unit


def test_the_measure_finds_a_pattern_that_does_not() -> None:
    with pytest.raises(AssertionError):
        test_a_pattern_grows_with_its_text(re.compile(r"<[^>]+>"))
    with pytest.raises(AssertionError):
        test_a_pattern_grows_with_its_text(re.compile(r"(postgres(?:ql)?://[^:/@\s]*:)[^@\s]+(?=@)"))
