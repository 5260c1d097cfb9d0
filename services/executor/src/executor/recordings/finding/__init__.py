"""Finding the recordings of connected accounts."""
