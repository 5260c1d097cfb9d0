"""Zoom's entry in the registry."""

from __future__ import annotations

from datetime import timedelta

from platforms.platform import (
    ACCESS_TOKEN_FIELD,
    REFRESH_TOKEN_FIELD,
    WEBHOOK_SECRET,
    Kind,
    PastedField,
    Platform,
    Renewal,
)
from platforms.zoom import PLATFORM
from platforms.zoom.oauth import ZoomServer, ZoomUser
from platforms.zoom.settings import ZoomSettings

_EVENTS = PastedField(
    WEBHOOK_SECRET,
    "Secret token of event subscriptions",
    "Only if Zoom is to announce recordings at once: the secret token of the app's event subscription.",
    required=False,
)

ZOOM = Platform(
    PLATFORM,
    "Zoom",
    ZoomSettings,
    (
        Kind(
            ZoomUser,
            "a short-lived token with a rotating refresh token",
            pasted=(ACCESS_TOKEN_FIELD, REFRESH_TOKEN_FIELD, _EVENTS),
            renewal=Renewal.REFRESH_TOKEN,
            margin=timedelta(minutes=5),
        ),
        Kind(
            ZoomServer,
            "server-to-server credentials that ask for tokens at will",
            pasted=(
                PastedField(
                    "credentials.account_id", "Account ID", "From the app's credentials.", secret=False
                ),
                PastedField(
                    "credentials.client_id", "Client ID", "From the app's credentials.", secret=False
                ),
                PastedField("credentials.client_secret", "Client secret", "It is sealed at once."),
                _EVENTS,
            ),
            renewal=Renewal.CREDENTIALS,
            margin=timedelta(seconds=60),
        ),
    ),
)
