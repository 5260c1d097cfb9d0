"""Every template of the gallery: one line each family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from api.gallery.alerts import ALERTS
from api.gallery.base import GalleryTemplate
from api.gallery.recordings import RECORDINGS
from api.gallery.reports import REPORTS
from api.gallery.syncs import SYNCS

AnyTemplate: TypeAlias = GalleryTemplate[Any]

TEMPLATES: Mapping[str, AnyTemplate] = {
    template.id: template for template in (*REPORTS, *ALERTS, *SYNCS, *RECORDINGS)
}
"""By id, in the order they are shown."""
