"""How a delivery divides by age, gender, country and the like."""

from itertools import product

from sandbox.facebook.errors import GraphError, not_one_of
from sandbox.world.ads import Ad, Delivery
from sandbox.world.dice import apportion, throw

_HOURS = tuple(f"{hour:02d}:00:00 - {hour:02d}:59:59" for hour in range(24))
_SHARES: dict[str, dict[str, float]] = {
    "age": {"18-24": 14, "25-34": 31, "35-44": 24, "45-54": 16, "55-64": 9, "65+": 6},
    "gender": {"female": 55, "male": 42, "unknown": 3},
    "country": {"DE": 41, "AT": 12, "CH": 11, "US": 16, "GB": 12, "PL": 8},
    "region": {"Berlin": 24, "Bavaria": 21, "Hamburg": 18, "Vienna": 15, "Zurich": 12, "England": 10},
    "publisher_platform": {"facebook": 52, "instagram": 39, "audience_network": 6, "messenger": 3},
    "platform_position": {"feed": 48, "story": 24, "reels": 20, "video_feeds": 8},
    "device_platform": {"mobile": 91, "desktop": 9},
    "impression_device": {"iphone": 44, "android_smartphone": 42, "desktop": 9, "ipad": 5},
    "hourly_stats_aggregated_by_advertiser_time_zone": dict(
        zip(_HOURS, (2, 1, 1, 1, 1, 2, 3, 5, 5, 5, 5, 5, 6, 5, 5, 5, 5, 6, 7, 8, 9, 8, 5, 3), strict=True)
    ),
    "hourly_stats_aggregated_by_audience_time_zone": dict(
        zip(_HOURS, (2, 1, 1, 1, 1, 2, 3, 5, 5, 5, 5, 5, 6, 5, 5, 5, 5, 6, 7, 8, 9, 8, 5, 3), strict=True)
    ),
}
NAMES = tuple(sorted(_SHARES))
_TOGETHER = (
    {"age", "gender"},
    {"publisher_platform", "platform_position", "impression_device", "device_platform"},
    {"country", "region"},
)

Cell = tuple[str, ...]


def check(breakdowns: list[str]) -> tuple[str, ...]:
    """The breakdowns in the order asked; raises 100 for an unknown one, 2/1504041 for a bad combination."""
    for index, name in enumerate(breakdowns):
        if name not in _SHARES:
            raise not_one_of(f"breakdowns[{index}]", NAMES)
    chosen = tuple(dict.fromkeys(breakdowns))
    if len(chosen) > 1 and not any(set(chosen) <= family for family in _TOGETHER):
        columns = ", ".join(("action_type", *chosen))
        raise GraphError(
            2,
            f"(#2) Current combination of data breakdown columns ({columns}) is invalid",
            subcode=1504041,
        )
    return chosen


def is_hourly(breakdowns: tuple[str, ...]) -> bool:
    """Reach and frequency do not exist by the hour."""
    return any(name.startswith("hourly_") for name in breakdowns)


def cells(breakdowns: tuple[str, ...]) -> list[Cell]:
    """Every combination of values, in a steady order."""
    return list(product(*(_SHARES[name] for name in breakdowns)))


class Splitter:
    """Divides deliveries so that the parts always add up to the whole."""

    def __init__(self, breakdowns: tuple[str, ...]) -> None:
        self.breakdowns = breakdowns
        self.cells = cells(breakdowns)
        self._weights: dict[str, tuple[float, ...]] = {}

    def split(self, ad: Ad, delivery: Delivery) -> list[Delivery]:
        """One delivery per cell; without breakdowns there is one cell."""
        if not self.breakdowns:
            return [delivery]
        weights = self._weights.get(ad.id)
        if weights is None:
            weights = self._weights[ad.id] = self._weigh(ad)
        columns = [apportion(amount, weights) for amount in delivery]
        return [Delivery._make(row) for row in zip(*columns, strict=True)]

    def _weigh(self, ad: Ad) -> tuple[float, ...]:
        raw = [1.0]
        for name in self.breakdowns:
            shares = _SHARES[name].values()
            taste = throw(ad.adset.campaign.account.seed, ad.id, name)
            leaning = [share * (0.6 + 0.8 * taste[index % 8]) for index, share in enumerate(shares)]
            raw = [left * right for left in raw for right in leaning]
        whole = sum(raw)
        return tuple(weight / whole for weight in raw)
