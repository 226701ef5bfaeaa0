"""What a sandbox of Lambda runs: AWS's runtime client, in a process that dies with the stand-in."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent, forget this folder, hand over to awslambdaric."""
    parent = int(os.environ.pop("LOCAL_AWS_PARENT"))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the stand-in ended before the function started")
    # The first entry is this file's folder; a function sees its own package there.
    sys.path[0] = os.environ["LAMBDA_TASK_ROOT"]
    from awslambdaric.__main__ import main as run

    run(["awslambdaric", os.environ["_HANDLER"]])


main()
