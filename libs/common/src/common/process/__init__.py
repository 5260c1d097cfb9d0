"""How a process runs its work: loops that survive faults, tasks that end together, steps with a limit."""
