"""The live feed: events from Kafka to connected consoles."""
