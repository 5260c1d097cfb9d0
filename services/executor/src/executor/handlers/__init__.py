"""The kinds of automation this executor can run, found by the entry point group `carillon.handlers`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import structlog
from pydantic import BaseModel

from common.errors import ConfigurationError
from executor.handlers.base import Handler
from executor.settings import ExecutorSettings

GROUP = "carillon.handlers"
log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def load_handlers(settings: ExecutorSettings) -> dict[str, Handler[Any]]:
    """Every installed handler by its name.

    A handler that cannot be loaded is logged and left out: a user's package must not stop the executor.

    Raises:
        ConfigurationError: two packages declare the same name, so that it is undefined whose code would run.
    """
    handlers: dict[str, Handler[Any]] = {}
    for name, entry in sorted(_by_name(entry_points(group=GROUP)).items()):
        try:
            handlers[name] = _load(entry, settings)
        except Exception as error:
            log.exception(
                "handler left out",
                type=name,
                entry_point=entry.value,
                error=f"{type(error).__name__}: {error}",
            )
    return handlers


def _by_name(entries: Iterable[EntryPoint]) -> dict[str, EntryPoint]:
    declared: dict[str, dict[str, EntryPoint]] = defaultdict(dict)
    for entry in entries:
        declared[entry.name][entry.value] = entry
    for name, candidates in declared.items():
        if len(candidates) > 1:
            raise ConfigurationError(
                f"the handler {name!r} is declared more than once: {' and '.join(sorted(candidates))}; "
                "uninstall all but one of these packages"
            )
    return {name: next(iter(candidates.values())) for name, candidates in declared.items()}


def _load(entry: EntryPoint, settings: ExecutorSettings) -> Handler[Any]:
    """Import and construct; raises whatever the package raises, and TypeError for what is no handler."""
    loaded = entry.load()
    if not (isinstance(loaded, type) and issubclass(loaded, Handler)):
        raise TypeError(f"{entry.value} is not a subclass of executor.handlers.base.Handler")
    if getattr(loaded, "name", None) != entry.name:
        raise TypeError(f"{entry.value} must have the name it is declared under, {entry.name!r}")
    if not isinstance(getattr(loaded, "title", None), str):
        raise TypeError(f"{entry.value} has no title")
    config = getattr(loaded, "config", None)
    if not (isinstance(config, type) and issubclass(config, BaseModel)):
        raise TypeError(f"{entry.value}.config must be a pydantic model")
    config.model_json_schema()  # what the executor announces; raises when the model has none
    # Every handler takes the executor's settings, which the abstract class cannot say of its subclasses.
    construct: Any = loaded
    handler: Handler[Any] = construct(settings)
    return handler
