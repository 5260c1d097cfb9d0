"""What the command reports to a person instead of a traceback."""


class Obstacle(Exception):
    """Something stands in the way; the message says what, and what to do about it."""
