"""Facebook's entry in the registry."""

from __future__ import annotations

from platforms.advertising.access import Advertising
from platforms.facebook import PLATFORM
from platforms.facebook.ads import FacebookAds
from platforms.facebook.oauth import FacebookUser
from platforms.facebook.opening import ads
from platforms.facebook.settings import FacebookSettings
from platforms.platform import TOKEN, Kind, PastedField, Platform, Renewal

FACEBOOK = Platform(
    PLATFORM,
    "Facebook",
    FacebookSettings,
    (
        Kind(
            FacebookUser,
            "a long-lived user or system-user token, exchanged for a new one while it lives",
            pasted=(
                PastedField(TOKEN, "Access token", "Of a person or a system user. It is sealed at once."),
            ),
            renewal=Renewal.ITSELF,
            ads=Advertising(FacebookAds.metrics, ads),
        ),
    ),
)
