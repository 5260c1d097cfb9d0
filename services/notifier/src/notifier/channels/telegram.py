"""Telegram, by the Bot API's sendMessage, sendPhoto and sendDocument."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

import httpx
import structlog

from common.errors import ChannelError, Consequence
from common.messages import Message
from common.retry import TELEGRAM_SCHEDULE, RetrySchedule
from notifier.channels.base import Interrupted, Parcel, Receipt, Target
from notifier.channels.exchange import TOTAL_TIMEOUT, post, request_span
from notifier.channels.telegram_answers import Refused, message_id
from notifier.channels.telegram_errors import Remedy
from notifier.channels.telegram_posts import Method, Post, body_of, posts_of
from notifier.pacing import Limit
from notifier.settings import NotifierSettings

log = structlog.get_logger()

_TOKEN = re.compile(r"(?P<bot>[0-9]{1,20}):[A-Za-z0-9_-]{1,80}")
UPLOAD_TIMEOUT = 60.0
"""Seconds for a request that carries a picture or a file."""
_LEFT_OUT = 0
"""Stands among the message ids for a picture that Telegram refused."""
_ABOUT_THE_PICTURE = frozenset({Consequence.INVALID, Consequence.SPLIT, Consequence.PERM})
CHAT_BURST = 3
"""Messages a chat gets at once before they are spaced out; Telegram tolerates short bursts."""


@dataclass(slots=True)
class _Chat:
    """The target of the parts; changes when Telegram reports a migrated chat or a deleted thread."""

    chat_id: int | str
    thread: int | None
    moved: bool = False

    def address(self) -> dict[str, Any]:
        """As requests name it."""
        address: dict[str, Any] = {"chat_id": self.chat_id}
        if self.thread is not None:
            address["message_thread_id"] = self.thread
        return address

    def config(self, before: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The destination's new configuration; None when it stays as it is."""
        if not self.moved:
            return None
        config = {**before, "chat_id": self.chat_id}
        if self.thread is None:
            config.pop("message_thread_id", None)
        return config


@dataclass(frozen=True, slots=True)
class _Call:
    """What all parts of one delivery share."""

    parcel: Parcel
    chat: _Chat
    token: str
    now: datetime


class TelegramChannel:
    """Messages to a chat: a picture, texts and files, in as many parts as Telegram's limits make necessary.

    The Bot API has no idempotency key: a part whose answer was lost is sent again, and may be there twice.
    Acknowledged parts are recorded and never sent again.
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
        return max(1, len(posts_of(message)))

    async def send(self, parcel: Parcel, *, now: datetime) -> Receipt:
        """Send the parts not accepted in earlier attempts. Raises Interrupted once there is progress to
        keep."""
        chat, token = _address(parcel.target)
        posts = posts_of(parcel.message)
        if not posts:
            raise ChannelError("message text is empty", Consequence.INVALID, code="empty")
        sent = _already_sent(parcel.progress, len(posts))
        call = _Call(parcel, chat, token, now)
        try:
            for each in posts[len(sent) :]:
                sent.append(await self._send_post(each, call))
                if len(sent) < len(posts):
                    await parcel.note(_progress(sent, posts))
        except ChannelError as error:
            config = chat.config(parcel.target.config)
            if sent or config is not None:
                raise Interrupted(error, _progress(sent, posts), config) from error
            raise
        return Receipt(200, _progress(sent, posts), chat.config(parcel.target.config))

    async def _send_post(self, each: Post, call: _Call) -> int:
        """Send one part; returns the message id. A refused picture must not prevent its caption from being
        sent."""
        try:
            return await self._with_remedies(each, call)
        except ChannelError as error:
            is_refused = error.http_status in (400, 413) and error.consequence in _ABOUT_THE_PICTURE
            if each.method is not Method.PHOTO or not is_refused:
                raise
            log.warning("picture refused", delivery_id=str(call.parcel.id), error=error.detail)
        if each.words is None:
            return _LEFT_OUT
        return await self._with_remedies(replace(each, method=Method.TEXT, upload=None), call)

    async def _with_remedies(self, each: Post, call: _Call) -> int:
        """Send one part, with each remedy tried once. Updates the chat."""
        html = None if each.words is None else each.words.html
        chat = call.chat
        untried = set(Remedy)
        while True:
            try:
                return await self._perform(each, html, call)
            except Refused as refused:
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

    async def _perform(self, each: Post, html: str | None, call: _Call) -> int:
        url = httpx.URL(f"{self._base_url}/bot{call.token}/{each.method}")
        with request_span(url, call.parcel.traceparent, template=f"/bot{{token}}/{each.method}") as current:
            body = body_of(each, html, call.chat.address())
            answer = await post(
                self._client,
                url,
                content=body.content,
                headers={"content-type": body.content_type},
                timeout=TOTAL_TIMEOUT if each.upload is None else UPLOAD_TIMEOUT,
            )
            current.set_attribute("http.response.status_code", answer.status)
            return message_id(answer, call.token, call.now)


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


def _already_sent(progress: Mapping[str, Any], parts: int) -> list[int]:
    """The message ids of the parts sent before.

    If the message splits differently now, as after an upgrade, it is sent from the beginning, because
    duplicated text is better than missing text.
    """
    sent = progress.get("sent")
    if progress.get("parts") != parts or not isinstance(sent, list):
        return []
    return list(sent[:parts])


def _progress(sent: Sequence[int], posts: Sequence[Post]) -> dict[str, Any]:
    return {"sent": list(sent), "parts": len(posts)}
