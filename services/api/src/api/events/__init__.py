"""`/api/events`: the live feed as server-sent events."""
