"""Putting the parts of the processing of recordings together."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from common.database.pool import ConnectionPool
from common.recordings.store import RecordingStore
from common.secrets.crypto import KeyRing
from common.work.leases import RECORDINGS, Leases
from common.work.patience import Patience
from common.work.places import Places
from common.work.worker import Worker
from executor.aftermath.application import AftermathWriter
from executor.recordings.processing.attempts import RecordingAttempts
from executor.recordings.processing.claims import ClaimedRecording, RecordingClaims
from executor.recordings.processing.execution import Processing
from executor.recordings.processing.outcomes import RecordingOutcomes
from executor.recordings.processing.pipeline import Step
from executor.recordings.processing.progress import StepWork
from executor.recordings.steps.download import Downloader
from executor.recordings.steps.download_hosts import DownloadHosts
from executor.recordings.steps.downloading import Credentials, Downloading
from executor.recordings.steps.transcribing import Transcribing
from executor.recordings.steps.transcription_api import Endpoint, SpeechToText
from executor.recordings.steps.uploading import Uploading
from executor.recordings.targets.opening import Targets
from executor.settings import ExecutorSettings
from platforms.platform import settings_of
from platforms.zoom.settings import ZoomSettings


def processing_of(
    settings: ExecutorSettings,
    *,
    pool: ConnectionPool,
    ring: KeyRing,
    http: httpx.AsyncClient,
    store: RecordingStore | None,
    credentials: Credentials,
    aftermath: AftermathWriter,
    worker: str,
    patience: Patience,
) -> Worker[ClaimedRecording, Places]:
    """The processing of recordings in one executor; without a store every recording fails and says so."""
    steps = None if store is None else steps_of(settings, pool, ring, http, store, credentials)
    processing = Processing(
        RecordingClaims(pool, ring, worker=worker, lease_seconds=settings.lease_seconds),
        RecordingAttempts(
            RecordingOutcomes(pool, worker=worker, aftermath=aftermath),
            steps,
            step_timeout=settings.recording_step_timeout,
            max_attempts=settings.recording_attempts,
        ),
        sweep_after=patience,
    )
    return Worker(
        processing,
        Leases(pool, RECORDINGS, worker=worker, seconds=settings.lease_seconds),
        [Places(settings.recording_concurrency)],
        sweep_interval=patience.interval,
    )


def steps_of(
    settings: ExecutorSettings,
    pool: ConnectionPool,
    ring: KeyRing,
    http: httpx.AsyncClient,
    store: RecordingStore,
    credentials: Credentials,
) -> Mapping[Step, StepWork]:
    """What does each step."""
    speech = _speech(settings, http)
    downloader = Downloader(
        http,
        store,
        DownloadHosts.of(settings_of(settings, ZoomSettings).zoom_base_url, settings.zoom_download_hosts),
        max_bytes=settings.recording_max_bytes,
        timeout=settings.platform_timeout,
    )
    return {
        Step.DOWNLOAD: Downloading(downloader, store, credentials, can_transcribe=speech is not None),
        Step.TRANSCRIBE: Transcribing(store, speech),
        Step.UPLOAD: Uploading(Targets(pool, ring, store, http)),
    }


def _speech(settings: ExecutorSettings, http: httpx.AsyncClient) -> SpeechToText | None:
    if settings.transcription_base_url is None:
        return None
    key = settings.transcription_api_key
    endpoint = Endpoint(
        settings.transcription_base_url,
        settings.transcription_model,
        settings.transcription_max_bytes,
        settings.transcription_timeout,
        None if key is None else key.get_secret_value(),
    )
    return SpeechToText(http, endpoint)
