"""`python -m api.openapi [path]`: write the OpenAPI document, docs/openapi.json by default."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import SecretStr

from api.main import build_app
from api.settings import ApiSettings
from common.secrets.crypto import new_encryption_key

DEFAULT_PATH = Path("docs/openapi.json")


def render() -> str:
    """The document as the repository keeps it. Nothing is connected to."""
    settings = ApiSettings(
        database_url=SecretStr("postgresql://nobody@localhost/none"),
        kafka_bootstrap_servers="localhost:9092",
        encryption_keys=SecretStr(new_encryption_key("none")),
    )
    document = build_app(settings, "openapi").openapi()
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=False) + "\n"


def main() -> None:
    """Write the file."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_PATH
    path.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
