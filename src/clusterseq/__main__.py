"""The way into the command line: ``clusterseq``, and ``python -m clusterseq``.

What it does is imported here, and not above, since Ctrl-C may come as soon as that.

Knows nothing about: what the commands do.
"""

from __future__ import annotations

import sys

from clusterseq.errors import INTERRUPTED


def main() -> int:
    """Run the command that was typed and return the status that the program ends with."""
    try:
        from clusterseq.cli import main as run

        return run()
    except KeyboardInterrupt:
        print("clusterseq: stopped", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
