"""What clients receive about a dry run."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.runs.schemas import RunSummary
from common.messages import Enclosure


class MessageOut(BaseModel):
    """A message for any channel: what it says, and what comes with it."""

    model_config = ConfigDict(from_attributes=True)

    type: str
    title: str
    text: str
    html: str | None
    data: dict[str, Any]
    chart: Enclosure | None = Field(description="The picture a Telegram chat would show")
    files: list[Enclosure] = Field(description="What would be sent along")


class DryRunCounts(BaseModel):
    """How much a run like this one is."""

    accounts: int | None = Field(description="Accounts and pages it read; null where its type does not say")
    messages: int
    parts: int = Field(
        description="What the destination would receive: Telegram takes long messages in parts"
    )


class DryRunOut(BaseModel):
    """What a run would have delivered. Nothing was sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run": {"id": "0198c0de-0000-7000-8000-000000000005", "status": "completed"},
                    "summary": "2 ad accounts: spend 1,204.50 EUR (+12 %)",
                    "would_deliver": [
                        {
                            "type": "report.completed",
                            "title": "Daily report",
                            "text": "Spend 1,204.50 EUR",
                            "html": "<b>Daily report</b>\nSpend <code>1,204.50 EUR</code>",
                            "data": {"partial": False},
                            "chart": {
                                "filename": "chart-2026-11-20.png",
                                "media_type": "image/png",
                                "size": 21_504,
                            },
                            "files": [
                                {
                                    "filename": "report-2026-11-20.csv",
                                    "media_type": "text/csv",
                                    "size": 1_730,
                                }
                            ],
                        }
                    ],
                    "counts": {"accounts": 2, "messages": 1, "parts": 2},
                    "warnings": ["The automation is paused: it runs by itself only when it is resumed."],
                }
            ]
        }
    )

    run: RunSummary = Field(description="The run; where it failed, it says why")
    summary: str | None
    would_deliver: list[MessageOut]
    counts: DryRunCounts
    warnings: list[str] = Field(description="What keeps results like these from arriving whole, or at all")
