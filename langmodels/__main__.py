"""`langmodels` and `python -m langmodels`: the command, with Ctrl-C answered from the first moment.

Nothing is imported before, so that a press while the libraries are read is no traceback either.
"""

import os
import signal
import sys
from types import FrameType


def main() -> int:
    """Run the command line of this process; return its exit status."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not so under nohup
        signal.signal(signal.SIGINT, _end)
    from langmodels.cli.main import main

    return main(early=_end)


def _end(number: int, frame: FrameType | None) -> None:
    """End at once: nothing is under way."""
    os.write(2, b"langmodels: error: interrupted.\n")
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
