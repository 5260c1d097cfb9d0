"""Set up everything this checkout needs, inside this checkout; do nothing where that is done.

Run by `make` with whatever Python 3.11+ the machine has, so it uses the standard library only. It puts uv in
`.tools/`, the locked dependencies and the workspace's packages in `.venv/`; nothing outside is touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEMBERS = (
    "libs/common",
    "libs/platforms",
    "libs/sandbox",
    "libs/carillon",
    "services/api",
    "services/scheduler",
    "services/executor",
    "services/notifier",
)
TOOLS = ROOT / ".tools"
VENV = ROOT / ".venv"
DEPENDENCIES_STAMP = VENV / ".dependencies"
MEMBERS_STAMP = VENV / ".members"
UV_LOCK = ROOT / "deploy" / "uv-requirements.lock"

# uv does not read pip's configuration, and a machine that reaches packages through a mirror has it there.
PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}


class SetUpError(Exception):
    """Set-up cannot continue; the message says what to do."""


def main() -> None:
    """Bring `.venv/` up to date with the lock and the packages."""
    os.chdir(ROOT)
    if is_set_up():
        return
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # `make up` and `make test` may both be the first
        if not is_set_up():
            set_up()


def set_up() -> None:
    """Install uv, the locked dependencies if they changed, and the members."""
    started = time.monotonic()
    say("Setting up Carillon in .venv: once, about a minute")
    uv, configuration = provide_uv()
    environment = uv_environment(configuration)
    into = ["--quiet", "--python", str(VENV / "bin" / "python")]
    if not is_made_from(DEPENDENCIES_STAMP, dependencies()):
        DEPENDENCIES_STAMP.unlink(missing_ok=True)
        if not has_this_python(VENV):
            shutil.rmtree(VENV, ignore_errors=True)
            run([uv, "venv", "--quiet", "--python", sys.executable, str(VENV)], environment)
        sync = ["--require-hashes", "--compile-bytecode", "requirements.lock"]
        run([uv, "pip", "sync", *into, *sync], environment)
    editable = [word for member in MEMBERS for word in ("-e", member)]
    run([uv, "pip", "install", *into, "--no-deps", "--no-build-isolation", *editable], environment)
    DEPENDENCIES_STAMP.write_text(dependencies())
    MEMBERS_STAMP.write_text(members())
    say(f"Set up in {time.monotonic() - started:.0f} s")


def is_set_up() -> bool:
    """Whether `.venv/` was completely made from this checkout."""
    return is_made_from(DEPENDENCIES_STAMP, dependencies()) and is_made_from(MEMBERS_STAMP, members())


def is_made_from(stamp: Path, fingerprint: str) -> bool:
    """Whether a stamp matches, and the folder it describes still exists."""
    return stamp.is_file() and stamp.read_text() == fingerprint and (VENV / "bin" / "python").exists()


def dependencies() -> str:
    """A fingerprint of what the installed dependencies depend on: lock, Python, place."""
    place = f"{sys.version} {os.path.realpath(sys.executable)} {ROOT}"
    return hashlib.sha256(place.encode() + (ROOT / "requirements.lock").read_bytes()).hexdigest()


def members() -> str:
    """A fingerprint of the workspace's packages as they are installed."""
    manifests = b"".join((ROOT / member / "pyproject.toml").read_bytes() for member in MEMBERS)
    return hashlib.sha256(manifests).hexdigest()


def has_this_python(folder: Path) -> bool:
    """Whether a virtual environment exists, works, and has this Python."""
    question = [str(folder / "bin" / "python"), "-c", "import sys; print(sys.version)"]
    with contextlib.suppress(OSError):
        answer = subprocess.run(question, capture_output=True, text=True, check=False)
        return answer.returncode == 0 and answer.stdout.strip() == sys.version.strip()
    return False


def provide_uv() -> tuple[str, dict[str, str]]:
    """The path of the locked uv, and the environment variables that stand for pip's configuration."""
    install = ["install", "--quiet", "--require-hashes", "--requirement", str(UV_LOCK)]
    if make_tools_venv():
        pip = [str(TOOLS / "bin" / "python"), "-m", "pip"]
        uv = TOOLS / "bin" / "uv"
    else:  # Debian keeps ensurepip in a package of its own
        pip = [sys.executable, "-m", "pip"]
        if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode != 0:
            raise SetUpError(
                "this Python has neither venv nor pip: install one of them "
                "(Debian, Ubuntu: apt install python3-venv) and run make again"
            )
        install += ["--upgrade", "--target", str(TOOLS / "packages")]
        uv = TOOLS / "packages" / "bin" / "uv"
    run([*pip, *install], pip_environment())
    return str(uv), uv_configuration(pip)


def make_tools_venv() -> bool:
    """Whether `.tools/` is, or could be made, a virtual environment with pip."""
    if has_this_python(TOOLS):
        return True
    for name in ("bin", "include", "lib", "lib64", "pyvenv.cfg"):
        remove(TOOLS / name)
    made = subprocess.run([sys.executable, "-m", "venv", str(TOOLS)], capture_output=True, check=False)
    return made.returncode == 0


def pip_environment() -> dict[str, str]:
    """Our environment, without pip's version notices and without a cache in the user's home."""
    return {
        **os.environ,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }


def uv_environment(configuration: Mapping[str, str]) -> dict[str, str]:
    """Our environment, with a cache in this checkout unless the user has chosen one, and with this Python
    only."""
    environment = {"UV_CACHE_DIR": str(TOOLS / "cache"), **os.environ, **configuration}
    environment.pop("VIRTUAL_ENV", None)
    return environment | {"UV_PYTHON_DOWNLOADS": "never"}


def uv_configuration(pip: Sequence[str]) -> dict[str, str]:
    """Environment variables that make uv fetch packages from where pip does."""
    listing = subprocess.run(
        [*pip, "config", "list"], capture_output=True, text=True, check=False, env=pip_environment()
    )
    chosen: dict[str, str] = {}
    for line in listing.stdout.splitlines():
        name, _, quoted = line.partition("=")
        variable = PIP_TO_UV.get(name.rpartition(".")[2])
        if variable is None or variable in os.environ:
            continue
        values = quoted.strip("'\"").replace("\\n", " ").split()
        if variable == "UV_FIND_LINKS":  # pip ignores a folder that is not there, uv does not
            values = [value for value in values if "://" in value or Path(value).is_dir()]
        if values:
            chosen[variable] = ("," if variable == "UV_FIND_LINKS" else " ").join(values)
    return chosen


def run(command: Sequence[str], environment: Mapping[str, str], *, attempts: int = 3) -> None:
    """Run a command, with retries because networks fail. Raises SetUpError with its output."""
    for attempt in range(1, attempts + 1):
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return
        if attempt < attempts:
            say(f"  a step failed; trying it again ({attempt + 1} of {attempts})")
            time.sleep(2 * attempt)
    raise SetUpError(f"`{' '.join(command[:4])} …` failed:\n{done.stdout.strip()}")


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def say(text: str) -> None:
    """Print a line for the user."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        main()
    except SetUpError as error:
        sys.exit(f"carillon: {error}")
    except OSError as error:
        sys.exit(f"carillon: set-up failed: {error}")
    except KeyboardInterrupt:
        sys.exit("carillon: set-up was interrupted; run it again to go on")
