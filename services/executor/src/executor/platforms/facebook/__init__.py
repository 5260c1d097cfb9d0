"""Facebook's Graph and Marketing API."""

from executor.platforms.facebook.client import FacebookClient
from executor.platforms.facebook.figures import Page
from executor.platforms.facebook.graph import PLATFORM, Graph
from executor.platforms.facebook.page_insights import DailyValues
from executor.platforms.facebook.wire import Endpoint

__all__ = [
    "PLATFORM",
    "DailyValues",
    "Endpoint",
    "FacebookClient",
    "Graph",
    "Page",
]
