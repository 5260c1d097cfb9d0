"""A speech-to-text service behind the interface of OpenAI's `POST /v1/audio/transcriptions`.

What it hears follows from the file's bytes alone: the same file always says the same.
"""

import hashlib
import re

from sandbox.exchange import Answer, Call, Upload
from sandbox.faults import Fault, Traits
from sandbox.inbox import Inbox
from sandbox.settings import Settings
from sandbox.world.isobmff import duration
from sandbox.world.speech import Cue, talk, webvtt

_PREFIX = "/transcription/"
_PATH = "/transcription/v1/audio/transcriptions"
_EXTENSIONS = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")
_LANGUAGE = re.compile(r"[a-z]{2}")
_BYTES_PER_SECOND = 16_000
"""How long a file lasts that does not say so itself."""
_SECONDS_PER_SENTENCE = 4.0
_MOST_SENTENCES = 400
_DEAD_KEYS = ("expired-", "revoked-", "invalid-")


class Refusal(Exception):
    """An error answer."""

    def __init__(self, status: int, message: str, kind: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code

    def answer(self) -> Answer:
        """The error on the wire."""
        error = {"message": self.message, "type": self.kind, "param": None, "code": self.code}
        return Answer.of_json(self.status, {"error": error})


class Transcription:
    """One endpoint. Keys that begin with expired-, revoked- or invalid- are refused, all others work."""

    name = "transcription"
    parses_bodies = True

    def __init__(self, settings: Settings, inbox: Inbox) -> None:
        self._settings = settings
        self._inbox = inbox

    def claims(self, method: str, path: str) -> bool:
        return path.startswith(_PREFIX)

    def label(self, path: str) -> str:
        return path if path == _PATH else "/transcription/{unknown}"

    def traits(self, call: Call) -> Traits:
        return Traits(token=_key(call))

    def answer(self, call: Call) -> Answer:
        try:
            return self._transcribe(call)
        except Refusal as refusal:
            return refusal.answer()

    def unreadable(self, detail: str) -> Answer:
        return _invalid(f"Could not parse multipart form: {detail}").answer()

    def refuse(self, fault: Fault, call: Call) -> Answer:
        if fault.kind == "rate_limit":
            refusal = Refusal(429, "Rate limit reached for requests.", "requests", "rate_limit_exceeded")
            answer = refusal.answer()
            answer.headers.append(("retry-after", str(fault.retry_after)))
            return answer
        if fault.kind == "expired_token":
            return _wrong_key(_key(call)).answer()
        if fault.kind == "code":
            message = fault.message or "The sandbox was told to refuse."
            return Refusal(fault.status or 400, message, "invalid_request_error", fault.code).answer()
        message = "The server had an error while processing your request. Sorry about that!"
        return Refusal(500, message, "server_error").answer()

    def observe(self, call: Call, status: int, fault: str) -> None:
        file = call.files.get("file")
        detail: dict[str, object] = {
            "method": call.method,
            "path": call.path,
            "status": status,
            "params": dict(call.form),
            "file": file.filename if file else "",
            "size": len(file.content) if file else 0,
        }
        if fault:
            detail["fault"] = fault
        if trace := call.headers.get("traceparent"):
            detail["traceparent"] = trace
        self._inbox.add("transcription", call.path, detail)

    def reset(self) -> None:
        """Nothing is remembered."""

    def _transcribe(self, call: Call) -> Answer:
        if call.path != _PATH or call.method != "POST":
            raise Refusal(404, f"Invalid URL ({call.method} {call.path})", "invalid_request_error")
        key = _key(call)
        if not key:
            raise Refusal(401, "You didn't provide an API key.", "invalid_request_error")
        if key.startswith(_DEAD_KEYS):
            raise _wrong_key(key)
        params = {name: str(value) for name, value in call.form.items()}
        file = self._file(call)
        if not params.get("model"):
            raise _invalid("you must provide a model parameter")
        language = params.get("language", "") or "en"
        if not _LANGUAGE.fullmatch(language):
            raise _invalid(f"Language '{language}' is not an ISO 639-1 code.", "unsupported_language")
        if (wanted := params.get("response_format", "json")) != "vtt":
            raise _invalid(f"response_format {wanted} is not supported in the sandbox")
        return Answer(200, webvtt(_cues(file.content)).encode(), "text/vtt; charset=utf-8")

    def _file(self, call: Call) -> Upload:
        file = call.files.get("file")
        if file is None:
            raise _invalid("you must provide a file parameter")
        size, largest = len(file.content), self._settings.transcription_max_bytes
        if size > largest:
            message = f"Maximum content size limit ({largest}) exceeded ({size} bytes read)"
            raise Refusal(413, message, "server_error")
        if file.filename.rpartition(".")[2].lower() not in _EXTENSIONS:
            raise _invalid(f"Unrecognized file format. Supported formats: {list(_EXTENSIONS)}")
        if not size:
            raise _invalid("Audio file is too short. Minimum audio length is 0.1 seconds.", "audio_too_short")
        return file


def _cues(content: bytes) -> list[Cue]:
    """What is said, and when."""
    seconds = duration(content)
    if seconds is None:
        seconds = max(len(content) / _BYTES_PER_SECOND, 0.1)
    sentences = min(max(int(seconds / _SECONDS_PER_SENTENCE), 1), _MOST_SENTENCES)
    return talk(hashlib.sha256(content).hexdigest(), seconds, sentences)


def _key(call: Call) -> str:
    scheme, _, key = call.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _invalid(message: str, code: str | None = None) -> Refusal:
    return Refusal(400, message, "invalid_request_error", code)


def _wrong_key(key: str) -> Refusal:
    """The service repeats the last four characters of a key it refuses."""
    message = f"Incorrect API key provided: {'*' * 8}{key[-4:]}."
    return Refusal(401, message, "invalid_request_error", "invalid_api_key")
