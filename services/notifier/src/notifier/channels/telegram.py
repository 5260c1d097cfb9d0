"""Telegram, by the Bot API's sendMessage."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import httpx

from common.errors import ChannelError, Consequence
from common.http import bounded_wait, parse_retry_after
from common.messages import Message
from common.retry import TELEGRAM_SCHEDULE, RetrySchedule
from common.telemetry import hide_secrets
from notifier.channels.base import Interrupted, OutcomeUnknown, Parcel, Receipt, Target
from notifier.channels.exchange import Answer, excerpt, post, request_span
from notifier.channels.telegram_errors import Remedy, Rule, rule_for
from notifier.channels.telegram_markup import Part, message_parts
from notifier.pacing import Limit
from notifier.settings import NotifierSettings

_TOKEN = re.compile(r"(?P<bot>[0-9]{1,20}):[A-Za-z0-9_-]{1,80}")
_URL_TEMPLATE = "/bot{token}/sendMessage"
CHAT_BURST = 3
"""Messages a chat gets at once before they are spaced out; Telegram tolerates short bursts."""


@dataclass(slots=True)
class _Chat:
    """Where the parts go; changes when Telegram says that the chat moved or that its thread is gone."""

    chat_id: int | str
    thread: int | None
    moved: bool = False

    def config(self, before: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The destination's new configuration; None when it stays as it is."""
        if not self.moved:
            return None
        config = {**before, "chat_id": self.chat_id}
        if self.thread is None:
            config.pop("message_thread_id", None)
        return config


class _Refused(ChannelError):
    """Telegram's refusal, with what may be done about it at once."""

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


class TelegramChannel:
    """Messages to a chat, in as many parts as Telegram's limit makes necessary.

    sendMessage has no idempotency key: a part whose answer was lost is sent again, and may be there twice.
    Parts that were acknowledged are noted and never sent again.
    """

    type: ClassVar[str] = "telegram"
    schedule: ClassVar[RetrySchedule] = TELEGRAM_SCHEDULE

    def __init__(self, client: httpx.AsyncClient, settings: NotifierSettings) -> None:
        self._client = client
        self._base_url = settings.telegram_base_url.rstrip("/")
        self._chat_per_minute = settings.telegram_chat_per_minute
        self._group_per_minute = settings.telegram_group_per_minute
        self._bot_per_second = settings.telegram_bot_per_second

    def pace_key(self, target: Target) -> str:
        """One bucket a bot and chat."""
        return f"{_bot_key(target)}:{target.config.get('chat_id')}"

    def limits(self, target: Target) -> Sequence[Limit]:
        """Telegram's published limits: a chat, a group or channel, and the bot as a whole."""
        key = self.pace_key(target)
        limits = [
            Limit(key, self._chat_per_minute, 60.0, burst=CHAT_BURST),
            Limit(_bot_key(target), self._bot_per_second, 1.0, burst=max(1, self._bot_per_second // 6)),
        ]
        # Groups, supergroups and channels have negative ids or @names.
        if str(target.config.get("chat_id")).startswith(("-", "@")):
            limits.append(Limit(f"{key}:group", self._group_per_minute, 60.0, burst=CHAT_BURST))
        return limits

    def messages(self, message: Message) -> int:
        """The number of parts."""
        return max(1, len(_parts(message)))

    async def send(self, parcel: Parcel, *, now: datetime) -> Receipt:
        """Send the parts no earlier attempt noted. Raises Interrupted once there is something to keep."""
        chat, token = _address(parcel.target)
        parts = _parts(parcel.message)
        if not parts:
            raise ChannelError("message text is empty", Consequence.INVALID, code="empty")
        sent = _already_sent(parcel.progress, len(parts))
        try:
            for part in parts[len(sent) :]:
                sent.append(await self._send_part(part, chat, token, parcel.traceparent, now))
                if len(sent) < len(parts):
                    await parcel.note(_progress(sent, parts))
        except ChannelError as error:
            config = chat.config(parcel.target.config)
            if sent or config is not None:
                raise Interrupted(error, _progress(sent, parts), config) from error
            raise
        return Receipt(200, _progress(sent, parts), chat.config(parcel.target.config))

    async def _send_part(
        self, part: Part, chat: _Chat, token: str, traceparent: str | None, now: datetime
    ) -> int:
        """Send one part, with each remedy tried once. Answers the message id; updates `chat`."""
        html = part.html
        untried = set(Remedy)
        while True:
            try:
                return await self._call(_request(part, html, chat), token, traceparent, now)
            except _Refused as refused:
                if refused.remedy not in untried:
                    raise
                untried.remove(refused.remedy)
                match refused.remedy:
                    case Remedy.PLAIN_TEXT if html is not None:
                        html = None
                    case Remedy.NEW_CHAT if refused.new_chat is not None:
                        chat.chat_id, chat.moved = refused.new_chat, True
                    case Remedy.NO_THREAD if chat.thread is not None:
                        chat.thread, chat.moved = None, True
                    case _:
                        raise

    async def _call(
        self, request: Mapping[str, Any], token: str, traceparent: str | None, now: datetime
    ) -> int:
        url = httpx.URL(f"{self._base_url}/bot{token}/sendMessage")
        with request_span(url, traceparent, template=_URL_TEMPLATE) as current:
            answer = await post(
                self._client,
                url,
                content=json.dumps(request).encode(),
                headers={"content-type": "application/json"},
            )
            current.set_attribute("http.response.status_code", answer.status)
            return _message_id(answer, token, now)


def _bot_key(target: Target) -> str:
    # The part before the colon is the bot's public id.
    return f"telegram:{(target.secret or '').partition(':')[0]}"


def _address(target: Target) -> tuple[_Chat, str]:
    chat_id = target.config.get("chat_id")
    if isinstance(chat_id, str) and re.fullmatch(r"-?[0-9]{1,20}", chat_id):
        chat_id = int(chat_id)
    if not isinstance(chat_id, int | str) or chat_id in ("", 0):
        raise ChannelError("the destination has no chat_id", Consequence.INVALID, code="no_chat")
    thread = target.config.get("message_thread_id")
    if not _TOKEN.fullmatch(target.secret or ""):
        raise ChannelError("the bot token is missing or malformed", Consequence.REAUTH, code="bad_token")
    return _Chat(chat_id, thread if isinstance(thread, int) else None), target.secret or ""


def _parts(message: Message) -> list[Part]:
    return message_parts(message.html, message.text)


def _request(part: Part, html: str | None, chat: _Chat) -> dict[str, Any]:
    request: dict[str, Any] = {
        "chat_id": chat.chat_id,
        "text": part.plain if html is None else html,
        "link_preview_options": {"is_disabled": True},
    }
    if html is not None:
        request["parse_mode"] = "HTML"
    if chat.thread is not None:
        request["message_thread_id"] = chat.thread
    return request


def _already_sent(progress: Mapping[str, Any], parts: int) -> list[int]:
    """The message ids of the parts sent before.

    Should the message now divide differently, as after an upgrade, it is sent from the beginning: text twice
    is better than text missing.
    """
    sent = progress.get("sent")
    if progress.get("parts") != parts or not isinstance(sent, list):
        return []
    return list(sent[:parts])


def _progress(sent: Sequence[int], parts: Sequence[Part]) -> dict[str, Any]:
    return {"sent": list(sent), "parts": len(parts)}


def _message_id(answer: Answer, token: str, now: datetime) -> int:
    """The id of the accepted message. Raises OutcomeUnknown or _Refused."""
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
    description = str(document.get("description", ""))[:300]
    parameters = document.get("parameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    new_chat = parameters.get("migrate_to_chat_id")
    raise _Refused(
        f"Telegram answered {status}: {_without(token, description)}",
        rule_for(status, description),
        http_status=answer.status,
        retry_after=_wait(parameters.get("retry_after"), answer, now),
        new_chat=new_chat if isinstance(new_chat, int) else None,
    )


def _unreadable(answer: Answer, token: str, now: datetime) -> ChannelError:
    """The answer did not come from the Bot API, or not whole: only its status says something."""
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
    said = _without(token, excerpt(answer.body, characters=100))
    return ChannelError(
        f"something other than Telegram answered {answer.status}: {said or 'nothing'}",
        consequence,
        code=str(answer.status),
        http_status=answer.status,
        retry_after=_wait(None, answer, now),
    )


def _without(token: str, text: str) -> str:
    return hide_secrets(text.replace(token, "[hidden]"))


def _wait(seconds: object, answer: Answer, now: datetime) -> float | None:
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        return bounded_wait(float(seconds))
    return parse_retry_after(answer.headers.get("retry-after"), now=now)
