"""Counting calls by platform, path and status."""

from collections import Counter


class Stats:
    """Counts; the labels are few because ids are left out of them."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, int]] = Counter()

    def count(self, platform: str, label: str, status: int) -> None:
        """One more call; status 0 means that the client got no answer."""
        self._counts[platform, label, status] += 1

    def total(self, platform: str | None = None) -> int:
        """All calls, or one platform's."""
        return sum(number for key, number in self._counts.items() if platform in (None, key[0]))

    def as_json(self) -> dict[str, dict[str, dict[str, int]]]:
        """``{platform: {path: {status: calls}}}``"""
        nested: dict[str, dict[str, dict[str, int]]] = {}
        for (platform, label, status), number in sorted(self._counts.items()):
            nested.setdefault(platform, {}).setdefault(label, {})[str(status)] = number
        return nested

    def reset(self) -> None:
        """Start at zero."""
        self._counts.clear()
