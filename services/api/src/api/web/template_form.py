"""The form of a recording template: between its fields and the documents they stand for. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from api.web.forms import Form
from api.web.recording_words import lines
from common.recordings.settings import FileKind

BY_LINE = ("exact_matches", "keywords", "patterns")
KINDS = tuple(kind for kind in FileKind if kind is not FileKind.OTHER)
USUAL_PREFIX = "{date}/{topic}"
FIELDS: Mapping[str, str] = {
    "/name": "name",
    "/description": "description",
    **{f"/matching_rules/{name}": name for name in (*BY_LINE, "source_ids")},
    "/processing/file_types": "file_types",
    "/processing/transcription/language": "language",
    "/processing/transcription/prompt": "prompt",
    "/processing/upload": "upload",
}
"""Where the form shows what a fault's pointer names."""
BLANK: Mapping[str, Any] = {
    "name": "",
    "description": "",
    "exact_matches": "",
    "keywords": "",
    "patterns": "",
    "source_ids": [],
    "auto_process": True,
    "transcript": True,
    "auto_upload": True,
    "file_types": ["video", "audio", "transcript"],
    "language": "",
    "prompt": "",
    "is_active": True,
    "to_store": True,
    "prefix": USUAL_PREFIX,
    "buckets": [],
    "bucket_prefixes": {},
    "webhooks": [],
    "upload_json": None,
}
_BOXES = ("auto_process", "transcript", "auto_upload", "is_active", "to_store")


def shown(row: Any, sources: Sequence[Any]) -> dict[str, Any]:
    """What the form holds for a stored template. `sources` are the team's, to tell numbers from ids."""
    rules, processing = row.matching_rules, row.processing
    transcription = processing.get("transcription") or {}
    named = {str(name) for name in rules.get("source_ids", ())}
    upload = processing.get("upload", [{"type": "store", "prefix": USUAL_PREFIX}])
    return {
        **BLANK,
        "name": row.name,
        "description": row.description,
        "is_active": row.is_active,
        **{name: lines(rules.get(name, ())) for name in BY_LINE},
        "source_ids": [each.number for each in sources if named & {str(each.number), str(each.id)}],
        "auto_process": processing.get("auto_process", True),
        "transcript": not processing.get("skip_transcription", False),
        "auto_upload": processing.get("auto_upload", True),
        "file_types": list(processing.get("file_types", BLANK["file_types"])),
        "language": transcription.get("language") or "",
        "prompt": transcription.get("prompt") or "",
        **_targets(upload),
    }


def entered(form: Form) -> dict[str, Any]:
    """What the form held when it was sent."""
    return {
        **BLANK,
        **{name: form.text(name) for name in ("name", "description", "language", "prompt", "prefix")},
        **{name: (form.get(name) or ("",))[0] for name in BY_LINE},
        **{name: bool(form.text(name)) for name in _BOXES},
        "source_ids": [int(value) for value in form.get("source_ids", ()) if _is_number(value)],
        "file_types": list(form.get("file_types", ())),
        "buckets": list(form.get("buckets", ())),
        "bucket_prefixes": {
            name.removeprefix("prefix."): values[0]
            for name, values in form.items()
            if name.startswith("prefix.")
        },
        "webhooks": list(form.get("webhooks", ())),
        "upload_json": form.text("upload_json") if "upload_json" in form else None,
    }


def rules_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The rules the form describes."""
    given = {name: [line.strip() for line in values[name].splitlines() if line.strip()] for name in BY_LINE}
    return {**given, "source_ids": values["source_ids"]}


def document_of(values: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """The request the form describes. What it does not show of the processing stays as it was in `kept`."""
    transcription = {
        **(kept.get("transcription") or {}),
        "language": values["language"] or None,
        "prompt": values["prompt"] or None,
    }
    return {
        "name": values["name"],
        "description": values["description"],
        "is_active": values["is_active"],
        "matching_rules": rules_of(values),
        "processing": {
            **kept,
            "auto_process": values["auto_process"],
            "skip_transcription": not values["transcript"],
            "auto_upload": values["auto_upload"],
            "file_types": values["file_types"],
            "transcription": transcription,
            "upload": _upload(values),
        },
    }


def _upload(values: Mapping[str, Any]) -> Any:
    if values["upload_json"] is not None:
        try:
            return json.loads(values["upload_json"])
        except (ValueError, RecursionError):
            return values["upload_json"]
    targets: list[dict[str, Any]] = []
    if values["to_store"]:
        targets.append({"type": "store", "prefix": values["prefix"]})
    prefixes = values["bucket_prefixes"]
    targets += [
        {"type": "s3", "connection_id": each, "prefix": prefixes.get(each, USUAL_PREFIX)}
        for each in values["buckets"]
    ]
    return targets + [{"type": "webhook", "destination_id": each} for each in values["webhooks"]]


def _targets(upload: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Targets as the form's fields; as JSON where one place is named twice, which the fields cannot say."""
    stores = [each for each in upload if each["type"] == "store"]
    buckets = [str(each["connection_id"]) for each in upload if each["type"] == "s3"]
    webhooks = [str(each["destination_id"]) for each in upload if each["type"] == "webhook"]
    if len(stores) > 1 or any(len(ids) != len(set(ids)) for ids in (buckets, webhooks)):
        return {"upload_json": json.dumps(list(upload), indent=2, ensure_ascii=False)}
    return {
        "to_store": bool(stores),
        "prefix": stores[0].get("prefix", USUAL_PREFIX) if stores else USUAL_PREFIX,
        "buckets": buckets,
        "bucket_prefixes": {
            str(each["connection_id"]): each.get("prefix", USUAL_PREFIX)
            for each in upload
            if each["type"] == "s3"
        },
        "webhooks": webhooks,
    }


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10
