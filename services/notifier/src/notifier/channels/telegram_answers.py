"""Parsing Telegram's response to one call: the message created, or an error with its consequence."""

from __future__ import annotations

import json
from datetime import datetime

from common.errors import ChannelError, Consequence
from common.http import bounded_wait, parse_retry_after
from common.secrets.redaction import hide_secrets
from notifier.channels.base import OutcomeUnknown
from notifier.channels.exchange import Answer, excerpt
from notifier.channels.telegram_errors import Rule, rule_for


class Refused(ChannelError):
    """Telegram's refusal, with the remedy that can be tried at once."""

    def __init__(
        self,
        detail: str,
        rule: Rule,
        *,
        http_status: int,
        retry_after: float | None,
        new_chat: int | None,
    ) -> None:
        super().__init__(
            detail,
            rule.consequence,
            code=str(rule.status),
            http_status=http_status,
            retry_after=retry_after,
        )
        self.remedy = rule.remedy
        self.new_chat = new_chat


def message_id(answer: Answer, token: str, now: datetime) -> int:
    """The id of the accepted message.

    Raises:
        Refused: Telegram rejected it.
        OutcomeUnknown: it may have been accepted.
        ChannelError: something else than Telegram answered.
    """
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise _unreadable(answer, token, now)
    if document.get("ok") is True:
        result = document.get("result")
        identifier = result.get("message_id") if isinstance(result, dict) else None
        return identifier if isinstance(identifier, int) else 0
    status = document.get("error_code")
    status = status if isinstance(status, int) else answer.status
    description = hide_secrets(str(document.get("description", "")), [token], limit=300)
    parameters = document.get("parameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    new_chat = parameters.get("migrate_to_chat_id")
    raise Refused(
        f"Telegram answered {status}: {description}",
        rule_for(status, description),
        http_status=answer.status,
        retry_after=_wait(parameters.get("retry_after"), answer, now),
        new_chat=new_chat if isinstance(new_chat, int) else None,
    )


def _unreadable(answer: Answer, token: str, now: datetime) -> ChannelError:
    """The response is not from the Bot API, or truncated: only its status is reliable."""
    if answer.status == 200:
        return OutcomeUnknown(
            "Telegram's answer cannot be read; the message may have been delivered",
            Consequence.TRANSIENT,
            code="unreadable",
            http_status=answer.status,
        )
    if answer.status in (413, 429):
        consequence = rule_for(answer.status, "").consequence
    elif 400 <= answer.status < 500:
        consequence = Consequence.INVALID
    else:
        consequence = Consequence.TRANSIENT
    said = excerpt(answer.body, characters=100, secrets=[token])
    return ChannelError(
        f"something other than Telegram answered {answer.status}: {said or 'nothing'}",
        consequence,
        code=str(answer.status),
        http_status=answer.status,
        retry_after=_wait(None, answer, now),
    )


def _wait(seconds: object, answer: Answer, now: datetime) -> float | None:
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        return bounded_wait(float(seconds))
    return parse_retry_after(answer.headers.get("retry-after"), now=now)
