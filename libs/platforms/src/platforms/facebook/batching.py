"""Calls that are made at the same time travel in one request.

A small team's report needs about ten calls, in two waves; each wave becomes one round trip. Facebook counts
every part of a batch as a call of its own, so this saves time and not quota.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from common.errors import Consequence
from common.telemetry import span, traceparent_of
from platforms.calls.exchange import NoAnswer, Reply
from platforms.facebook.refusals import GraphFault, read
from platforms.facebook.wire import Call, Wire

MAX_PARTS = 25
"""Half of what Facebook allows: the larger a batch, the more of it is not finished in time."""
_PART_NOT_FINISHED = "960"
_OF_THE_BATCH = (Consequence.SPLIT, Consequence.INVALID)


@dataclass(frozen=True, slots=True, eq=False)
class _Ticket:
    call: Call
    reply: asyncio.Future[Reply] = field(repr=False)


class Batcher:
    """Joins calls with one token into batches.

    The first of several calls carries the others: it lets every task that is ready have its turn, and then
    sends what has gathered. A call that is alone goes by itself.
    """

    def __init__(self, wire: Wire, token: str, span_name: str, attributes: Mapping[str, str | int]) -> None:
        self._wire = wire
        self._token = token
        self._span_name = span_name
        self._attributes = attributes
        self._parent = traceparent_of(trace.get_current_span())
        self._gathered: list[_Ticket] = []

    async def get(self, call: Call) -> Reply:
        """The answer to `call`; raises NoAnswer."""
        ticket = _Ticket(call, asyncio.get_running_loop().create_future())
        self._gathered.append(ticket)
        if len(self._gathered) == 1:
            await self._carry()
        return await ticket.reply

    async def _carry(self) -> None:
        tickets = self._gathered
        try:
            await asyncio.sleep(0)
            self._gathered = []
            batches = [tickets[start : start + MAX_PARTS] for start in range(0, len(tickets), MAX_PARTS)]
            await asyncio.gather(*map(self._send, batches))
        finally:
            if self._gathered is tickets:
                self._gathered = []
            # Left open only when this task is cancelled, and then the run that all of them belong to is.
            for ticket in tickets:
                ticket.reply.cancel()

    async def _send(self, tickets: Sequence[_Ticket]) -> None:
        if len(tickets) == 1:
            await self._send_alone(tickets[0])
            return
        replies: Sequence[Reply | None] = [None] * len(tickets)
        try:
            replies = await self._send_together([ticket.call for ticket in tickets])
        except Exception as error:
            if not (isinstance(error, NoAnswer) and error.consequence is Consequence.SPLIT):
                for ticket in tickets:
                    _fail(ticket, error)
                return
        alone = []
        for ticket, reply in zip(tickets, replies, strict=True):
            if reply is None:
                alone.append(self._send_alone(ticket))
            elif not ticket.reply.done():
                ticket.reply.set_result(reply)
        await asyncio.gather(*alone)

    async def _send_together(self, calls: Sequence[Call]) -> Sequence[Reply | None]:
        """The answers, with None for each call that has to be made by itself."""
        attributes = {**self._attributes, "http.request.method": "POST", "facebook.batch_size": len(calls)}
        with span(
            self._span_name, parent=self._parent, kind=SpanKind.CLIENT, attributes=attributes
        ) as current:
            answer = await self._wire.batch(calls, self._token)
            if isinstance(answer, Reply):
                current.set_attribute("http.response.status_code", answer.status)
                refused = read(answer.status, answer.body)
                # What is wrong with a batch as such need not be wrong with its calls.
                of_all = isinstance(refused, GraphFault) and refused.consequence not in _OF_THE_BATCH
                return [answer if of_all else None] * len(calls)
            current.set_attribute("http.response.status_code", 200)
            return [None if each is None or _is_unfinished(each) else each for each in answer]

    async def _send_alone(self, ticket: _Ticket) -> None:
        try:
            reply = await self._wire.get(ticket.call)
        except Exception as error:
            # Told to the task that made the call, in which it is raised again.
            _fail(ticket, error)
        else:
            if not ticket.reply.done():
                ticket.reply.set_result(reply)


def _is_unfinished(reply: Reply) -> bool:
    if reply.status < 400:
        return False
    fault = read(reply.status, reply.body)
    return isinstance(fault, GraphFault) and fault.code == _PART_NOT_FINISHED


def _fail(ticket: _Ticket, error: Exception) -> None:
    if not ticket.reply.done():
        ticket.reply.set_exception(error)
