"""Zoom's REST API."""

from executor.platforms.zoom.api import PLATFORM, ZoomApi
from executor.platforms.zoom.client import Person, ZoomClient

__all__ = ["PLATFORM", "Person", "ZoomApi", "ZoomClient"]
