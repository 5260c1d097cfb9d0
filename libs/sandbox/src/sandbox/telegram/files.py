"""Photos and documents: uploads, links and what the sandbox says about them."""

import base64
import struct
from typing import Any

from sandbox.exchange import Call, Upload
from sandbox.telegram.errors import BotError, bad_request
from sandbox.world.dice import throw

MAX_PHOTO = 10 * 1024 * 1024
MAX_DOCUMENT = 50 * 1024 * 1024


def document(call: Call, reference: str = "") -> dict[str, Any]:
    """The Document of a message, or of an album's item; raises 400 or 413."""
    upload, reference = _source(call, "document", reference)
    if upload is None:
        return {**_identity("BQ", reference), "file_name": reference.rpartition("/")[2] or "file"}
    if len(upload.content) > MAX_DOCUMENT:
        raise BotError(413)
    shown: dict[str, Any] = {"file_name": upload.filename or "document"}
    if upload.content_type:
        shown["mime_type"] = upload.content_type
    return {**shown, **_identity("BQ", upload.filename), "file_size": len(upload.content)}


def photo(call: Call, reference: str = "") -> list[dict[str, Any]]:
    """The PhotoSize list of a message, or of an album's item; raises 400 or 413."""
    upload, reference = _source(call, "photo", reference)
    if upload is None:
        return [{**_identity("AgAC", reference), "width": 1280, "height": 720}]
    if len(upload.content) > MAX_PHOTO:
        raise BotError(413)
    size = image_size(upload.content)
    if size is None:
        raise bad_request("IMAGE_PROCESS_FAILED")
    width, height = size
    if width + height > 10_000 or max(width, height) > 20 * max(min(width, height), 1):
        raise bad_request("PHOTO_INVALID_DIMENSIONS")
    return [
        {
            **_identity("AgAC", upload.filename),
            "file_size": len(upload.content),
            "width": width,
            "height": height,
        }
    ]


def image_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, GIF or JPEG; None for anything else."""
    if content.startswith(b"\x89PNG\r\n\x1a\n") and len(content) >= 24:
        width, height = struct.unpack(">II", content[16:24])
        return width, height
    if content.startswith((b"GIF87a", b"GIF89a")) and len(content) >= 10:
        width, height = struct.unpack("<HH", content[6:10])
        return width, height
    if content.startswith(b"\xff\xd8"):
        return _jpeg_size(content)
    return None


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        (length,) = struct.unpack(">H", content[at + 2 : at + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None


def _source(call: Call, field: str, reference: str = "") -> tuple[Upload | None, str]:
    """The uploaded file, or the file id or address given instead."""
    if not reference and field in call.files:
        upload = call.files[field]
        if not upload.content:
            raise bad_request("file must be non-empty")
        return upload, ""
    reference = reference or str(call.params().get(field) or "")
    if reference.startswith("attach://"):
        attached = call.files.get(reference[9:])
        if attached is None:
            raise bad_request("wrong file identifier/HTTP URL specified")
        return attached, ""
    if not reference:
        raise bad_request(f"there is no {field} in the request")
    if reference.startswith(("http://", "https://")):
        if "." not in reference.partition("://")[2].partition("/")[0]:
            raise bad_request("wrong HTTP URL specified")
        return None, reference
    if len(reference) < 20 or not reference.replace("-", "").replace("_", "").isalnum():
        raise bad_request("wrong file identifier/HTTP URL specified")
    return None, reference


def _identity(prefix: str, name: str) -> dict[str, str]:
    if len(name) >= 20 and name.startswith(prefix):
        return {"file_id": name, "file_unique_id": name[-16:]}
    parts = throw("file", prefix, name)
    raw = base64.urlsafe_b64encode(struct.pack(">8I", *(int(part * 2**32) for part in parts))).decode()
    return {"file_id": f"{prefix}ACAgIAAxkB{raw.rstrip('=')}", "file_unique_id": f"AQAD{raw[:12]}"}
