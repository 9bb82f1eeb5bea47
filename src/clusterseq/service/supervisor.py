"""What keeps several serving processes alive: uvicorn's, which here hears of a death at once.

Knows nothing about: what the processes serve.
"""

from __future__ import annotations

from uvicorn.supervisors import Multiprocess


class Supervisor(Multiprocess):
    """Starts processes, asks them whether they are well, and replaces those that are not."""

    def keep_subprocess_alive(self) -> None:
        """Ask each, twice a second.

        A process that dies while it is asked would be waited for as if it were just slow: its end
        of the line has to be its alone, for the line to break with it.
        """
        for process in self.processes:
            process.child_conn.close()
        super().keep_subprocess_alive()
