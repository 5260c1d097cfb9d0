"""Zoom: the recordings of a person or an account, found and announced."""

from typing import Final

from common.models import ConnectionKind

PLATFORM: Final = "zoom"
ZOOM_USER: Final = ConnectionKind("zoom_user")
ZOOM_SERVER: Final = ConnectionKind("zoom_server")
