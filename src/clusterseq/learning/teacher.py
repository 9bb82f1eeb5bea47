"""A wide model that is trained first, and what a narrow one learns from it (distillation).

Several members err apart, so their mean errs less than any of them; but whoever is served waits for
all of them. One alone can learn to say what they say together: it is shown how likely they find
every item after a prefix, and not only which item came next (Hinton et al. 2015, arXiv 1503.02531).

Knows nothing about: stages, epochs, how either model is judged.
"""

from __future__ import annotations

import dataclasses

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from clusterseq.config import Config
from clusterseq.data.packing import Packing
from clusterseq.model.clusterseq import ClusterSeq
from clusterseq.model.head import pointed
from clusterseq.model.losses import Lesson
from clusterseq.model.rivals import Rivals


def teachers_config(config: Config) -> Config:
    """How the teacher of a model is trained: as that model, but wide, and for its scores alone.

    >>> from clusterseq.presets import preset
    >>> teacher = teachers_config(preset("small"))
    >>> teacher.model.members, teacher.train.teacher_members, teacher.train.meta_epochs
    (4, 0, 0)
    """
    model = dataclasses.replace(
        config.model,
        members=config.train.teacher_members,
        dim=config.train.teacher_dim,
        clustering=False,
        meta="none",
    )
    train = dataclasses.replace(config.train, teacher_members=0, meta_epochs=0)
    return dataclasses.replace(config, model=model, train=train)


class Teacher:
    """A trained model that is asked what comes next, and learns nothing any more."""

    @torch.no_grad()
    def __init__(self, model: ClusterSeq) -> None:
        self.model, self.table = model, model.items.vectors()

    @torch.no_grad()
    def lesson(
        self, inputs: Int64[Tensor, " prefixes"], packing: Packing, rivals: Rivals
    ) -> Lesson:
        """What it expects after packed prefixes: the mean of what its members have learnt.

        What newcomers and the memory have made of that is left out, since they have their say on
        the narrow model, too.
        """
        queries = self.model.queries(inputs, packing, self.table)
        items = self.model.candidates(self.table[rivals.items], rivals.items)
        pointing = pointed(self.model.start, queries, items)
        return Lesson(pointing, items.vectors, items.traits[:, 0] + rivals.extra)

    @torch.no_grad()
    def start(self, table: Float[Tensor, "items width"]) -> None:
        """Start a narrow model's table from what varies most in the teacher's own.

        These are its principal components, as many as there is room for and as large in numbers.
        """
        embedding = self.model.items.embedding
        _, directions = torch.linalg.eigh(embedding.T @ embedding)  # ascending
        components = embedding @ directions.flip(1)[:, : table.shape[1]]
        spread = embedding.square().mean() / components.square().mean()
        table[:, : components.shape[1]] = components * spread.sqrt()
