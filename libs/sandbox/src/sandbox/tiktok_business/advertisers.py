"""Advertisers and their campaigns, as far as the token may see them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sandbox.clock import Clock
from sandbox.tiktok_business.errors import BusinessError, invalid
from sandbox.tiktok_business.paging import paginate
from sandbox.tiktok_business.report_filters import MOST_IDS, has_status
from sandbox.tiktok_business.request import BusinessRequest
from sandbox.world.deletions import Deletions
from sandbox.world.dice import throw
from sandbox.world.tiktok_ads import Advertiser, TikTokAds, TikTokCampaign

_STATUSES = ("STATUS_ALL", "STATUS_NOT_DELETE", "STATUS_DELETE", "STATUS_DELIVERY_OK", "STATUS_DISABLE")
_FILTERS = frozenset(
    {
        "campaign_ids",
        "campaign_name",
        "primary_status",
        "secondary_status",
        "objective_type",
        "creation_filter_start_time",
        "creation_filter_end_time",
    }
)
_MOMENT = "%Y-%m-%d %H:%M:%S"

Facts = dict[str, Any]


class Advertisers:
    """The endpoints that list what there is."""

    def __init__(self, ads: TikTokAds, clock: Clock) -> None:
        self._ads = ads
        self._clock = clock

    def find(self, request: BusinessRequest, advertiser_id: str) -> Advertiser:
        """The advertiser, if the token may see it; raises code 40002, 40300 or 40001."""
        if not advertiser_id.isdigit():
            raise invalid("advertiser_id", "Must be a numeric string.")
        advertiser = self._ads.find(advertiser_id)
        if advertiser is None:
            raise BusinessError(40300, f"Advertiser {advertiser_id} does not exist.")
        if not request.identity.permitted or advertiser_id in request.identity.declined:
            raise BusinessError(40001, f"No permission to operate advertiser {advertiser_id}.")
        return advertiser

    def info(self, request: BusinessRequest) -> dict[str, Any]:
        """GET /advertiser/info/."""
        request.need("advertiser_ids")
        ids = request.strings("advertiser_ids")
        if len(ids) > MOST_IDS:
            raise BusinessError(40011, f"advertiser_ids: at most {MOST_IDS} ids are allowed.")
        found = [self.find(request, one) for one in ids]
        return {"list": [_chosen(request, self._about(one)) for one in found]}

    def campaigns(self, request: BusinessRequest) -> dict[str, Any]:
        """GET /campaign/get/."""
        (advertiser_id,) = request.need("advertiser_id")
        advertiser = self.find(request, advertiser_id)
        wanted = _filter(request.object("filtering"), self._ads.deletions)
        found = [campaign for campaign in advertiser.campaigns if wanted(campaign)]
        found.sort(key=lambda campaign: campaign.created_at, reverse=True)
        return paginate(request, found, lambda campaign: _chosen(request, _campaign(campaign)))

    def _about(self, advertiser: Advertiser) -> Facts:
        chances = throw(advertiser.seed, "balance", advertiser.id, self._clock.instant().date())
        return {
            "advertiser_id": advertiser.id,
            "name": advertiser.name,
            "company": advertiser.name,
            "status": advertiser.status,
            "currency": advertiser.currency,
            "timezone": advertiser.timezone,
            "display_timezone": advertiser.display_timezone,
            "country": advertiser.country,
            "balance": round(200 + 3_000 * chances[0], 2),
            "create_time": 1_672_646_400 + int(advertiser.id[8:13]),
            "role": "ROLE_ADVERTISER",
            "advertiser_account_type": "AUCTION",
            "industry": advertiser.industry,
            "email": "d***@example.com",
            "telephone_number": "+1********42",
            "language": "en",
            "rejection_reason": "",
        }


def _campaign(campaign: TikTokCampaign) -> Facts:
    return {
        "campaign_id": campaign.id,
        "advertiser_id": campaign.advertiser.id,
        "campaign_name": campaign.name,
        "campaign_type": "REGULAR_CAMPAIGN",
        "objective_type": campaign.objective_type,
        "objective": campaign.objective,
        "budget": campaign.budget,
        "budget_mode": "BUDGET_MODE_DAY",
        "operation_status": "ENABLE" if campaign.enabled else "DISABLE",
        "secondary_status": _secondary_status(campaign),
        "create_time": campaign.created_at.strftime(_MOMENT),
        "modify_time": campaign.created_at.strftime(_MOMENT),
        "is_new_structure": True,
        "is_smart_performance_campaign": False,
        "roas_bid": 0,
    }


def _secondary_status(campaign: TikTokCampaign) -> str:
    return "CAMPAIGN_STATUS_ENABLE" if campaign.enabled else "CAMPAIGN_STATUS_DISABLE"


def _filter(conditions: dict[str, Any], deletions: Deletions) -> Callable[[TikTokCampaign], bool]:
    if unknown := sorted(conditions.keys() - _FILTERS):
        raise invalid("filtering", f"Unknown field {unknown[0]}.")
    ids = conditions.get("campaign_ids")
    if ids is not None and not isinstance(ids, list):
        raise invalid("filtering.campaign_ids", "Must be a list.")
    if len(ids or ()) > MOST_IDS:
        raise BusinessError(40011, f"filtering.campaign_ids: at most {MOST_IDS} ids are allowed.")
    status = conditions.get("primary_status", "STATUS_NOT_DELETE")
    if status not in _STATUSES:
        raise invalid("filtering.primary_status", f"Must be one of: {', '.join(_STATUSES)}.")
    since = _moment(conditions, "creation_filter_start_time")
    until = _moment(conditions, "creation_filter_end_time")
    wanted_ids = {str(one) for one in ids or ()}

    def takes(campaign: TikTokCampaign) -> bool:
        created = campaign.created_at
        return (
            (not wanted_ids or campaign.id in wanted_ids)
            and str(conditions.get("campaign_name", "")).lower() in campaign.name.lower()
            and has_status(str(status), enabled=campaign.enabled, deleted=deletions.cover(campaign.id))
            and conditions.get("secondary_status", _secondary_status(campaign)) == _secondary_status(campaign)
            and conditions.get("objective_type", campaign.objective_type) == campaign.objective_type
            and (not since or since <= created)
            and (not until or created <= until)
        )

    return takes


def _moment(conditions: dict[str, Any], name: str) -> datetime | None:
    """A UTC second as TikTok writes it; None when it did not come."""
    value = str(conditions.get(name, ""))
    if not value:
        return None
    try:
        return datetime.strptime(value, _MOMENT).replace(tzinfo=UTC)
    except ValueError:
        raise invalid(f"filtering.{name}", "Time format should be YYYY-MM-DD HH:MM:SS.") from None


def _chosen(request: BusinessRequest, facts: Facts) -> Facts:
    """What ``fields`` asks for, or everything."""
    fields = request.strings("fields")
    if unknown := [name for name in fields if name not in facts]:
        raise invalid("fields", f"Invalid fields: {unknown}.")
    return {name: facts[name] for name in fields} if fields else facts
