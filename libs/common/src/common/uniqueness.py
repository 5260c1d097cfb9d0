"""Lists that name nothing twice."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

from pydantic_core import PydanticCustomError

T = TypeVar("T", bound=Hashable)


def unique(values: tuple[T, ...]) -> tuple[T, ...]:
    """The same values; refuses one that is written twice."""
    repeated = next((value for index, value in enumerate(values) if value in values[:index]), None)
    if repeated is not None:
        raise PydanticCustomError("repeated", "write {value} only once", {"value": str(repeated)})
    return values
