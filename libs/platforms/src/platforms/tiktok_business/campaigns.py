"""The names of campaigns."""

from __future__ import annotations

from collections.abc import Sequence

from platforms.tiktok_business.client import Business

MOST_IDS = 100
"""Campaigns one question may name."""


async def names(business: Business, advertiser: str, ids: Sequence[str]) -> dict[str, str]:
    """The names of the campaigns by id, of deleted ones too; raises PlatformError."""
    found: dict[str, str] = {}
    for start in range(0, len(ids), MOST_IDS):
        params = {
            "advertiser_id": advertiser,
            "fields": ("campaign_id", "campaign_name"),
            # Those that were deleted have names too, and are listed only when asked for.
            "filtering": {
                "campaign_ids": ids[start : start + MOST_IDS],
                "primary_status": "STATUS_ALL",
            },
        }
        async for row in business.rows("campaign/get/", params, advertiser=advertiser):
            if name := row.get("campaign_name"):
                found[str(row.get("campaign_id"))] = str(name)
    return found
