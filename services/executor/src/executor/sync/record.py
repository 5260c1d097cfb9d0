"""A data sync's run as it is kept: JSON, from which a later attempt can also go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from common.errors import Consequence, PlatformError
from common.secrets.redaction import hide_secrets
from executor.sync.chunks import AccountRows, Chunk
from executor.sync.collection import Collected

MAX_RECORDED = 200
MAX_SHOWN_ROWS = 5


def figures(collected: Collected) -> dict[str, Any]:
    """What was read."""
    return {
        "rows": collected.rows,
        "accounts": [_account(account) for account in collected.accounts[:MAX_RECORDED]],
        "partial": bool(collected.refusals),
        "unreadable": [
            {
                "platform": refusal.platform,
                "id": refusal.account_id or refusal.connection_id,
                "name": refusal.name,
                "reason": refusal.reason,
            }
            for refusal in collected.refusals[:MAX_RECORDED]
        ],
    }


def facts(collected: Collected, fingerprint: str) -> dict[str, Any]:
    """What a later attempt of the run needs to end as this one would."""
    return {
        "fingerprint": fingerprint,
        "figures": figures(collected),
        "accounts": len(collected.accounts),
        "state": collected.watermarks.as_state(),
        "faults": [_fault(refusal.error) for refusal in collected.refusals],
    }


def faults(stored: Mapping[str, Any]) -> list[PlatformError]:
    """The errors `facts` has kept."""
    return [
        PlatformError(
            fault["detail"],
            Consequence(fault["consequence"]),
            platform=fault["platform"],
            code=fault["code"],
            connection_id=fault["connection_id"],
        )
        for fault in stored["faults"]
    ]


def shown_rows(chunks: Sequence[Chunk]) -> list[dict[str, Any]]:
    """The first rows, for a person who tries a sync."""
    return chunks[0].read()["rows"][:MAX_SHOWN_ROWS] if chunks else []


def counted(rows: int, accounts: int) -> str:
    """`1,204 rows of 3 accounts`."""
    return f"{rows:,} row{'' if rows == 1 else 's'} of {accounts} account{'' if accounts == 1 else 's'}"


def missing(collected_figures: Mapping[str, Any]) -> str:
    """The half-sentence about what could not be read; empty when all could."""
    left = len(collected_figures["unreadable"])
    return f"; {left} could not be read" if left else ""


def _account(account: AccountRows) -> dict[str, Any]:
    return {**account.account, "rows": account.count}


def _fault(error: PlatformError) -> dict[str, Any]:
    return {
        "detail": hide_secrets(error.detail),
        "consequence": error.consequence.value,
        "platform": error.platform,
        "code": error.code,
        "connection_id": error.connection_id,
    }
