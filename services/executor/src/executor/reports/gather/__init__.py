"""Reading the figures of a report from its sources."""
