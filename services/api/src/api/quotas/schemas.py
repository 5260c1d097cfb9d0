"""What clients receive about their limits."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from api.quotas.limits import Quota


class QuotaUse(BaseModel):
    """How much of the limits is used."""

    automations: int = Field(description="Of the team, recording jobs included")
    automation_jobs: int = Field(description="Recording jobs of yours")
    concurrent_runs: int = Field(description="Runs of the team that are queued, going on, or to be retried")
    api_keys: int
    destinations: int
    connections: int
    templates: int


class QuotaOut(BaseModel):
    """Your limits and what is used of them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "plan": "standard",
                    "limits": {
                        "max_automations": 100,
                        "min_interval_minutes": 1,
                        "max_automation_jobs": 5,
                        "min_automation_interval_hours": 1,
                        "max_concurrent_runs": None,
                        "max_api_keys": 50,
                        "max_destinations": 100,
                        "max_connections": 100,
                        "max_templates": 100,
                    },
                    "used": {
                        "automations": 12,
                        "automation_jobs": 2,
                        "concurrent_runs": 0,
                        "api_keys": 3,
                        "destinations": 4,
                        "connections": 6,
                        "templates": 0,
                    },
                }
            ]
        }
    )

    plan: str
    limits: Quota = Field(description="The plan's limits with what was agreed for your team and for you")
    used: QuotaUse
