"""Authorisation codes: short-lived, and good for one exchange."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

from sandbox.clock import Clock

_KEPT = 5_000
Consent = TypeVar("Consent")


class DeadCode(Exception):
    """The code cannot be exchanged; ``reason`` is unknown, used or expired."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class _Issued(Generic[Consent]):
    consent: Consent
    at: float
    used: bool = False


class OneTimeCodes(Generic[Consent]):
    """The codes of one dialog, each standing for what a person consented to."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._codes: OrderedDict[str, _Issued[Consent]] = OrderedDict()
        self._number = 0

    def next_number(self) -> int:
        """A number no code had before, to make one from."""
        self._number += 1
        return self._number

    def add(self, code: str, consent: Consent) -> None:
        """Issue ``code``."""
        self._codes[code] = _Issued(consent, self._clock.now())
        if len(self._codes) > _KEPT:
            self._codes.popitem(last=False)

    def look(self, code: str) -> Consent:
        """What the code stands for, without using it up; raises `DeadCode`."""
        issued = self._codes.get(code)
        if issued is None:
            raise DeadCode("unknown")
        if issued.used:
            raise DeadCode("used")
        if self._clock.now() - issued.at > self._seconds:
            raise DeadCode("expired")
        return issued.consent

    def spend(self, code: str) -> None:
        """The code was exchanged and works no more."""
        self._codes[code].used = True

    def reset(self) -> None:
        """Forget every code."""
        self._codes.clear()
