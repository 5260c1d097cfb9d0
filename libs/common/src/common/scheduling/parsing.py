"""Reading a schedule as its owner wrote it, and saying what is wrong with it field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from common.scheduling.kinds import KINDS, Schedule

_SCHEDULE: TypeAdapter[Schedule] = TypeAdapter(Schedule)
_TYPES = ", ".join(sorted(KINDS))


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
        raise ScheduleError(field_errors(refused)) from refused


def as_schedule(given: Schedule | Mapping[str, Any]) -> Schedule:
    """The schedule itself, read first where it is still a mapping; raises ScheduleError."""
    return parse_schedule(given) if isinstance(given, Mapping) else given


def field_errors(refused: ValidationError) -> list[FieldError]:
    """What is wrong, field by field, in words that say what to write instead.

    Of a field and a part of it only the part is named: a list with a bad item is also reported as too short.
    """
    errors = [_field_error(error) for error in refused.errors(include_url=False, include_input=False)]
    deeper = {error.path.rpartition(".")[0] for error in errors}
    return [error for error in errors if not error.path or error.path not in deeper]


def _field_error(error: ErrorDetails) -> FieldError:
    location = error["loc"]
    kind = str(location[0]) if location and location[0] in KINDS else ""
    path = ".".join(str(part) for part in (location[1:] if kind else location))
    limits = error.get("ctx", {})
    match error["type"]:
        case "union_tag_invalid":
            return FieldError("type", f"there is no such kind; write one of {_TYPES}")
        case "union_tag_not_found":
            return FieldError("type", f"it is missing; write one of {_TYPES}")
        case "missing":
            return FieldError(path, "it is missing; write it")
        case "extra_forbidden" if kind and "." not in path:
            fields = ", ".join(sorted(KINDS[kind].model_fields))
            return FieldError(path, f"a schedule of type {kind} has no such field; it has {fields}")
        case "extra_forbidden":
            return FieldError(path, "there is no such field; leave it out")
        case "int_type" | "int_from_float" | "int_parsing":
            return FieldError(path, "write a whole number")
        case "greater_than_equal":
            return FieldError(path, f"write a number of at least {limits['ge']}")
        case "less_than_equal":
            return FieldError(path, f"write a number of at most {limits['le']}")
        case "literal_error":
            return FieldError(path, f"write {limits['expected']}")
        case "string_type":
            return FieldError(path, "write text")
        case "model_type" | "model_attributes_type" | "dict_type":
            return FieldError(path, "write an object with its fields")
        case "tuple_type":
            return FieldError(path, "write a list")
        case "time_delta_type" | "time_delta_parsing":
            return FieldError(path, "write a duration, in seconds or as PT6H")
        case "too_short":
            return FieldError(path, f"write at least {limits['min_length']}")
        case "too_long":
            return FieldError(path, f"write at most {limits['max_length']}")
        case "datetime_type" | "datetime_parsing" | "datetime_from_date_parsing":
            return FieldError(path, "write an instant as 2026-12-24T09:00:00Z")
        case "date_type" | "date_parsing" | "date_from_datetime_parsing" | "date_from_datetime_inexact":
            return FieldError(path, "write a date as 2026-12-24")
    return FieldError(path, error["msg"])
