"""Write the documents that are generated from the code, or, with `--check`, say which are out of date."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from bootstrap import ROOT

# document → the module that writes it to the path it is given
GENERATORS = {
    "docs/openapi.json": "api.openapi",
}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if one would change")
    check = parser.parse_args().check
    outdated = [name for name, module in GENERATORS.items() if differs(ROOT / name, module, write=not check)]
    if outdated and check:
        sys.exit(f"out of date: {', '.join(outdated)}; run `make generate`")
    documents = [sys.executable, str(ROOT / "docs" / "generate.py"), *(["--check"] if check else [])]
    sys.exit(subprocess.run(documents, check=False).returncode)


def differs(document: Path, module: str, *, write: bool) -> bool:
    """Whether a document differs from the generated one; with `write` it is replaced."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / document.name
        subprocess.run([sys.executable, "-m", module, str(fresh)], check=True)
        content = fresh.read_bytes()
    if document.is_file() and document.read_bytes() == content:
        return False
    if write:
        document.parent.mkdir(parents=True, exist_ok=True)
        document.write_bytes(content)
    return True


if __name__ == "__main__":
    main()
