"""``python -m clusterseq`` is the command line.

Knows nothing about: what the commands do.
"""

from __future__ import annotations

import sys

from clusterseq.cli import main

if __name__ == "__main__":
    sys.exit(main())
