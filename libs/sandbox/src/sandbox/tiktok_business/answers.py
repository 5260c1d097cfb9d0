"""The envelope and the headers around every answer of the Business API."""

from itertools import count

from sandbox.clock import Clock
from sandbox.exchange import Answer, Headerlist
from sandbox.tiktok_business.errors import BusinessError
from sandbox.world.dice import throw


class Answers:
    """Words answers; every one has an id of its own, which begins with the UTC second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = count(1)

    def success(self, data: object, headers: Headerlist | None = None) -> Answer:
        """Code 0."""
        return self._envelope(200, 0, "OK", data, headers)

    def failure(self, error: BusinessError) -> Answer:
        """The error's code, with nothing in ``data``."""
        return self._envelope(error.status, error.code, error.message, {})

    def file(self, body: bytes, content_type: str) -> Answer:
        """A report as it is, without an envelope."""
        return Answer(200, body, content_type, self._headers(self._new_id()))

    def no_page(self) -> Answer:
        """What a path without its trailing slash gets, or one that never was."""
        return Answer(404, b"404 page not found", "text/plain", self._headers(self._new_id()))

    def wrong_method(self) -> Answer:
        """The path is right and the method is not."""
        return Answer(405, b"405 method not allowed", "text/plain", self._headers(self._new_id()))

    def _envelope(
        self, status: int, code: int, message: str, data: object, headers: Headerlist | None = None
    ) -> Answer:
        request_id = self._new_id()
        payload = {"code": code, "message": message, "request_id": request_id, "data": data}
        return Answer.of_json(status, payload, [*self._headers(request_id), *(headers or [])])

    def _new_id(self) -> str:
        number = next(self._numbers)
        digits = "".join(f"{int(chance * 2**32):08X}" for chance in throw("request", number)[:3])
        return f"{self._clock.instant():%Y%m%d%H%M%S}0102{digits[:16]}"

    def _headers(self, request_id: str) -> Headerlist:
        return [
            ("x-tt-logid", request_id),
            ("x-tt-trace-id", f"00-{request_id[-16:].lower()}-01"),
            ("x-tt-trace-host", "01"),
        ]
