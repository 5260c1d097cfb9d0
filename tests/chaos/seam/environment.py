"""What a service is started with to have the seam and the handler of these tests."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def seam_environment(folder: Path) -> dict[str, str]:
    """Settings for any service; `folder`, where it meets the test, is made. Add `SEAM_KIND` to strike."""
    package = folder / "effect_handler-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: effect-handler\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[carillon.handlers]\neffect = effect_handler:EffectHandler\n")
    return {"PYTHONPATH": f"{_HERE}:{folder}", "SEAM_FOLDER": str(folder)}
