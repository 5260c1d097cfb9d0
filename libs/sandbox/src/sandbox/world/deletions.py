"""Campaigns, groups and ads that were deleted, by id: what they delivered still counts for their account."""


class Deletions:
    """Which objects of any vendor were deleted. Whatever belongs to a deleted object is deleted with it."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self.changes = 0
        """How often this changed, to know when a remembered answer is out of date."""

    def add(self, object_id: str) -> None:
        """Delete an object."""
        self._ids.add(object_id)
        self.changes += 1

    def remove(self, object_id: str) -> None:
        """Take a deletion back, which no vendor offers."""
        self._ids.discard(object_id)
        self.changes += 1

    def reset(self) -> None:
        """Nothing is deleted."""
        self._ids.clear()
        self.changes += 1

    def cover(self, *ids: str) -> bool:
        """Whether an object is deleted, itself or with one that it belongs to."""
        return not self._ids.isdisjoint(ids)
