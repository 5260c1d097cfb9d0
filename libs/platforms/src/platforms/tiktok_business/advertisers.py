"""The advertisers a token may see, with their currencies and zones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from common.errors import Consequence, PlatformError
from platforms.advertising.figures import AdAccount
from platforms.calls.api import Json
from platforms.tiktok_business.client import Business

MOST_IDS = 100
"""Advertisers TikTok describes at a time."""
_FIELDS = ("advertiser_id", "name", "currency", "timezone", "display_timezone")
_OF_ONE = (Consequence.PERM, Consequence.GONE, Consequence.INVALID, Consequence.SPLIT)


@dataclass(frozen=True, slots=True)
class App:
    """The TikTok app that tokens were granted to."""

    id: str
    secret: str = field(repr=False)


async def granted(business: Business, app: App | None) -> dict[str, str]:
    """The names of the advertisers whose owners let the app in, by id; raises PlatformError."""
    if app is None:
        raise business.error(
            "which advertisers the token may see is told to its app only: "
            "TIKTOK_APP_ID and TIKTOK_APP_SECRET are not set",
            Consequence.INVALID,
            code="app_not_configured",
        )
    answer = await business.get("oauth2/advertiser/get/", {"app_id": app.id, "secret": app.secret})
    return {_id(business, row): str(row.get("advertiser_name") or "") for row in business.list_in(answer)}


async def described(business: Business, names: Mapping[str, str]) -> list[AdAccount]:
    """The advertisers in the order of `names`, which holds their names by id; raises PlatformError.

    One that TikTok refuses to describe is there with its name, and without currency or zone: what is asked of
    it next tells why.
    """
    ids = list(names)
    rows: dict[str, Json] = {}
    for start in range(0, len(ids), MOST_IDS):
        rows |= await _info(business, ids[start : start + MOST_IDS])
    return [_account(each, rows.get(each, {}), name) for each, name in names.items()]


def zone_of(*names: object) -> tuple[tzinfo, str]:
    """The zone an advertiser's days are counted in, by the first of the names that is one, and that name."""
    for name in names:
        if isinstance(name, str) and name:
            try:
                return ZoneInfo(name), name
            except (ValueError, OSError, KeyError):
                continue
    return UTC, "UTC"


async def _info(business: Business, ids: Sequence[str]) -> dict[str, Json]:
    """One advertiser that may not be seen spoils the answer for all: it is found by halving."""
    try:
        answer = await business.get("advertiser/info/", {"advertiser_ids": list(ids), "fields": _FIELDS})
    except PlatformError as error:
        if error.consequence not in _OF_ONE:
            raise
        if len(ids) == 1:
            return {}
        middle = len(ids) // 2
        return {**await _info(business, ids[:middle]), **await _info(business, ids[middle:])}
    return {_id(business, row): row for row in business.list_in(answer)}


def _account(advertiser_id: str, row: Json, name: str) -> AdAccount:
    zone, zone_name = zone_of(row.get("display_timezone"), row.get("timezone"))
    return AdAccount(
        advertiser_id,
        str(row.get("name") or name or advertiser_id),
        str(row.get("currency") or ""),
        zone,
        zone_name,
    )


def _id(business: Business, row: Json) -> str:
    value = row.get("advertiser_id")
    if not isinstance(value, str) or not value:
        raise business.error("an advertiser without advertiser_id", Consequence.INVALID)
    return value
