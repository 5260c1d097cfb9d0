"""What states, reasons and kinds are called on pages, and how they are meant. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from common.models import Trigger
from platforms.registry import TITLES


@dataclass(frozen=True, slots=True)
class State:
    """A state in words. `tone` colours it; `shape` says the same to those who do not see the colour."""

    label: str
    tone: str
    shape: str


_GOOD = ("good", "dot")
_BAD = ("bad", "cross")
_BUSY = ("busy", "ring")
_WARN = ("warn", "triangle")
_STILL = ("still", "dash")

_STATES: Mapping[str, tuple[str, tuple[str, str]]] = {
    "active": ("Active", _GOOD),
    "paused": ("Paused", ("still", "bars")),
    "stopped": ("Ended", _STILL),
    "error": ("Stopped", _BAD),
    "waiting": ("Waiting", ("still", "ring")),
    "queued": ("Queued", _BUSY),
    "running": ("Running", _BUSY),
    "retrying": ("Trying again", _WARN),
    "completed": ("Completed", _GOOD),
    "failed": ("Failed", _BAD),
    "cancelled": ("Cancelled", _STILL),
    "skipped": ("Skipped", _STILL),
    "sending": ("Sending", _BUSY),
    "delivered": ("Delivered", _GOOD),
    "dropped": ("Dropped", _STILL),
    "disabled": ("Disabled", _BAD),
    "reauth_required": ("Sign-in needed", _BAD),
    "retry": ("Trying again", _WARN),
    "unknown": ("Unknown", _WARN),
    "handed_back": ("Handed back", _WARN),
    "lost": ("Lost", _WARN),
    "due": ("To come", ("still", "ring")),
    "overdue": ("Overdue", _WARN),
    "healthy": ("Healthy", _GOOD),
    "expires_soon": ("Expires soon", _WARN),
    "renewal_late": ("Renewal late", _WARN),
    "needs_attention": ("Needs attention", _WARN),
    "reconnect": ("Connect again", _BAD),
    "refreshed": ("Renewed", _GOOD),
    "rejected": ("Refused", _BAD),
    "forgotten": ("Cleaned up", _STILL),
    "INITIALIZED": ("New", ("still", "ring")),
    "DOWNLOADING": ("Downloading", _BUSY),
    "DOWNLOADED": ("Downloaded", _GOOD),
    "TRANSCRIBING": ("Transcribing", _BUSY),
    "TRANSCRIBED": ("Transcribed", _GOOD),
    "UPLOADING": ("Uploading", _BUSY),
    "UPLOADED": ("Uploaded", _GOOD),
    "FAILED": ("Failed", _BAD),
    "SKIPPED": ("Skipped", _STILL),
}


def state(name: str | None) -> State:
    """A state as pages show it; one this version does not know is shown by its name."""
    label, (tone, shape) = _STATES.get(name or "", (readable(name or "unknown"), _STILL))
    return State(label, tone, shape)


TRIGGERS: Mapping[str, str] = {
    Trigger.SCHEDULE: "Schedule",
    Trigger.MANUAL: "By hand",
    Trigger.BACKFILL: "Backfill",
    Trigger.DRY_RUN: "Dry run",
}

SKIPS: Mapping[str, str] = {
    "paused": "The automation was paused",
    "overlap": "The run before it was still going",
    "excluded": "The schedule leaves this day out",
    "expired": "It was too late for the result to be of use",
    "catch_up_latest": "A later slot was due as well, and only the latest is made up for",
    "catch_up_none": "It came due while Carillon could not run it, and missed slots are not made up for",
    "catch_up_window": "It was due longer ago than missed slots are made up for",
    "ended": "The schedule had had all its runs",
    "schedule_edited": "The schedule was changed before it came",
    "unschedulable": "The schedule could not be read",
    "quota": "The plan's limit was reached",
    "no_leader": "No scheduler was there to decide about it",
    "leader_busy": "A scheduler is about to decide about it",
    "moved": "It was moved to another day",
    "error": "The automation had been stopped",
    "stopped": "The schedule had ended",
}

CATCH_UP: Mapping[str, str] = {
    "latest": "Run the latest missed slot",
    "all": "Run every missed slot, oldest first",
    "none": "Never run missed slots",
}

OVERLAP: Mapping[str, str] = {
    "skip": "Skip the new run",
    "queue_one": "Let one run wait",
    "queue_all": "Let every run wait its turn",
    "cancel_running": "Cancel the old run",
    "allow": "Run both",
}


_SPELLED: Mapping[str, str] = {
    "csv": "CSV",
    "html": "HTML",
    "json": "JSON",
    **TITLES,
    "postgresql": "PostgreSQL",
    "url": "Address",
    "chat_id": "Chat",
    "message_thread_id": "Topic",
    "timezone": "Time zone",
    "accounts": "Ad accounts",
    "metric_types": "Reports on",
    "ad_account": "Ad accounts",
}


def readable(name: str) -> str:
    """`scheduled_report` → `Scheduled report`."""
    if name in _SPELLED:
        return _SPELLED[name]
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?', '…')) else '.'}" if text else ""


def skip_reason(reason: str) -> str:
    """Why a slot has no run, as a sentence."""
    return SKIPS.get(reason) or readable(reason)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
