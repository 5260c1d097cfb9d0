"""How far back the history of runs goes."""

from __future__ import annotations

KEPT_SINCE = "history_kept_since"
"""Fact: runs and skipped slots from before this instant may have been cleaned up."""
