"""`langmodels` and `python -m langmodels`: the command, with Ctrl-C answered from the first moment.

Nothing is imported before, so that a press while the libraries are read is no traceback either.
"""

import os
import sys

TYPE_CHECKING = False  # as in the package: `typing` takes its time

if TYPE_CHECKING:
    from types import FrameType


def main() -> int:
    """Run the command line of this process; return its exit status."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not so under nohup
        signal.signal(signal.SIGINT, _end)
    from langmodels.cli.main import main

    return main(early=_end)


def _end(number: "int | None" = None, frame: "FrameType | None" = None) -> None:
    """End at once: nothing is under way."""
    os.write(2, b"langmodels: error: interrupted.\n")
    os._exit(130)


try:
    import signal  # which imports others
except KeyboardInterrupt:
    _end()

if __name__ == "__main__":
    sys.exit(main())
