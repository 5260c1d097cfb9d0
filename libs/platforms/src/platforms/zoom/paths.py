"""Names of people and meetings as parts of an address."""

from __future__ import annotations

from urllib.parse import quote


def encoded_user(user: str) -> str:
    """An id, an e-mail address or `me`."""
    return quote(user, safe="")


def encoded_meeting(meeting: str) -> str:
    """A meeting's number or UUID.

    Zoom wants a UUID encoded twice that begins with a slash or holds two in a row: its gateway decodes once,
    and takes what then looks like a path for one.
    """
    once = quote(meeting, safe="")
    return quote(once, safe="") if meeting.startswith("/") or "//" in meeting else once
