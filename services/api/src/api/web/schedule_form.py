"""A schedule as a form: a handful of kinds people know, and JSON for everything else. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from api.limits import parse_json
from api.web.times import in_zone
from common.errors import RequestError

KINDS: Mapping[str, str] = {
    "daily": "Every day",
    "weekdays": "Some weekdays",
    "interval": "Every so often",
    "once": "Once",
    "cron": "Cron",
    "json": "Advanced",
}
FIELDS: Mapping[str, str] = {
    "/schedule_config": "schedule.kind",
    "/schedule_config/timezone": "schedule.timezone",
    "/schedule_config/time": "schedule.time",
    "/schedule_config/days": "schedule.days",
    "/schedule_config/interval_minutes": "schedule.every",
    "/schedule_config/at": "schedule.at",
    "/schedule_config/expression": "schedule.expression",
}
"""Where the form shows what a fault's pointer names."""
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
UNITS = {"minutes": 1, "hours": 60, "days": 1440}
_PLAIN = {
    "type",
    "timezone",
    "hour",
    "minute",
    "time",
    "days",
    "interval_minutes",
    "at",
    "anchor",
    "weekday",
    "expression",
}

Form = Mapping[str, Sequence[str]]


def blank(timezone: str = "UTC") -> dict[str, Any]:
    """What a new automation's form begins with."""
    return {
        "schedule.kind": "daily",
        "schedule.timezone": timezone,
        "schedule.time": "09:00",
        "schedule.days": ["0", "1", "2", "3", "4"],
        "schedule.every": "60",
        "schedule.unit": "minutes",
        "schedule.anchor": "",
        "schedule.at": "",
        "schedule.expression": "0 9 * * 1-5",
        "schedule.json": "",
    }


def read(form: Form) -> tuple[dict[str, Any], str | None]:
    """The schedule a submitted form describes, and what is wrong with the JSON if that was the choice."""
    kind = _one(form, "schedule.kind") or "daily"
    zone = _one(form, "schedule.timezone") or "UTC"
    match kind:
        case "interval":
            every, unit = _one(form, "schedule.every"), _one(form, "schedule.unit")
            minutes = int(every) * UNITS.get(unit, 1) if every.isdecimal() and len(every) < 8 else every
            anchor = _one(form, "schedule.anchor")
            kept = {"anchor": anchor} if anchor else {}
            return {"type": "interval", "interval_minutes": minutes, "timezone": zone, **kept}, None
        case "weekdays":
            days = sorted({int(day) for day in form.get("schedule.days", ()) if day in "0123456" and day})
            time = _one(form, "schedule.time")
            return {"type": "weekdays", "days": days, "time": time, "timezone": zone}, None
        case "once":
            return {"type": "once", "at": _one(form, "schedule.at"), "timezone": zone}, None
        case "cron":
            return {"type": "cron", "expression": _one(form, "schedule.expression"), "timezone": zone}, None
        case "json":
            try:
                document = parse_json(_one(form, "schedule.json").encode())
            except RequestError as error:
                return {}, error.detail
            return (document, None) if isinstance(document, dict) else ({}, "Write a JSON object.")
        case _:
            return {"type": "time_of_day", "time": _one(form, "schedule.time"), "timezone": zone}, None


def shown(schedule: Mapping[str, Any]) -> dict[str, Any]:
    """A stored schedule as the form shows it. One that the simple kinds cannot say is shown as JSON."""
    values = blank(str(schedule.get("timezone", "UTC")))
    values["schedule.json"] = json.dumps(schedule, indent=2, ensure_ascii=False)
    values["schedule.kind"] = "json"
    if set(schedule) - _PLAIN:
        return values
    match schedule:
        case {"type": "daily", "hour": int(hour)}:
            _set(values, "daily", time=f"{hour:02}:{schedule.get('minute', 0):02}")
        case {"type": "time_of_day", "time": str(time)}:
            _set(values, "daily", time=time)
        case {"type": "weekly", "weekday": int(day), "hour": int(hour)}:
            _set(values, "weekdays", time=f"{hour:02}:{schedule.get('minute', 0):02}", days=[str(day)])
        case {"type": "weekdays", "days": list(days), "time": str(time)}:
            _set(values, "weekdays", time=time, days=[str(day) for day in days])
        case {"type": "interval", "interval_minutes": int(minutes)}:
            unit = next(name for name in ("days", "hours", "minutes") if minutes % UNITS[name] == 0)
            anchor = str(schedule.get("anchor") or "")
            _set(values, "interval", every=str(minutes // UNITS[unit]), unit=unit, anchor=anchor)
        case {"type": "once", "at": str(at)}:
            _set(values, "once", at=_local(at, values["schedule.timezone"]))
        case {"type": "cron", "expression": str(expression)}:
            _set(values, "cron", expression=expression)
    return values


def _local(at: str, zone: str) -> str:
    """An instant as a browser's field for dates and times holds it: on the clock of the zone."""
    try:
        instant = datetime.fromisoformat(at)
    except ValueError:
        return at
    local = instant if instant.tzinfo is None else in_zone(instant, zone)
    return local.strftime("%Y-%m-%dT%H:%M:%S" if local.second else "%Y-%m-%dT%H:%M")


def _set(values: dict[str, Any], kind: str, **fields: Any) -> None:
    values["schedule.kind"] = kind
    values.update({f"schedule.{name}": value for name, value in fields.items()})


def _one(form: Form, name: str) -> str:
    values = form.get(name, ())
    return values[0].strip() if values else ""
