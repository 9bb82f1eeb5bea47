"""Training on a Ray cluster: the same command in several processes, started anew when one dies.

What survives a death is the state that training keeps beside its output after every epoch, so the
output must lie where all machines see it. Ray's part is to start the processes, to make them known
to each other, and to notice that one is gone.

Knows nothing about: what the command trains.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from clusterseq.errors import TrainingError
from clusterseq.learning.train import can_go_on
from clusterseq.machine.mapping import ray_data
from clusterseq.machine.unfinished import unfinished_at
from clusterseq.using.experiment import can_resume

RESTARTS = 5
"""Deaths that a training survives."""


def trained(program: str, words: Sequence[str], workers: int, out: Path, *, resume: bool) -> int:
    """Run a command in so many processes of a cluster; returns its status.

    Args:
        program: where each process finds it, as ``module:function`` of the words.

    Raises:
        ConfigError: Ray is not installed.
        TrainingError: processes died more often than a training survives.
    """
    ray_data()
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    if not resume and can_resume(out):  # or the first start would go on with it
        shutil.rmtree(unfinished_at(out))
    work: Any = _run  # it may return something, which Ray's annotations deny
    config = {
        "program": program,
        "words": list(words),
        "out": str(out.resolve()),
        "folder": str(Path.cwd()),
    }
    with tempfile.TemporaryDirectory(prefix="clusterseq-ray-") as folder:
        trainer = TorchTrainer(
            work,
            train_loop_config=config,
            scaling_config=ScalingConfig(num_workers=workers),
            run_config=RunConfig(
                storage_path=folder, failure_config=FailureConfig(max_failures=RESTARTS)
            ),
        )
        try:
            result: Any = trainer.fit()
        except Exception as error:
            why = " ".join(str(error).split())[:300]
            raise TrainingError(
                f"{workers} processes on Ray: {why}; what was learnt "
                f"is kept in {unfinished_at(out)}, and --resume goes on"
            ) from error
    return int(result.return_value)


def _run(config: dict[str, Any]) -> int:
    """The work of one process; returns its status."""
    main = resolve_name(config["program"])
    os.chdir(config["folder"])
    words = [word for word in config["words"] if word != "--resume"]
    # Not whether it is free: another of them may hold the place already.
    resumes = can_go_on(unfinished_at(config["out"]))
    status: int = main([*words, "--resume"] if resumes else words)
    return status
