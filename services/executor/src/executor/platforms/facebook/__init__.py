"""Facebook's Graph and Marketing API."""

from executor.platforms.facebook.client import FacebookClient
from executor.platforms.facebook.figures import AdAccount, AdFigures, Days, Page
from executor.platforms.facebook.graph import PLATFORM, Graph
from executor.platforms.facebook.page_insights import DailyValues
from executor.platforms.facebook.wire import Endpoint

__all__ = [
    "PLATFORM",
    "AdAccount",
    "AdFigures",
    "DailyValues",
    "Days",
    "Endpoint",
    "FacebookClient",
    "Graph",
    "Page",
]
