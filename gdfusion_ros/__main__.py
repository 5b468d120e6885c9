"""``python -m gdfusion_ros VERB``, the same as ``gdfusion VERB``: where the process of every verb begins and ends.

While Python imports the command line, and while it takes everything down, Ctrl-C ends the process at once and without a
word, as the system has it: nobody could catch a KeyboardInterrupt there.
"""

import signal
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the executables; returns the exit code."""
    handler = signal.getsignal(signal.SIGINT)
    plain = signal.SIG_DFL if handler is signal.default_int_handler else handler  # it may be ignored, by a shell
    signal.signal(signal.SIGINT, plain)
    try:
        from gdfusion_ros import cli

        signal.signal(signal.SIGINT, handler)
        return cli.main(argv)
    finally:
        signal.signal(signal.SIGINT, plain)


if __name__ == '__main__':
    sys.exit(main())
