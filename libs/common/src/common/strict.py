"""Types of input that take a value in one spelling: 0 is not false, true is not 1, and 0.5 is no instant."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Strict
from pydantic_core import PydanticCustomError

Flag = Annotated[bool, Strict()]
WholeNumber = Annotated[int, Strict()]
Number = Annotated[float, Strict()]


def _spelled_like(example: str) -> BeforeValidator:
    def check(value: object) -> object:
        # Pydantic would take a number, and digits in text, for seconds since 1970.
        if isinstance(value, int | float) or (isinstance(value, str) and "-" not in value.strip()[1:]):
            raise PydanticCustomError("spelling", "write it as {example}", {"example": example})
        return value

    return BeforeValidator(check)


def _no_flag(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("duration", "write a duration, in seconds or as PT6H")
    return value


def _digits(value: object) -> object:
    if isinstance(value, str) and not (value.isascii() and value.isdecimal()):
        raise PydanticCustomError("digits", "write a whole number")
    return value


Digits = BeforeValidator(_digits)
"""For whole numbers in text: no sign, no point, no `1_000`."""
InstantText = _spelled_like("2026-12-24T09:00:00Z")
"""For instants: numbers are not taken for seconds since 1970."""
DateText = _spelled_like("2026-12-24")
"""The same for dates."""
NoFlag = BeforeValidator(_no_flag)
"""For durations: true is not one second."""
