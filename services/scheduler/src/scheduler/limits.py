"""Limits that SQL reads from JSON: what an operator's pen has slipped on counts as not set.

A failing cast would end the duty for all teams, because of one team's or one automation's row.
"""

from __future__ import annotations


def whole_number(column: str, name: str) -> str:
    """SQL for the number at `name` of a jsonb column; NULL where there is none that an int can hold."""
    path = f'$.{name} ? (@.type() == "number" && @ >= 0 && @ <= 2147483647 && @ == @.floor())'
    return f"CASE WHEN {column} @? '{path}' THEN ({column} ->> '{name}')::numeric::int END"


# A tenant `t` and its plan `p`: null is unlimited, and not set leaves it to the plan.
TENANT_LIMIT = f"""
CASE WHEN jsonb_typeof(t.quota -> 'max_concurrent_runs') = 'null' THEN NULL
     ELSE coalesce({whole_number("t.quota", "max_concurrent_runs")}, p.max_concurrent_runs) END
"""
