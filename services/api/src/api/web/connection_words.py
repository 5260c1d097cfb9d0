"""Connections in words. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from api.connections.adoption import Adopted
from api.connections.checking import Checked
from api.connections.health import missing_of
from api.connections.schemas import CheckOutcome
from api.web.words import counted, sentence

_NOUNS: Mapping[str, str] = {
    "ad_account": "ad account",
    "page": "page",
    "advertiser": "advertiser",
    "profile": "profile",
    "user": "user",
}


def reached(accounts: Sequence[Mapping[str, Any]]) -> str:
    """`4 ad accounts, 3 pages`; empty when there are none."""
    numbers = Counter(str(account.get("type")) for account in accounts)
    return ", ".join(counted(number, _NOUNS.get(kind, "account")) for kind, number in numbers.items())


def grouped(accounts: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The accounts by what they are called together, such as `Ad accounts`."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for account in accounts:
        noun = _NOUNS.get(str(account.get("type")), "account")
        groups.setdefault(f"{noun[:1].upper()}{noun[1:]}s", []).append(account)
    return groups


def adopted_words(adopted: Adopted) -> tuple[str, str]:
    """What a person is told who connected an account, and its tone."""
    connection = adopted.connection
    again = "" if adopted.created else " again"
    parts = [f"{connection.name} is connected{again}."]
    if adopted.instead_of is not None:
        parts = [
            f"You agreed as {connection.name}, which is connected again. “{adopted.instead_of}” is another "
            "account and still as it was."
        ]
    if reach := reached(connection.accounts):
        parts.append(f"It reaches {reach}.")
    if adopted.resumed:
        parts.append(f"{counted(adopted.resumed, 'automation')} that waited for it will run again.")
    warned = adopted.instead_of is not None
    if adopted.problem:
        parts.append(f"What it reaches could not be read yet: {sentence(adopted.problem)}")
        warned = True
    elif missing := missing_of(connection):
        parts.append(f"You did not allow {', '.join(missing)}: what needs that will not work.")
        warned = True
    return " ".join(parts), "warn" if warned else "good"


def checked_words(checked: Checked) -> tuple[str, str]:
    """What a person is told who had an account looked at, and its tone."""
    detail = sentence(checked.detail or "")
    match checked.outcome:
        case CheckOutcome.ALIVE:
            reach = reached(checked.connection.accounts)
            told = f"It works. It reaches {reach}." if reach else "It works."
            if checked.resumed:
                told += f" {counted(checked.resumed, 'automation')} that waited for it will run again."
            return told, "good"
        case CheckOutcome.RENEWAL_REQUESTED:
            return f"{detail} A renewal is being tried; look again in a moment.", "warn"
        case CheckOutcome.REFUSED:
            return detail, "bad"
        case CheckOutcome.UNANSWERED:
            return f"{detail} Nothing was changed; try again.", "warn"
