"""The ``filtering`` parameter of reports: conditions on what counts, and on which rows are shown."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.tiktok_business.errors import BusinessError, invalid, not_one_of
from sandbox.tiktok_business.report_metrics import NUMBERS, Row, number_of
from sandbox.world.tiktok_ads import TikTokAd

MOST_IDS = 100
_TYPES = (
    "IN",
    "NOT_IN",
    "MATCH",
    "CONTAIN_ANY_OF",
    "RANGE",
    "BETWEEN",
    "GREATER_THAN",
    "GREATER_EQUAL",
    "LOWER_THAN",
    "LOWER_EQUAL",
)
_LISTS = frozenset({"IN", "NOT_IN", "CONTAIN_ANY_OF", "RANGE", "BETWEEN"})
_STATUSES = {"STATUS_ALL", "STATUS_NOT_DELETE", "STATUS_DELETE", "STATUS_DELIVERY_OK", "STATUS_DISABLE"}
_TEXTS: dict[str, Callable[[TikTokAd], str]] = {
    "campaign_ids": lambda ad: ad.adgroup.campaign.id,
    "adgroup_ids": lambda ad: ad.adgroup.id,
    "ad_ids": lambda ad: ad.id,
    "campaign_name": lambda ad: ad.adgroup.campaign.name,
    "adgroup_name": lambda ad: ad.adgroup.name,
    "ad_name": lambda ad: ad.name,
    "objective_type": lambda ad: ad.adgroup.campaign.objective_type,
}
_STATUS_FIELDS = frozenset({"campaign_status", "adgroup_status", "ad_status"})

TextTest = Callable[[str], bool]
NumberTest = Callable[[float], bool]


@dataclass(frozen=True, slots=True)
class Filters:
    """Every condition has to hold."""

    ads: tuple[Callable[[TikTokAd], bool], ...] = ()
    statuses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The states asked for, by `campaign_status` and its like."""
    rows: tuple[Callable[[Row], bool], ...] = ()

    def takes(self, ad: TikTokAd) -> bool:
        return all(test(ad) for test in self.ads)

    def keeps(self, row: Row) -> bool:
        return all(test(row) for test in self.rows)


def parse_filters(conditions: list[dict[str, Any]]) -> Filters:
    """Read the list; raises code 40002, or 40011 for too many ids."""
    ads: list[Callable[[TikTokAd], bool]] = []
    statuses: dict[str, tuple[str, ...]] = {}
    rows: list[Callable[[Row], bool]] = []
    for condition in conditions:
        if not {"field_name", "filter_type", "filter_value"} <= condition.keys():
            raise invalid("filtering", "field_name, filter_type and filter_value are required.")
        name, kind = str(condition["field_name"]), str(condition["filter_type"])
        if kind not in _TYPES:
            raise not_one_of("filter_type", _TYPES)
        values = _values(condition["filter_value"], kind)
        if name in _TEXTS:
            if name.endswith("_ids") and len(values) > MOST_IDS:
                raise BusinessError(40011, f"filtering: {name} must not have more than {MOST_IDS} ids.")
            ads.append(_on_text(_TEXTS[name], _text_test(kind, values)))
        elif name in _STATUS_FIELDS:
            statuses[name] = _known_statuses(values)
        elif name in NUMBERS:
            rows.append(_on_number(name, _number_test(kind, values)))
        else:
            raise invalid("filtering", f"Invalid field_name {name}.")
    return Filters(tuple(ads), statuses, tuple(rows))


def _values(raw: Any, kind: str) -> list[str]:
    """``filter_value`` is always text, for some types the text of a JSON list."""
    if not isinstance(raw, str):
        raise invalid("filter_value", "Must be a string.")
    if kind not in _LISTS:
        return [raw]
    try:
        values = json.loads(raw)
    except ValueError:
        values = None
    if not isinstance(values, list) or not values:
        raise invalid("filter_value", "Must be a valid JSON array string.")
    return [str(value) for value in values]


def _text_test(kind: str, values: list[str]) -> TextTest:
    lowered = [value.lower() for value in values]
    tests: dict[str, TextTest] = {
        "IN": lambda it: it in values,
        "NOT_IN": lambda it: it not in values,
        "MATCH": lambda it: lowered[0] in it.lower(),
        "CONTAIN_ANY_OF": lambda it: any(value in it.lower() for value in lowered),
    }
    if kind not in tests:
        raise invalid("filter_type", f"{kind} is not supported for this field.")
    return tests[kind]


def _number_test(kind: str, values: list[str]) -> NumberTest:
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        raise invalid("filter_value", "Must be a number.") from None
    if kind in ("RANGE", "BETWEEN") and len(numbers) != 2:
        raise invalid("filter_value", "Must have exactly two values.")
    tests: dict[str, NumberTest] = {
        "IN": lambda it: it in numbers,
        "NOT_IN": lambda it: it not in numbers,
        "RANGE": lambda it: numbers[0] <= it <= numbers[-1],
        "BETWEEN": lambda it: numbers[0] <= it <= numbers[-1],
        "GREATER_THAN": lambda it: it > numbers[0],
        "GREATER_EQUAL": lambda it: it >= numbers[0],
        "LOWER_THAN": lambda it: it < numbers[0],
        "LOWER_EQUAL": lambda it: it <= numbers[0],
    }
    if kind not in tests:
        raise invalid("filter_type", f"{kind} is not supported for this field.")
    return tests[kind]


def _on_text(read: Callable[[TikTokAd], str], test: TextTest) -> Callable[[TikTokAd], bool]:
    return lambda ad: test(read(ad))


def _on_number(name: str, test: NumberTest) -> Callable[[Row], bool]:
    return lambda row: test(number_of(row, name))


def _known_statuses(values: list[str]) -> tuple[str, ...]:
    if unknown := sorted(set(values) - _STATUSES):
        raise invalid("filtering", f"Invalid status {unknown[0]}.")
    return tuple(values)


def has_status(status: str, *, enabled: bool, deleted: bool) -> bool:
    """Whether an object has one of TikTok's primary statuses."""
    return {
        "STATUS_ALL": True,
        "STATUS_DELETE": deleted,
        "STATUS_NOT_DELETE": not deleted,
        "STATUS_DELIVERY_OK": enabled and not deleted,
        "STATUS_DISABLE": not enabled and not deleted,
    }[status]
