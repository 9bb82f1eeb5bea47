"""``torchrun``, which ends without a traceback where it is stopped: its processes say all there is.

Run as a module, by whoever starts several processes of this machine.

Knows nothing about: what the processes do.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from clusterseq.errors import INTERRUPTED


def main(words: Sequence[str]) -> int:
    """Start what the words say, as ``torchrun`` would, and return the status to end with."""
    try:
        from torch.distributed.elastic.multiprocessing.api import SignalException
        from torch.distributed.run import main as run
    except KeyboardInterrupt:
        return INTERRUPTED
    logging.disable(logging.WARNING)  # such as that a signal came
    try:
        run(list(words))
    except (KeyboardInterrupt, SignalException):
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
