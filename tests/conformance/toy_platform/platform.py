"""Toy's entry in the registry."""

from __future__ import annotations

from platforms.advertising.access import Advertising
from platforms.platform import ACCESS_TOKEN_FIELD, Kind, Platform, Renewal

from . import PLATFORM
from .client import METRICS, ads
from .oauth import ToyAccount
from .settings import ToySettings

TOY = Platform(
    PLATFORM,
    "Toy",
    ToySettings,
    (
        Kind(
            ToyAccount,
            "a token that lives until it is revoked",
            pasted=(ACCESS_TOKEN_FIELD,),
            renewal=Renewal.NOTHING,
            ads=Advertising(METRICS, ads),
        ),
    ),
)
