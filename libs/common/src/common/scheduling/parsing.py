"""Reading a schedule that somebody wrote, and saying what is wrong with it field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from common.scheduling.kinds import Schedule

_SCHEDULE: TypeAdapter[Schedule] = TypeAdapter(Schedule)


class FieldError(NamedTuple):
    """What is wrong with one field."""

    path: str
    """Dotted, as in `window.from`; empty for the schedule as a whole."""
    message: str


class ScheduleError(ValueError):
    """The schedule is refused; `errors` says for each field what to write instead."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(f"{error.path or 'schedule'}: {error.message}" for error in errors))
        self.errors = errors


def parse_schedule(raw: Mapping[str, Any]) -> Schedule:
    """The schedule a mapping (usually decoded JSON) describes.

    Raises:
        ScheduleError: a field is missing, unknown or out of range.
    """
    try:
        return _SCHEDULE.validate_python(raw)
    except ValidationError as refused:
        raise ScheduleError([_field_error(error) for error in refused.errors(include_url=False)]) from refused


def _field_error(error: ErrorDetails) -> FieldError:
    path = [str(part) for part in error["loc"][1:]]
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        path = ["type"]
    return FieldError(".".join(path), error["msg"])
