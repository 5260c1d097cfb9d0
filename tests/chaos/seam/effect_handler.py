"""A handler that keeps a ledger of its own: a line when it begins, another when it has ended."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from common.messages import Message
from executor.handlers.base import Handler, Outcome, RunContext


class EffectConfig(BaseModel):
    """`url`: what it calls between the two lines, as a handler calls a platform."""

    url: str


class EffectHandler(Handler[EffectConfig]):
    """Calls a URL and delivers a message that names the run."""

    name: ClassVar[str] = "effect"
    title: ClassVar[str] = "Effect"
    config = EffectConfig

    def __init__(self, _settings: object) -> None:
        self._ledger = Path(os.environ["SEAM_FOLDER"]) / "ledger"

    async def run(self, context: RunContext, config: EffectConfig) -> Outcome:
        """One attempt."""
        self._note("begin", context)
        await context.http.get(config.url)
        self._note("end", context)
        data = {"run_id": str(context.run_id), "automation_id": str(context.automation_id)}
        return Outcome("done", {}, [Message(type="effect.done", title="Done", text="Done", data=data)])

    def _note(self, what: str, context: RunContext) -> None:
        line = {"what": what, "run": str(context.run_id), "attempt": context.attempt, "at": time.monotonic()}
        with self._ledger.open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
