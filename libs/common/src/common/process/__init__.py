"""A service's process: how it starts, runs its loops and tasks, says how it is, and ends."""
