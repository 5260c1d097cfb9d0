"""Nodes of the graph: which fields they have and how each reads."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.clock import Clock
from sandbox.facebook.errors import GraphError
from sandbox.facebook.request import split_fields
from sandbox.world.ads import Ad, AdAccount, AdSet, Campaign
from sandbox.world.pages import Page
from sandbox.world.population import World

Field = Callable[[Any], Any]
PAGE_TASKS = ["ADVERTISE", "ANALYZE", "CREATE_CONTENT", "MESSAGING", "MODERATE", "MANAGE"]
_STARTED = "2024-01-08T09:00:00+0000"


class Reader:
    """Renders nodes of the world as Graph JSON."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock
        page: dict[str, Field] = {
            "id": lambda it: it.id,
            "name": lambda it: it.name,
            "category": lambda it: it.category,
            "category_list": lambda it: [{"id": it.category_id, "name": it.category}],
            "fan_count": self._fans,
            "followers_count": self._followers,
            "link": lambda it: f"https://www.facebook.com/{it.slug}",
            "username": lambda it: it.slug,
            "about": lambda it: f"{it.name}, {it.category.lower()}",
            "is_published": lambda _: True,
            "verification_status": lambda _: "not_verified",
            "tasks": lambda _: PAGE_TASKS,
        }
        account: dict[str, Field] = {
            "id": lambda it: it.id,
            "account_id": lambda it: it.number,
            "name": lambda it: it.name,
            "account_status": lambda it: it.status,
            "currency": lambda it: it.currency,
            "timezone_name": lambda it: it.timezone,
            "timezone_id": lambda it: 1 + sum(it.timezone.encode()) % 150,
            "timezone_offset_hours_utc": self._utc_offset,
            "amount_spent": lambda it: str(sum(it.number.encode()) * 7_919),
            "balance": lambda _: "0",
            "spend_cap": lambda _: "0",
            "disable_reason": lambda it: 0 if it.status == 1 else 1,
            "created_time": lambda _: _STARTED,
            "business": lambda it: {"id": "99" + it.number[2:], "name": it.name},
            "business_name": lambda it: it.name,
            "age": lambda _: 900.5,
        }
        campaign: dict[str, Field] = {
            "id": lambda it: it.id,
            "account_id": lambda it: it.account.number,
            "name": lambda it: it.name,
            "objective": lambda it: it.objective,
            "status": world.status,
            "effective_status": world.status,
            "configured_status": world.status,
            "daily_budget": lambda _: "15000",
            "buying_type": lambda _: "AUCTION",
            "created_time": lambda _: _STARTED,
            "start_time": lambda _: _STARTED,
            "updated_time": lambda _: _STARTED,
            "special_ad_categories": lambda _: [],
        }
        adset: dict[str, Field] = {
            "id": lambda it: it.id,
            "account_id": lambda it: it.campaign.account.number,
            "campaign_id": lambda it: it.campaign.id,
            "name": lambda it: it.name,
            "status": world.status,
            "effective_status": world.status,
            "daily_budget": lambda _: "5000",
            "optimization_goal": lambda _: "OFFSITE_CONVERSIONS",
            "billing_event": lambda _: "IMPRESSIONS",
            "created_time": lambda _: _STARTED,
        }
        ad: dict[str, Field] = {
            "id": lambda it: it.id,
            "account_id": lambda it: it.adset.campaign.account.number,
            "campaign_id": lambda it: it.adset.campaign.id,
            "adset_id": lambda it: it.adset.id,
            "name": lambda it: it.name,
            "status": world.status,
            "effective_status": world.status,
            "created_time": lambda _: _STARTED,
        }
        user: dict[str, Field] = {
            "id": lambda _: world.person_id,
            "name": lambda _: world.person_name,
            "first_name": lambda _: world.person_name.split()[0],
            "last_name": lambda _: world.person_name.split()[-1],
            "email": lambda _: "dana@demo.example",
        }
        self._fields: dict[type, tuple[str, dict[str, Field], tuple[str, ...]]] = {
            Page: ("Page", page, ("name", "id")),
            AdAccount: ("AdAccount", account, ("account_id", "id")),
            Campaign: ("AdCampaignGroup", campaign, ("id",)),
            AdSet: ("AdCampaign", adset, ("id",)),
            Ad: ("AdGroup", ad, ("id",)),
            World: ("User", user, ("name", "id")),
        }

    def read(
        self,
        node: object,
        wanted: list[str],
        extra: dict[str, Field] | None = None,
        defaults: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """``node`` with the ``wanted`` fields, or its defaults; always with its id.

        ``extra`` are fields only this request may see. Raises code 100 for an unknown field.
        """
        type_name, known, usual = self._fields[type(node)]
        if extra:
            known = {**known, **extra}
        shown: dict[str, Any] = {}
        for expression in wanted or defaults or usual:
            name, inner = _expansion(expression)
            field = known.get(name)
            if field is None:
                raise GraphError(
                    100, f"(#100) Tried accessing nonexisting field ({name}) on node type ({type_name})"
                )
            value = field(node)
            shown[name] = _narrow(value, inner) if inner else value
        if "id" not in shown:
            shown["id"] = known["id"](node)
        return shown

    def metadata(self, node: object) -> dict[str, Any]:
        """What ``metadata=1`` adds."""
        type_name, known, _ = self._fields[type(node)]
        return {
            "fields": [{"name": name, "description": "", "type": "string"} for name in known],
            "type": type_name.lower(),
        }

    def _fans(self, page: Page) -> int:
        return page.fans(self._clock.today(ZoneInfo("America/Los_Angeles")))

    def _followers(self, page: Page) -> int:
        return page.followers(self._clock.today(ZoneInfo("America/Los_Angeles")))

    def _utc_offset(self, account: AdAccount) -> float:
        moment = datetime.fromtimestamp(self._clock.now(), ZoneInfo(account.timezone))
        offset = moment.utcoffset()
        hours = offset.total_seconds() / 3600 if offset else 0.0
        return int(hours) if hours == int(hours) else hours


def _expansion(expression: str) -> tuple[str, list[str]]:
    name, brace, inner = expression.partition("{")
    name = name.partition(".")[0].strip()
    return name, split_fields(inner.rstrip("}")) if brace else []


def _narrow(value: Any, names: list[str]) -> Any:
    if isinstance(value, list):
        return [_narrow(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: value[name] for name in names if name in value} | (
        {"id": value["id"]} if "id" in value else {}
    )
