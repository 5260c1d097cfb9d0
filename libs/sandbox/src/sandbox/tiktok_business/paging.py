"""Numbered pages, as every list of the Business API has them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sandbox.tiktok_business.request import BusinessRequest

Item = TypeVar("Item")
_LARGEST = 1_000
_LAST = 1_000_000


def paginate(
    request: BusinessRequest, items: Sequence[Item], render: Callable[[Item], Any]
) -> dict[str, Any]:
    """One page of ``items`` with its ``page_info``; past the last page the list is empty."""
    page = request.integer("page", 1, 1, _LAST)
    size = request.integer("page_size", 10, 1, _LARGEST)
    shown = items[(page - 1) * size : page * size]
    return {
        "list": [render(item) for item in shown],
        "page_info": {
            "page": page,
            "page_size": size,
            "total_number": len(items),
            "total_page": -(-len(items) // size),
        },
    }
