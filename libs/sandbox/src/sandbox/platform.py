"""What every imitated platform offers to the server."""

from typing import Protocol

from sandbox.exchange import Answer, Call
from sandbox.faults import Fault, Traits


class Platform(Protocol):
    """One imitation. Its handlers are synchronous: they decide, the server waits and writes."""

    name: str
    parses_bodies: bool
    """Whether forms and JSON are taken apart before `answer`."""

    def claims(self, method: str, path: str) -> bool:
        """Whether a call is meant for this platform."""

    def label(self, path: str) -> str:
        """The path with ids left out, for the statistics."""

    def traits(self, call: Call) -> Traits:
        """What a fault may be matched by."""

    def answer(self, call: Call) -> Answer:
        """Carry the call out."""

    def unreadable(self, detail: str) -> Answer:
        """The answer to a body that does not parse."""

    def refuse(self, fault: Fault, call: Call) -> Answer:
        """This platform's wording of `rate_limit`, `server_error`, `expired_token` or `code`."""

    def observe(self, call: Call, status: int, fault: str) -> None:
        """Record a finished call; status 0 means that the client got no answer."""

    def reset(self) -> None:
        """Back to the state of a fresh start."""
