"""What a rule of a vendor is: a request, the documented answer, and what our client concludes from it.

A rule is checked twice. The sandbox, put into the state the rule describes, must give the answer to the
request; and our client, given the answer by a server that knows nothing else, must reach the conclusion. One
row holds both sides, so they cannot drift apart.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from common.errors import Consequence
from tests.support.platforms.base import Caller, Site

Ask = Callable[[Site, Caller], Awaitable[object]]
"""One call of our client to the vendor at `site`."""
TOKEN = "{token}"
"""Stands in requests for the token of the rule."""


@dataclass(frozen=True, slots=True)
class Like:
    """A value whose type matters and whose content does not: the example stands for it."""

    example: Any


@dataclass(frozen=True, slots=True)
class Containing:
    """Text of which only a part is documented."""

    part: str


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request; `params` go into the query, `form` or `document` into the body.

    `captures` are values to take from the answer, or from where it redirects to: names, and regular
    expressions with one group. Later requests name them in braces.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    document: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    captures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. `body` is JSON, or text; objects may have more members than are named here."""

    status: int
    body: object
    headers: Mapping[str, str | Like | Containing | None] = field(default_factory=dict)
    """None: the header must be absent."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Our client raises an error of this consequence and code, to be retried after so many seconds."""

    consequence: Consequence
    code: str | None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Renewed:
    """Our client renews the token and calls again, which succeeds."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Returns:
    """Our client returns this."""

    value: object


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. `given` are requests that put the sandbox into the state, in order."""

    name: str
    source: str
    """The vendor's page and section."""
    request: Request
    answer: Answer
    concludes: Refused | Renewed | Returns
    ask: Ask
    token: str = ""
    given: Sequence[Request] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the sandbox that differ from its own."""
    is_ours: bool = True
    """Whether our client makes this very request. Otherwise it makes another one and gets this answer."""

    def __str__(self) -> str:
        return self.name


def fault(kind: str, **description: object) -> Request:
    """The control request that has the sandbox answer the next call with a fault."""
    return Request("POST", "/_sandbox/faults", document={"kind": kind, "times": 1, **description})


def limits(**values: float) -> Request:
    """The control request that sets the vendor's rate limits."""
    return Request("PUT", "/_sandbox/limits", document=values)


def clock(seconds: float) -> Request:
    """The control request that moves the sandbox's time."""
    return Request("POST", "/_sandbox/clock", document={"advance_seconds": seconds})


def example(pattern: object) -> Any:
    """A value that matches the pattern."""
    if isinstance(pattern, Like):
        return example(pattern.example)
    if isinstance(pattern, Containing):
        return pattern.part
    if isinstance(pattern, Mapping):
        return {name: example(value) for name, value in pattern.items()}
    if isinstance(pattern, list):
        return [example(value) for value in pattern]
    return pattern


def differences(pattern: object, found: object, path: str = "$") -> list[str]:
    """Where `found` is not what the pattern says."""
    if isinstance(pattern, Like):
        same_type = type(found) is type(pattern.example)
        if not same_type:
            return [f"{path}: {found!r} is no {type(pattern.example).__name__}"]
        nested = isinstance(pattern.example, Mapping | list) and bool(pattern.example)
        if isinstance(pattern.example, list) and nested:
            assert isinstance(found, list)
            return [
                each
                for number, value in enumerate(found)
                for each in differences(pattern.example[0], value, f"{path}[{number}]")
            ]
        return differences(pattern.example, found, path) if nested else []
    if isinstance(pattern, Containing):
        return [] if isinstance(found, str) and pattern.part in found else [f"{path}: {found!r}"]
    if isinstance(pattern, Mapping):
        if not isinstance(found, Mapping):
            return [f"{path}: {found!r} is no object"]
        return [
            each
            for name, value in pattern.items()
            for each in (
                differences(value, found[name], f"{path}.{name}")
                if name in found
                else [f"{path}.{name} is missing"]
            )
        ]
    if isinstance(pattern, list):
        if not isinstance(found, list) or len(found) != len(pattern):
            return [f"{path}: {found!r} has not {len(pattern)} items"]
        return [
            each
            for number, value in enumerate(pattern)
            for each in differences(value, found[number], f"{path}[{number}]")
        ]
    return (
        [] if pattern == found and type(pattern) is type(found) else [f"{path}: {found!r} is not {pattern!r}"]
    )


def body_of(answer: Answer) -> bytes:
    """The bytes of an answer that matches the pattern; text travels as it is."""
    shown = example(answer.body)
    return shown.encode() if isinstance(shown, str) else json.dumps(shown).encode()
