"""The SQL of the aftermath. Every statement handles the whole set at once."""

from __future__ import annotations

from common.owner_notices import ALERTS_DESTINATION, DESTINATION_OF_OWNER

TELL_AGAIN_AFTER_DAYS = 7
"""A problem that comes and goes, because other uses of the account succeed, is not notified each time."""

# Only the rejected token is condemned, never its successor; of several processes that find it dead at once,
# one wins and notifies.
CONDEMN = f"""
WITH dead AS (
    SELECT c.id, d.reason
      FROM unnest($1::uuid[], $2::int[], $3::text[]) AS d (id, version, reason)
      JOIN connection c ON c.id = d.id AND c.token_version = d.version
     WHERE c.status = 'active' ORDER BY c.id FOR NO KEY UPDATE OF c SKIP LOCKED
)
UPDATE connection c
   SET status = 'reauth_required', status_reason = dead.reason, problem = NULL,
       reauth_required_at = clock_timestamp(), refresh_requested_at = NULL, updated_at = clock_timestamp()
  FROM dead WHERE c.id = dead.id
RETURNING c.id, c.tenant_id, c.platform, c.kind, coalesce(c.external_name, c.name) AS name, c.token_version,
          dead.reason, clock_timestamp() AS now, {ALERTS_DESTINATION} AS alerts
"""
# Serialise per team, because two accounts that die at once must not each count the other as alive.
TEAMS_TURN = """
SELECT pg_advisory_xact_lock(hashtextextended('aftermath ' || id, 0))
  FROM (SELECT DISTINCT id FROM unnest($1::uuid[]) AS t (id) ORDER BY id) AS teams
"""
USERS = f"""
SELECT a.id, a.name, c.id AS connection_id, {DESTINATION_OF_OWNER} AS tell,
       NOT EXISTS (SELECT FROM connection o
                    WHERE o.tenant_id = c.tenant_id AND o.platform = c.platform AND o.status = 'active')
       AS depends
  FROM connection c
  JOIN automation a ON a.tenant_id = c.tenant_id AND a.status = 'active' AND a.platforms ? c.platform
 WHERE c.id = ANY($1::uuid[]) ORDER BY c.id, a.id
"""
LOCK = "SELECT FROM automation WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"
PAUSE = """
UPDATE automation a
   SET status = 'paused', paused_at = clock_timestamp(), updated_at = clock_timestamp(),
       status_reason = p.reason, paused_for_connection_id = p.connection_id
  FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS p (id, connection_id, reason)
 WHERE a.id = p.id AND a.status = 'active'
RETURNING a.id, a.tenant_id, a.name, a.version, p.connection_id
"""
STOP = f"""
UPDATE automation a
   SET status = 'error', paused_at = clock_timestamp(), updated_at = clock_timestamp(),
       status_reason = s.reason
  FROM unnest($1::uuid[], $2::text[]) AS s (id, reason)
 WHERE a.id = s.id AND a.status = 'active'
RETURNING a.id, a.tenant_id, a.name, a.version, {DESTINATION_OF_OWNER} AS tell, clock_timestamp() AS now
"""
NOTE = f"""
WITH noted AS (
    SELECT c.id, n.problem, n.automation_id, starts_with(coalesce(c.problem, ''), n.head) AS known,
           EXISTS (SELECT FROM delivery d
                    WHERE d.tenant_id = c.tenant_id
                      AND d.created_at > now() - interval '{TELL_AGAIN_AFTER_DAYS} days'
                      AND d.message ->> 'type' = 'connection.problem'
                      AND d.message #>> '{{data,connection_id}}' = c.id::text) AS told_lately
      FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::uuid[])
           AS n (id, version, problem, head, automation_id)
      JOIN connection c ON c.id = n.id AND c.token_version = n.version
     WHERE c.status = 'active' ORDER BY c.id FOR NO KEY UPDATE OF c SKIP LOCKED
)
UPDATE connection c SET problem = noted.problem, updated_at = clock_timestamp()
  FROM noted JOIN automation a ON a.id = noted.automation_id
 WHERE c.id = noted.id
RETURNING c.id, c.tenant_id, c.platform, coalesce(c.external_name, c.name) AS name,
          {DESTINATION_OF_OWNER} AS tell, noted.known OR noted.told_lately AS told
"""
CLEAR = """
WITH well AS (
    SELECT id FROM connection WHERE id = ANY($1::uuid[]) AND problem IS NOT NULL
     ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE connection c SET problem = NULL, updated_at = clock_timestamp() FROM well WHERE c.id = well.id
"""
OUTDATED = """
SELECT c.id FROM connection c
  JOIN unnest($1::uuid[], $2::int[]) AS d (id, version) ON d.id = c.id
 WHERE c.status = 'active' AND c.token_version > d.version
"""
