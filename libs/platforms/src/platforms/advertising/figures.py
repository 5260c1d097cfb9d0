"""The figures platforms report, the same shape for all: ad accounts and what ads delivered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

ZERO = Decimal(0)
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class AdAccount:
    """An ad account. `zone` is the one its days are counted in, `zone_name` how its platform calls it."""

    id: str
    name: str
    currency: str
    zone: tzinfo
    zone_name: str


@dataclass(frozen=True, slots=True)
class AdFigures:
    """What ads delivered in a period. `spend` is in the account's currency; `reach` counts each person once,
    so that it cannot be added up."""

    spend: Decimal = ZERO
    impressions: int = 0
    clicks: int = 0
    reach: int = 0

    @property
    def ctr(self) -> Decimal | None:
        """Clicks in percent of impressions."""
        return Decimal(100 * self.clicks) / self.impressions if self.impressions else None

    @property
    def cpc(self) -> Decimal | None:
        """Spend per click."""
        return self.spend / self.clicks if self.clicks else None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> AdFigures:
        """Read an insights row; raises ValueError for a figure that is no number."""
        return cls(
            spend=number(row.get("spend")),
            impressions=int(number(row.get("impressions"))),
            clicks=int(number(row.get("clicks"))),
            reach=int(number(row.get("reach"))),
        )


def number(value: object) -> Decimal:
    """A platform's number as it wrote it, whether text or JSON number; absent is 0.

    Raises:
        ValueError: it is something else.
    """
    if value is None:
        return ZERO
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"not a number: {value!r}")
    try:
        parsed = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"not a number: {value!r}") from None
    if not parsed.is_finite() or parsed.adjusted() > _MOST_DIGITS:
        raise ValueError(f"not a number: {value!r}")
    return parsed
