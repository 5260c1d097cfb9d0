"""Values that several configurations have: zones, ids of accounts, lists that name nothing twice."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from common.scheduling.zones import UnknownZone, check_zone
from common.uniqueness import unique as unique

MAX_SELECTED = 200
_AD_ACCOUNT = re.compile(r"(?:act_)?([0-9]{1,20})", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)


def _known_zone(name: str) -> str:
    try:
        return check_zone(name)
    except UnknownZone as unknown:
        raise PydanticCustomError("timezone", "{reason}", {"reason": str(unknown)}) from unknown


def _ad_account_id(text: str) -> str:
    match = _AD_ACCOUNT.fullmatch(text)
    if match is None:
        raise PydanticCustomError("ad_account_id", "write an ad account's id as act_123 or 123")
    return f"act_{match[1]}"


def _page_id(text: str) -> str:
    if _DIGITS.fullmatch(text) is None:
        raise PydanticCustomError("page_id", "write a page's id, the digits that Facebook shows for it")
    return text


def _advertiser_id(text: str) -> str:
    if _DIGITS.fullmatch(text) is None:
        raise PydanticCustomError("advertiser_id", "write an advertiser's id, the digits TikTok shows for it")
    return text


Zone = Annotated[str, AfterValidator(_known_zone)]
"""An IANA zone."""
AdAccountId = Annotated[
    str,
    AfterValidator(_ad_account_id),
    WithJsonSchema({"type": "string", "pattern": "^(act_)?[0-9]{1,20}$"}),
]
"""A Facebook ad account, written with or without `act_`."""
PageId = Annotated[
    str, AfterValidator(_page_id), WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,20}$"})
]
"""A Facebook page."""
AdvertiserId = Annotated[
    str, AfterValidator(_advertiser_id), WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,20}$"})
]
"""A TikTok advertiser."""
