"""What only Facebook has: pages with tokens of their own."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Page:
    """A page with its own token; without one Carillon has no permission for its insights."""

    id: str
    name: str
    token: str | None = field(repr=False)
