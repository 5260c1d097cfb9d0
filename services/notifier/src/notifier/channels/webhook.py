"""Webhooks after the Standard Webhooks specification."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import httpx

from common.errors import ChannelError, Consequence
from common.http import RECEIVER, parse_retry_after
from common.http.standard_webhooks import signed_headers, signing_keys
from common.messages import Message
from common.retry import WEBHOOK_SCHEDULE, RetrySchedule
from common.telemetry import traceparent_of
from notifier.channels.base import Parcel, Receipt, Target
from notifier.channels.exchange import Answer, excerpt, post, request_span
from notifier.pacing import Limit


class WebhookChannel:
    """Signed JSON by POST. Only 2xx accepts; everything else is retried, except 410 Gone."""

    type: ClassVar[str] = "webhook"
    schedule: ClassVar[RetrySchedule] = WEBHOOK_SCHEDULE

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    def pace_key(self, target: Target) -> str:
        """One bucket per endpoint, because hosts of webhook services are shared by unrelated receivers."""
        return f"webhook:{target.destination_id}"

    def limits(self, target: Target) -> Sequence[Limit]:
        """None are known in advance; a receiver responds with 429."""
        return ()

    def messages(self, message: Message) -> int:
        """Always one request."""
        return 1

    async def send(self, parcel: Parcel, *, now: datetime) -> Receipt:
        """One attempt. The body and `webhook-id` are the same at every attempt, the timestamp is not."""
        url, keys = _endpoint(parcel.target)
        body = payload(parcel)
        with request_span(url, parcel.traceparent) as current:
            headers = {
                "content-type": "application/json",
                **signed_headers(message_id(parcel), now, body, keys),
                "traceparent": traceparent_of(current) or parcel.traceparent or "",
            }
            answer = await post(
                self._client,
                url,
                content=body,
                headers={name: value for name, value in headers.items() if value},
                extensions=RECEIVER,
            )
            current.set_attribute("http.response.status_code", answer.status)
            if not 200 <= answer.status < 300:
                raise refusal(answer, now=now, secrets=parcel.target.secrets)
        return Receipt(answer.status, {})


def message_id(parcel: Parcel) -> str:
    """`webhook-id`: the receiver's idempotency key."""
    return f"msg_{parcel.id.hex}"


def payload(parcel: Parcel) -> bytes:
    """The request body: the same bytes for the same delivery at every attempt.

    Requested files are in `data.attachments`, their `content` in base64. The chart is left out, because the
    JSON has the figures it is drawn from.
    """
    message = parcel.message
    created = parcel.created_at.astimezone(UTC).isoformat(timespec="milliseconds")
    data: dict[str, Any] = {
        **message.data,
        "delivery_id": str(parcel.id),
        "title": message.title,
        "text": message.text,
    }
    if parcel.run_id is not None:
        data["run_id"] = str(parcel.run_id)
    if message.files:
        data["attachments"] = [file.model_dump(mode="json") for file in message.files]
    document = {"type": message.type, "timestamp": created.replace("+00:00", "Z"), "data": data}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode(
        errors="replace"
    )


def refusal(answer: Answer, *, now: datetime, secrets: Sequence[str] = ()) -> ChannelError:
    """The error for a response other than 2xx. `secrets` are redacted where the receiver echoes them."""
    retry_after = None
    match answer.status:
        case 410:
            consequence = Consequence.GONE
        case 429 | 503:
            consequence = Consequence.RATE
            retry_after = parse_retry_after(answer.headers.get("retry-after"), now=now)
        case _:
            consequence = Consequence.TRANSIENT
    detail = f"the receiver answered {answer.status}"
    if 300 <= answer.status < 400:
        detail += ", a redirect, which webhooks do not follow"
    if said := excerpt(answer.body, secrets=secrets):
        detail += f": {said}"
    return ChannelError(
        detail,
        consequence,
        code=str(answer.status),
        http_status=answer.status,
        retry_after=retry_after,
    )


def _endpoint(target: Target) -> tuple[httpx.URL, list[bytes]]:
    try:
        url = httpx.URL(target.config["url"])
    except (KeyError, TypeError, httpx.InvalidURL) as error:
        raise ChannelError("the destination has no valid URL", Consequence.INVALID, code="no_url") from error
    try:
        return url, signing_keys(target.secret or "")
    except ValueError as error:
        raise ChannelError(str(error), Consequence.INVALID, code="bad_secret") from error
