"""What a template says is done with its recordings, and how a job overrides it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from common.automation_config.recording_sync import RecordingSyncConfig
from common.recordings.settings import FileKind, ProcessingSettings, StoreTarget, expand


def faults(**given: Any) -> set[str]:
    """The fields that are refused."""
    with pytest.raises(ValidationError) as refused:
        ProcessingSettings.model_validate(given)
    return {".".join(map(str, fault["loc"])) for fault in refused.value.errors()}


def test_by_default_every_step_is_done() -> None:
    settings = ProcessingSettings()

    assert (settings.auto_process, settings.auto_upload, settings.skip_transcription) == (True, True, False)
    assert settings.file_types == (FileKind.VIDEO, FileKind.AUDIO, FileKind.TRANSCRIPT)
    assert settings.upload == (StoreTarget(type="store"),)
    assert settings.language is None


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"auto_proces": True}, "auto_proces"),
        ({"auto_process": "perhaps"}, "auto_process"),
        ({"transcription": {"language": "German"}}, "transcription.language"),
        ({"transcription": {"colour": 1}}, "transcription.colour"),
        ({"file_types": []}, "file_types"),
        ({"file_types": ["video", "video"]}, "file_types"),
        ({"file_types": ["video", "film"]}, "file_types.1"),
        ({"upload": [{"type": "ftp"}]}, "upload.0"),
        ({"upload": [{"type": "s3"}]}, "upload.0.s3.connection_id"),
        ({"upload": [{"type": "webhook", "destination_id": 5}]}, "upload.0.webhook.destination_id"),
        ({"upload": [{"type": "store", "prefix": "{nonsense}"}]}, "upload.0.store.prefix"),
        ({"upload": [{"type": "store", "prefix": "{topic!r}"}]}, "upload.0.store.prefix"),
        ({"upload": [{"type": "store", "prefix": "{topic.__class__}"}]}, "upload.0.store.prefix"),
        ({"upload": [{"type": "store", "prefix": "{topic"}]}, "upload.0.store.prefix"),
        ({"upload": [{"type": "store", "prefix": "a/../../b"}]}, "upload.0.store.prefix"),
        ({"upload": [{"type": "store", "prefix": "/etc"}]}, "upload.0.store.prefix"),
    ],
)
def test_invalid_settings_are_named(given: dict[str, Any], field: str) -> None:
    assert faults(**given) == {field}


def test_a_job_overrides_only_the_settings_it_names() -> None:
    template = ProcessingSettings.model_validate(
        {
            "auto_upload": False,
            "transcription": {"language": "de", "prompt": "Brightpath"},
            "upload": [
                {"type": "store", "prefix": "lectures"},
                {"type": "s3", "connection_id": str(uuid4())},
            ],
        }
    )

    settings = template.overridden_by(
        {"auto_process": False, "transcription": {"language": "ru"}, "upload": [{"type": "store"}]}
    )

    assert (settings.auto_process, settings.auto_upload) == (False, False)
    assert (settings.language, settings.transcription.prompt) == ("ru", "Brightpath")
    assert settings.upload == (StoreTarget(type="store"),)
    assert template.overridden_by({}) == template


def test_true_and_false_are_shorthand_for_transcription() -> None:
    silent = ProcessingSettings.model_validate(
        {"skip_transcription": True, "transcription": {"language": "de"}}
    )

    spoken = silent.overridden_by({"transcription": True})

    assert (spoken.skip_transcription, spoken.language) == (False, "de")
    assert spoken.overridden_by({"transcription": False}).skip_transcription is True
    with pytest.raises(ValidationError, match="opposite"):
        spoken.overridden_by({"transcription": True, "skip_transcription": True})


def test_unknown_overrides_are_rejected_on_input() -> None:
    with pytest.raises(ValidationError) as refused:
        RecordingSyncConfig.model_validate({"template_ids": [1], "processing_config": {"auto_proces": True}})

    assert [fault["loc"] for fault in refused.value.errors()] == [("processing_config", "auto_proces")]


def test_settings_round_trip_through_json() -> None:
    settings = ProcessingSettings.model_validate({"transcription": {"language": "pt-BR"}})

    assert ProcessingSettings.model_validate(settings.as_document()) == settings


@pytest.mark.parametrize(
    ("topic", "folder"),
    [
        ("Weekly call", "2026-11-03/Weekly call"),
        ("../../etc/passwd", "2026-11-03/etc passwd"),
        ("a/b\\c\x00d", "2026-11-03/a b c d"),
        ("..", "2026-11-03/untitled"),
        ("{host}", "2026-11-03/{host}"),
        ("x" * 300, "2026-11-03/" + "x" * 100),
    ],
)
def test_a_prefix_leads_below_its_store_whatever_the_topic(topic: str, folder: str) -> None:
    assert expand("{date}/{topic}", {"date": "2026-11-03", "topic": topic}) == folder
