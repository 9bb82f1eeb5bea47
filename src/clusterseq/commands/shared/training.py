"""A training under the eyes of the user, and what is said of it in the end.

Knows nothing about: how models learn, which command trains.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clusterseq.learning.checkpoint import Checkpoint
    from clusterseq.learning.trackers import Tracker
    from clusterseq.machine.progress import Watcher
    from clusterseq.using.comparison import Comparison
    from clusterseq.using.experiment import Experiment


def run_experiment(
    experiment: Experiment,
    *,
    resume: bool = False,
    profile: Path | None = None,
    tracker: str | None = None,
) -> tuple[Checkpoint, Comparison | None]:
    """Run an experiment under the eyes of the user, and of a profiler and a tracker if asked for.

    Raises:
        KeyboardInterrupt: after saying how to go on.
    """
    from clusterseq.learning.training_log import CompositeWatcher
    from clusterseq.machine.workers import is_main_process
    from clusterseq.showing.terminal import TrainingScreen, note

    if not is_main_process():
        return experiment.run(resume=resume)
    if experiment.can_resume and not resume:
        note("A training was stopped here; it is begun anew, since --resume isn't given.")
    try:
        with TrainingScreen() as display, ExitStack() as stack:
            tracked = _tracked(experiment, tracker, stack)
            progress = partial(display.step, "evaluate")
            watcher: Watcher = display if tracked is None else CompositeWatcher(display, tracked)
            if profile is not None:
                from clusterseq.learning.profiler import Profiler

                watcher = stack.enter_context(Profiler(watcher, profile))
            result = experiment.run(resume=resume, watcher=watcher, progress=progress)
            if tracked is not None:
                tracked.finish(_test_figures(result[1]))
    except KeyboardInterrupt:
        if experiment.can_resume:
            folder = experiment.unfinished
            note(f"What was learnt is kept in {folder}; the same command with --resume goes on.")
        raise
    if profile is not None:
        note(f"Traces are in {profile}; a .json opens in a browser's chrome://tracing.")
    return result


def as_dict(out: Path, checkpoint: Checkpoint) -> dict[str, Any]:
    """What has come of a training; ``test`` is what evaluate prints, or null if nobody judges."""
    return {
        "out": str(out),
        "items": len(checkpoint.items),
        "known_users": checkpoint.provenance.known_users,
        "test": checkpoint.metrics.get("test"),
    }


def print_outcome(out: Path, checkpoint: Checkpoint, comparison: Comparison | None) -> None:
    """The same for people, and what to type next."""
    from clusterseq.commands.shared.results import print_comparison, print_next

    if comparison:
        print_comparison(comparison)
    print_next(out, checkpoint)


def _tracked(experiment: Experiment, name: str | None, stack: ExitStack) -> Tracker | None:
    """The tracker of that name, which is told when the stack ends and why."""
    if name is None:
        return None
    from clusterseq.learning.trackers import tracker_named

    tracker = tracker_named(name, Path(experiment.out), experiment.config)
    stack.push(lambda kind, error, trace: tracker.close(error))
    return tracker


def _test_figures(comparison: Comparison | None) -> dict[str, float]:
    if comparison is None:
        return {}
    figures = comparison.to_dict()
    return {
        f"test/{ranking}_{name}": value
        for ranking in ("full", "sampled")
        for name, value in figures[ranking].items()
        if isinstance(value, float)
    }
