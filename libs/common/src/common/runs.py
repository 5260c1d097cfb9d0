"""What the services that end runs have in common: how an ended run counts for its automation."""

from __future__ import annotations

# Parameters: $1 automation ids and $2 the states their runs ended with, dry runs left out. Locked in one
# order first, because two services may end runs of the same automations at the same time.
COUNT = """
WITH changes AS (
    SELECT id, count(*) AS runs, count(*) FILTER (WHERE status = 'failed') AS errors,
           count(*) FILTER (WHERE status = 'completed') AS successes
      FROM unnest($1::uuid[], $2::text[]) AS c (id, status) GROUP BY id
),
locked AS (
    SELECT a.id FROM automation a JOIN changes USING (id) ORDER BY a.id FOR NO KEY UPDATE OF a
)
UPDATE automation a
   SET run_count = a.run_count + c.runs, error_count = a.error_count + c.errors,
       failure_streak = CASE WHEN c.successes > 0 THEN 0 ELSE a.failure_streak + c.errors END
  FROM changes c JOIN locked USING (id) WHERE a.id = c.id
"""
