"""Reports: what was found, how it is told, and how it is kept."""
