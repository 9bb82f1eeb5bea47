"""What doesn't change a number, or by how little: precision, threads, processes, and many draws."""

from __future__ import annotations

import copy
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from clusterseq.config import ModelConfig
from clusterseq.data.histories import Histories
from clusterseq.data.memory import Memory
from clusterseq.learning.checkpoint import Checkpoint
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.ranker import Ranker
from clusterseq.model.retrieval import top_k
from tests.test_promises import check_requests

SINGLE = 2e-5
"""By how much a score in single precision differs from one in double, at most."""
THREADS = 2e-5
"""By how much a score differs with the number of threads, at most."""


def histories(people: int, n_items: int, seed: int = 0) -> Histories:
    draws = np.random.default_rng(seed)
    return Histories.from_lists(
        draws.integers(0, n_items, size) for size in draws.integers(0, 12, people)
    )


def in_double(model: ClusterSeq) -> ClusterSeq:
    """The same model with every number in double precision, its memory included."""
    double = copy.deepcopy(model).double()
    if model.memory is not None:
        parts = model.memory.tensors()
        double.memory = Memory.from_tensors(parts | {"weights": parts["weights"].double()})
    return double


def test_single_precision_is_double_precision_within_a_tolerance(
    checkpoint: Checkpoint, soaking: bool
) -> None:
    """The whole path: encoder, clusters, gates, inner loop, memory, scores."""
    people = histories(20_000 if soaking else 500, 60)
    single = Ranker(checkpoint.model).score(people)
    double = Ranker(in_double(checkpoint.model)).score(people)
    assert double.dtype == torch.float64
    assert float((single - double).abs().max()) < SINGLE
    assert alike(single.double(), double, SINGLE)


def alike(one: Tensor, two: Tensor, tolerance: float) -> bool:
    """Whether two rankings agree but where scores are closer than the tolerance."""
    best = top_k(one.float(), 10).items
    return bool((two.gather(1, best) >= top_k(two.float(), 10).scores - 2 * tolerance).all())


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_the_number_of_threads_changes_no_ranking(soaking: bool) -> None:
    """Wide enough that two threads really share the work."""
    config = ModelConfig(n_items=20_000, dim=32, smoothing=0.0, memory=False)
    model, people = ClusterSeq(config), histories(2_000 if soaking else 100, 20_000)
    found = []
    for number in (1, 2):
        torch.set_num_threads(number)
        found.append(Ranker(model).score(people))
    assert float((found[0] - found[1]).abs().max()) < THREADS
    assert alike(found[0], found[1], THREADS)


OTHER = """
import hashlib, sys, torch
from clusterseq.learning.checkpoint import load_checkpoint
from clusterseq.model.ranker import Ranker
from tests.soak.test_numbers import histories
torch.set_num_threads(1)
scores = Ranker(load_checkpoint(sys.argv[1]).model).score(histories(200, 60))
print(hashlib.sha256(scores.numpy().tobytes()).hexdigest())
"""


@pytest.mark.usefixtures("threads")
def test_another_process_gives_the_same_bytes(
    checkpoint: Checkpoint, model_directory: Path
) -> None:
    torch.set_num_threads(1)
    here = Ranker(checkpoint.model).score(histories(200, 60)).numpy().tobytes()
    words = [sys.executable, "-c", OTHER, str(model_directory)]
    root = Path(__file__).parents[2]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.split() == [hashlib.sha256(here).hexdigest()]


def test_no_answer_of_a_million_holds_what_is_refused(
    checkpoint: Checkpoint, soaking: bool
) -> None:
    check_requests(checkpoint, 1_000_000 if soaking else 5_000, seed=1)
