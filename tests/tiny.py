"""A training small enough to be repeated in many tests.

Knows nothing about: what the tests look at.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from clusterseq.bench.planted import World
from clusterseq.config import Config, ModelConfig, Runtime, TrainConfig
from clusterseq.data.sequences import Sequences
from clusterseq.learning.train import fit
from clusterseq.model.clusterseq import ClusterSeq

WORLD = World.of((0.7, 0.3), own=8, shared=4, generator=np.random.default_rng(0))
N_ITEMS = WORLD.n_items
# Meta-training has to improve on pre-training here, or early stopping would undo all that it does
# and no test would see it: hence the rates.
CONFIG = Config(
    model=ModelConfig(
        members=2,
        dim=6,
        max_steps=6,
        dropout=0.1,
        clusters=3,
        cluster_dim=4,
        anchors=12,
        inner_steps=2,
    ),
    train=TrainConfig(
        pretrain_epochs=3,
        meta_epochs=3,
        learning_rate=3e-4,
        meta_learning_rate=0.01,
        backbone_rate=0.003,
        sequences_per_batch=16,
        tasks_per_batch=10,
        folds=3,
        patience=9,
    ),
)
HISTORIES = [[3, 9, 1], [], [4], [0, 0, 5], [16, 17], [8, 12, 9, 15, 19, 2, 7, 1, 3]]
"""Somebody without history, with one item, with a repeated one, and with more than are read."""

ABLATIONS: dict[str, dict[str, Any]] = {
    "whole": {},
    "members": {"members": 1},
    "attention": {"attention": False},
    "direct": {"direct": False},
    "cosine": {"cosine": False},
    "clustering": {"clustering": False},
    "lifts": {"lifts": False},
    "lifts alone": {"conditioning": False, "memory": False},
    "conditioning": {"conditioning": False},
    "freshness": {"freshness": False},
    "memory": {"memory": False},
    "smoothing": {"smoothing": 0.0},
    "meta": {"meta": "none"},
    "inner steps": {"inner_steps": 0},
    "first order": {"meta": "first"},
    "everything": {
        "attention": False,
        "clustering": False,
        "freshness": False,
        "memory": False,
        "smoothing": 0.0,
        "meta": "none",
    },
}
"""What is changed in a model that lacks each part, or some parts."""


def people(users: int, seed: int) -> Sequences:
    """Some people of the tiny world, with 2 to 7 events."""
    return WORLD.draw(users, 2, 7, np.random.default_rng(seed)).sequences


KNOWN, VALIDATION = people(60, seed=1), people(15, seed=2)


def tiny(model: dict[str, Any] | None = None, **train: Any) -> Config:
    """The tiny configuration with some options changed."""
    return dataclasses.replace(
        CONFIG,
        model=dataclasses.replace(CONFIG.model, **(model or {})),
        train=dataclasses.replace(CONFIG.train, **train),
    )


def trained(config: Config = CONFIG, *, seed: int = 0, **others: Any) -> ClusterSeq:
    """A model of the tiny world."""
    runtime = Runtime(seed=seed)
    return fit(KNOWN, VALIDATION, config, n_items=N_ITEMS, runtime=runtime, **others)
