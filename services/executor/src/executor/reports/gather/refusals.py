"""What could not be read for a report, and what follows from it.

What is refused for good is left out, and the report goes out without it. What could still come (a limit, a
time-out) fails the attempt instead, so that the next one brings the whole report; at the last attempt it is
left out too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from common.errors import Consequence, PlatformError
from executor.reports.model.content import Subject

_MOST_TELLING_FIRST = (
    Consequence.REAUTH,
    Consequence.PERM,
    Consequence.GONE,
    Consequence.INVALID,
    Consequence.SPLIT,
)
_ABOUT_A_CONNECTION = frozenset({Consequence.REAUTH, Consequence.REFRESH, Consequence.PERM})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that could not be read, and the error that says why."""

    subject: Subject
    id: str
    name: str
    error: PlatformError

    @property
    def is_of_a_connection(self) -> bool:
        """Whether a person should look at the connection, even if the report went out."""
        return self.error.connection_id is not None and self.error.consequence in _ABOUT_A_CONNECTION


class Refusals:
    """Those of one attempt, in the order in which they were found."""

    def __init__(self, known: Iterable[Refusal] = (), *, is_last_chance: bool) -> None:
        self._found: list[Refusal] = []
        self._is_last_chance = is_last_chance
        for refusal in known:
            self.add(refusal)

    def __iter__(self) -> Iterator[Refusal]:
        return iter(self._found)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._found)

    def add(self, refusal: Refusal) -> None:
        """Note one; what the same thing was refused for already says nothing new."""
        if not any(each.id == refusal.id and each.error.code == refusal.error.code for each in self._found):
            self._found.append(refusal)

    async def attempt(self, subject: Subject, id_: str, name: str, work: Awaitable[T]) -> T | None:
        """The result of `work`; None, and a refusal, where the platform refuses it."""
        answer = await tried(work)
        if isinstance(answer, PlatformError):
            self.add(Refusal(subject, id_, name, answer))
            return None
        return answer

    def raise_what_may_still_come(self) -> None:
        """Unless there is no other chance: of several errors, the one that asks for the longest wait."""
        if not self._is_last_chance:
            self._raise_pending()

    def most_telling(self) -> PlatformError | None:
        """Why there is nothing at all; raises what may still come instead."""
        self._raise_pending()
        errors = [refusal.error for refusal in self._found]
        if not errors:
            return None
        return min(errors, key=lambda error: _MOST_TELLING_FIRST.index(error.consequence))

    def _raise_pending(self) -> None:
        pending = [refusal.error for refusal in self._found if not refusal.error.permanent]
        if pending:
            raise max(pending, key=lambda error: error.retry_after or 0.0)


async def tried(work: Awaitable[T]) -> T | PlatformError:
    """What came of it: the result, or the platform's error."""
    try:
        return await work
    except PlatformError as error:
        return error


async def together(works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, worked out at the same time; what one raises stops the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except ExceptionGroup as several:
        # The first is told as itself: what follows from a failure is decided by its type.
        raise several.exceptions[0] from None
    return [task.result() for task in tasks]
