"""The carillon command: embedded stack, demo, client."""
