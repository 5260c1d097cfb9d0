"""TCP ports on this machine."""

from __future__ import annotations

import random
import socket

LOOPBACK = "127.0.0.1"

# Below the range from which systems give ports to outgoing connections: one of those could take a port
# between the moment it is found free and the moment its server listens there.
_OURS = range(20_000, 32_000)
_handed_out: set[int] = set()


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    """The preferred port where it is free, otherwise one of those we use.

    Never the same one twice in this process, although it has no listener yet.
    """
    if preferred is not None and preferred not in _handed_out and is_free(preferred):
        _handed_out.add(preferred)
        return preferred
    # At random, so that two stacks that start at the same time do not choose alike.
    for port in random.sample(_OURS, len(_OURS)):
        if port not in _handed_out and is_free(port):
            _handed_out.add(port)
            return port
    raise OSError(f"no port from {_OURS.start} to {_OURS.stop - 1} is free")
