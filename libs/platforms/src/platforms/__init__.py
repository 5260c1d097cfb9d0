"""The platforms whose accounts a team connects: a folder each, and one line in the registry."""
