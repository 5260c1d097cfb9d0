"""The moment between fork and program: give up root, and tie the child's life to its parent's.

Run as a script, `launch.py PARENT SIGNAL UID GID KEEP COMMAND…`, it does that to itself and then becomes
COMMAND. A script, because code between fork and exec in a process that has threads can deadlock.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence

    from carillon.identity import Identity

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522
_UNCHANGED = -1


def launched(
    command: Sequence[str], *, orphan_signal: signal.Signals | None = None, identity: Identity | None = None
) -> list[str]:
    """A command line that runs `command` as `identity`, and sends it `orphan_signal` if we die."""
    uid, gid, keep = (
        (identity.uid, identity.gid, int(identity.passes_closed_folders))
        if identity is not None
        else (_UNCHANGED, _UNCHANGED, 0)
    )
    fate = int(orphan_signal or 0)
    settings = (str(number) for number in (os.getpid(), fate, uid, gid, keep))
    return [sys.executable, "-I", "-S", __file__, *settings, *command]


def _become(uid: int, gid: int, *, keep_passing: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if keep_passing:
        _check(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(PR_SET_KEEPCAPS)")
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if keep_passing:
        mask = 1 << _CAP_DAC_OVERRIDE
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        # effective, permitted, inheritable; the second triple holds capabilities 32 and up
        sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
        _check(libc.capset(header, sets), "capset")
        raised = libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)
        _check(raised, "prctl(PR_CAP_AMBIENT_RAISE)")


def _check(result: int, call: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{call} failed")


def main(arguments: Sequence[str]) -> None:
    """Bind this process to its parent and become the command."""
    parent, fate, uid, gid, keep = (int(word) for word in arguments[:5])
    command = list(arguments[5:])
    if uid != _UNCHANGED:
        _become(uid, gid, keep_passing=bool(keep))
    if fate and sys.platform == "linux":
        # after the change of user, which clears it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, fate, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("its parent is gone already")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
