"""What is happening now: events from Kafka, to whoever watches."""
