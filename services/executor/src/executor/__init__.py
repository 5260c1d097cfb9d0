"""Claims runs and executes their handlers."""
