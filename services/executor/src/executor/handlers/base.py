"""What a handler is: one kind of automation, one class, found by the entry point group `carillon.handlers`.

A package of yours adds one with

    [project.entry-points."carillon.handlers"]
    my_type = "my_package.my_module:MyHandler"

The executor announces each handler's configuration schema at its start, so that the API can check new
automations against it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel

from common.errors import PlatformError
from common.messages import Message
from executor.context import Account, RunContext, RunLog

__all__ = ["Account", "Handler", "Outcome", "RunContext", "RunLog"]

C = TypeVar("C", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a handler did: a one-line summary, figures kept as the run's result, messages to deliver.

    `state` replaces what the automation remembers, in the transaction that records the run; None leaves it.
    `faults` are errors the handler worked around that say something about a connection: a dead token of one
    account out of three is no reason to fail the run, and a person must still be told.
    """

    summary: str
    result: dict[str, Any]
    messages: Sequence[Message] = ()
    state: Mapping[str, Any] | None = None
    faults: Sequence[PlatformError] = ()


class Handler(ABC, Generic[C]):
    """One kind of automation. `name` is the automation's `type`; `config` the model of its configuration.

    Constructed once per executor with its `ExecutorSettings`.

    `run` raises `common.errors.RemoteError` (or any CarillonError) to fail an attempt; the error's own
    consequence decides whether there is another. It is cancelled when the run is cancelled, superseded or
    exceeds its timeout, and must let the cancellation pass.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    config: type[C]

    @abstractmethod
    async def run(self, context: RunContext, config: C) -> Outcome:
        """Do the work of one attempt."""
