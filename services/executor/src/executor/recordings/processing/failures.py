"""What a step can end with, and what is shown of it."""

from __future__ import annotations

from collections.abc import Sequence

from common.errors import CarillonError, RemoteError
from common.secrets.redaction import hide_secrets
from executor.recordings.processing.outcomes import Failure
from executor.recordings.processing.pipeline import Step


class StepTimeout(CarillonError):
    """A step took longer than it may."""

    permanent = False


class Unprocessable(CarillonError):
    """A recording that cannot be processed as it is stored, or not by this executor."""


class Exhausted(CarillonError):
    """Every attempt ended without an outcome."""


class StepFailed(Exception):
    """A step ended with `error`; `failure` is what is shown of it."""

    def __init__(self, step: Step, error: Exception, secrets: Sequence[str]) -> None:
        super().__init__(step.value)
        self.step = step
        self.error = error
        code, message = describe(error, secrets)
        self.failure = Failure(step.value, code, message)


def describe(error: Exception, secrets: Sequence[str] = ()) -> tuple[str, str]:
    """A stable code and a message fit to be shown and to be stored, for any error. Pure."""
    if isinstance(error, RemoteError):
        code = error.consequence.value if error.code is None else f"{error.consequence.value}:{error.code}"
        return code, _fit(error.detail, secrets)
    if isinstance(error, CarillonError):
        return _snake(type(error).__name__), _fit(error.detail, secrets)
    # The text of an unforeseen error may hold anything, secrets included: only its type is shown.
    return "internal_error", f"{type(error).__name__} in the step; see the executor's log"


def _fit(text: str, secrets: Sequence[str]) -> str:
    return hide_secrets(text, secrets).replace("\x00", "")


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")
