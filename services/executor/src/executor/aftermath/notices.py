"""Notices to owners about their accounts: what happened, why, and where to act on it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from common.errors import Consequence
from common.messages import Message
from common.owner_notices import owner_message
from platforms.registry import title_of

_NAMED = 5
"""Automations named in a message; the rest are counted."""


def reconnect(
    *, public_url: str, connection_id: UUID, platform: str, name: str, reason: str, paused: Sequence[str]
) -> Message:
    """The account must be connected again; `paused` are the names of the automations that wait for it."""
    link = _page(public_url, connection_id)
    return owner_message(
        "connection.reauth_required",
        title=f"{title_of(platform)} account “{name}” must be connected again",
        what=_waiting(paused),
        why=reason,
        link=link,
        action="Connect it again",
        data={
            "connection_id": str(connection_id),
            "platform": platform,
            "reason": reason,
            "paused_automations": len(paused),
            "url": link,
        },
    )


def stopped(
    *,
    public_url: str,
    automation_id: UUID,
    name: str,
    connection_id: UUID | None,
    platform: str,
    detail: str,
) -> Message:
    """The automation has been stopped because a permission is missing."""
    link = (
        _page(public_url, connection_id)
        if connection_id
        else f"{public_url.rstrip('/')}/automations/{automation_id}"
    )
    return owner_message(
        "automation.stopped",
        title=f"{name} has been stopped",
        what=f"{title_of(platform)} refuses what it asks for: a permission is missing.",
        why=detail,
        link=link,
        action="Grant the permission, then resume it",
        data={
            "automation_id": str(automation_id),
            "connection_id": str(connection_id) if connection_id else None,
            "platform": platform,
            "reason": detail,
            "url": link,
        },
    )


def problem(
    *, public_url: str, consequence: Consequence, connection_id: UUID, platform: str, name: str, detail: str
) -> Message:
    """The account has a problem that does not need reconnecting."""
    link = _page(public_url, connection_id)
    title = title_of(platform)
    if consequence is Consequence.BLOCKED:
        heading = f"{title} has blocked account “{name}” for now"
        what = "Its automations are retried in a few hours."
    else:
        heading = f"{title} account “{name}” lacks a permission"
        what = "Data that needs it is left out until it is granted."
    return owner_message(
        "connection.problem",
        title=heading,
        what=what,
        why=detail,
        link=link,
        action="Look at the account",
        data={"connection_id": str(connection_id), "platform": platform, "reason": detail, "url": link},
    )


def _waiting(paused: Sequence[str]) -> str:
    if not paused:
        return "No automation is paused: other accounts of the platform still work."
    named = ", ".join(f"“{name}”" for name in paused[:_NAMED])
    if len(paused) == 1:
        return f"{named} is paused until then."
    more = f" and {len(paused) - _NAMED} more" if len(paused) > _NAMED else ""
    return f"{len(paused)} automations are paused until then: {named}{more}."


def _page(public_url: str, connection_id: UUID) -> str:
    return f"{public_url.rstrip('/')}/connections/{connection_id}"
