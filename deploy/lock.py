"""Write `requirements.lock` from the pyproject.toml files, or, with `--check`, say whether it is up to date.

Where the package index cannot be reached, `--check` still verifies every pin against what is asked for.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

from bootstrap import MEMBERS, ROOT, SetUpError, provide_uv, run, uv_environment
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

LOCK = ROOT / "requirements.lock"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a pin would change")
    if not parser.parse_args().check:
        compile_lock(LOCK, attempts=3)
        return
    faults = unmet(pins(LOCK))
    if not faults:
        with tempfile.TemporaryDirectory() as folder:
            fresh = Path(folder) / LOCK.name
            shutil.copy(LOCK, fresh)  # its pins are kept where they still fit
            try:
                compile_lock(fresh, attempts=1)
            except SetUpError:
                sys.stderr.write(
                    "requirements.lock: the package index is out of reach; checked the pins only\n"
                )
                return
            faults = sorted(f"{name} {version}" for name, version in pins(LOCK) ^ pins(fresh))
    if faults:
        sys.exit(f"requirements.lock is out of date ({', '.join(faults)}): run `make lock`")


def compile_lock(output: Path, *, attempts: int) -> None:
    """Resolve everything for every platform, with hashes and without addresses."""
    uv, configuration = provide_uv()
    ours = [word for member in MEMBERS for word in ("--no-emit-package", Path(member).name)]
    shape = ["--universal", "--generate-hashes", "--no-annotate", "--no-header", "--no-emit-index-url"]
    command = [uv, "pip", "compile", "--quiet", "pyproject.toml", "--group", "dev", *shape, *ours]
    run([*command, "--output-file", str(output)], uv_environment(configuration), attempts=attempts)


def pins(lock: Path) -> set[tuple[NormalizedName, str]]:
    """Every package and version a lock names."""
    return {(canonicalize_name(name), version) for name, version in _PIN.findall(lock.read_text())}


def unmet(locked: set[tuple[NormalizedName, str]]) -> list[str]:
    """The requirements that no pin satisfies."""
    ours = {canonicalize_name(Path(member).name) for member in MEMBERS}
    return [
        str(requirement)
        for requirement in requirements()
        if requirement.name not in ours
        and not any(
            name == canonicalize_name(requirement.name)
            and requirement.specifier.contains(Version(version), prereleases=True)
            for name, version in locked
        )
    ]


def requirements() -> list[Requirement]:
    """What the members and the development group ask for."""
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())
    texts = [*root["dependency-groups"]["dev"]]
    for member in MEMBERS:
        texts += tomllib.loads((ROOT / member / "pyproject.toml").read_text())["project"]["dependencies"]
    return [Requirement(text) for text in texts]


if __name__ == "__main__":
    try:
        main()
    except SetUpError as error:
        sys.exit(f"carillon: {error}")
