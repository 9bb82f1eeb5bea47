"""ClusterSeq whole: items, transition model, clusters, conditioning, adaptation, memory.

A person is scored in four steps: their history is encoded; their cluster conditions θ; θ adapts on
every item of the history predicted from its prefix; the catalogue is scored.

The model has no mode: dropout happens where a generator is given, and nowhere else.

Knows nothing about: raw ids, optimisers, files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from clusterseq.config import ModelConfig
from clusterseq.histories import Histories
from clusterseq.memory import KINDS, NO_ITEMS, Memory
from clusterseq.meta import Support, adapt
from clusterseq.model.catalogue import Catalogue, Preferences
from clusterseq.model.clustering import KAutoencoders
from clusterseq.model.conditioning import Conditioner
from clusterseq.model.head import Candidates, start_of_theta
from clusterseq.model.items import ItemTable
from clusterseq.model.transition import TransitionModel


class ClusterSeq(nn.Module):
    """The model of arXiv 2307.13766, built from numbers only.

    >>> model = ClusterSeq(ModelConfig(n_items=50, dim=8))
    >>> histories = Histories.from_lists([[3, 14], [15]])
    >>> model.preferences(histories, model.catalogue(), model.memory).trust.shape
    torch.Size([2, 2])
    """

    profiles: Float[Tensor, "items dim"]
    anchors: Int64[Tensor, " anchors"]
    cluster_popularity: Float[Tensor, "clusters items"]
    cluster_sizes: Float[Tensor, " clusters"]

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.config, self.n_items = config, config.n_items
        self.items = ItemTable(
            config.n_items,
            config.width,
            smoothing=config.smoothing,
            freshness=config.freshness,
            generator=generator,
        )
        self.transition = TransitionModel(
            config.members,
            config.dim,
            attention=config.attention,
            direct=config.direct,
            dropout=config.dropout,
            generator=generator,
        )
        self.memory: Memory | None = None
        self.kinds = len(KINDS) if config.memory else 0
        theta = start_of_theta(config.width, self.items.traits().shape[1], self.kinds)
        self.theta = nn.ParameterDict(theta)
        self.acuity = nn.Parameter(torch.full((self.kinds,), 5.5)) if config.memory else None
        self._add_clusters(theta, generator)
        self._add_adaptation(theta, generator)

    def _add_clusters(self, theta: Mapping[str, Tensor], generator: torch.Generator) -> None:
        config = self.config
        clusters = config.clusters if config.clustering else 1
        self.clusters: KAutoencoders | None = None
        if config.clustering:
            self.clusters = KAutoencoders(
                clusters,
                config.width,
                config.bottleneck,
                temperature=config.cluster_temperature,
                generator=generator,
            )
            self.register_buffer("profiles", torch.zeros(config.n_items, config.width))
        self.conditioner: Conditioner | None = None
        if config.conditioned:
            sizes = {name: len(value) for name, value in theta.items()}
            self.conditioner = Conditioner(clusters, config.cluster_dim, sizes, generator)
        self.register_buffer("cluster_popularity", torch.ones(clusters, config.n_items))
        self.register_buffer("cluster_sizes", torch.full((clusters,), 1 / clusters))

    def _add_adaptation(self, theta: Mapping[str, Tensor], generator: torch.Generator) -> None:
        self.rates: nn.ParameterDict | None = None
        self.register_buffer("anchors", NO_ITEMS, persistent=False)
        if not self.config.adapts:
            return
        steps, rate = self.config.inner_steps, self.config.inner_rate
        self.rates = nn.ParameterDict(
            {name: torch.full((steps, len(value)), rate) for name, value in theta.items()}
        )
        drawn = torch.randperm(self.n_items, generator=generator)[: self.config.anchors]
        self.register_buffer("anchors", drawn.sort().values)

    @torch.no_grad()
    def assign(self, histories: Histories) -> Float[Tensor, "users clusters"]:
        """How much each person belongs to each cluster; without history, the clusters' sizes."""
        if self.clusters is None:
            return torch.ones(len(histories), 1)
        shares = self.clusters(self.represent(histories))
        return torch.where(histories.lengths[:, None] == 0, self.cluster_sizes, shares)

    def catalogue(self) -> Catalogue:
        """The items, with gradients; worth keeping where the parameters don't change."""
        table, everything = self.items.vectors(), torch.arange(self.n_items)
        items = self.candidates(table, everything)
        columns = torch.cat([items.vectors, items.traits], dim=1)
        if self.rates is None:
            return Catalogue(table, items, columns, None)
        anchors = self.candidates(table[self.anchors], self.anchors)
        return Catalogue(table, items, columns, anchors)

    def preferences(
        self,
        histories: Histories,
        catalogue: Catalogue,
        memory: Memory | None,
        generator: torch.Generator | None = None,
    ) -> Preferences:
        """What everybody looks for after conditioning and adaptation, with gradients through both.

        A generator drives dropout. Without history it means nothing.
        """
        queries = self.encode(histories, catalogue.table, generator)
        theta = self.adapted(histories, queries, catalogue, memory)
        last = (histories.lengths - 1).clamp_min(0)
        final = queries[torch.arange(len(last)), last]
        return Preferences.of(theta, final, catalogue.items)

    def encode(
        self,
        histories: Histories,
        table: Float[Tensor, "items dim"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "users steps dim"]:
        """The query after every prefix; past a history's length it means nothing."""
        # Unlike an index, whose gradients threads add up in any order, this is deterministic.
        vectors = nn.functional.embedding(histories.items, table)
        queries: Tensor = self.transition(vectors, generator)
        return queries

    def represent(self, histories: Histories) -> Float[Tensor, "users dim"]:
        """z_u: the direction of the mean propagated representation of the items touched."""
        mask = histories.mask[:, :, None]
        total = (self.profiles[histories.items] * mask).sum(dim=1)
        return nn.functional.normalize(total, dim=-1)

    def conditioned(self, histories: Histories) -> dict[str, Tensor]:
        """Everybody's θ before adaptation."""
        start = dict(self.theta.items())
        if self.clusters is None or self.conditioner is None:
            return {n: v.expand(len(histories), -1) for n, v in start.items()}
        conditioned: dict[str, Tensor] = self.conditioner(
            start, self.clusters(self.represent(histories))
        )
        return conditioned

    def adapted(
        self,
        histories: Histories,
        queries: Float[Tensor, "users steps width"],
        catalogue: Catalogue,
        memory: Memory | None,
    ) -> dict[str, Tensor]:
        """Everybody's θ after the inner loop; one item alone is no support, so no step."""
        theta = self.conditioned(histories)
        if self.rates is None or catalogue.anchors is None or histories.items.shape[1] < 2:
            return theta
        support = self.support(histories, queries, catalogue, memory)
        second_order = self.config.meta == "second"
        return adapt(theta, self.rates, support, catalogue.anchors, second_order=second_order)

    def support(
        self,
        histories: Histories,
        queries: Float[Tensor, "users steps width"],
        catalogue: Catalogue,
        memory: Memory | None,
    ) -> Support:
        """Each item from the second on, to be predicted from its prefix."""
        targets = histories.items[:, 1:]  # (users, prefixes)
        dtype = catalogue.table.dtype
        # An anchor stands for the items that were not drawn, too.
        weight = math.log(max(1, self.n_items - 1) / max(1, len(self.anchors) - 1))
        offsets = torch.full((*targets.shape, len(self.anchors) + 1), weight, dtype=dtype)
        offsets[..., 0] = 0
        offsets[..., 1:].masked_fill_(targets[:, :, None] == self.anchors, -torch.inf)
        return Support(
            queries=queries[:, :-1],
            targets=nn.functional.embedding(targets, catalogue.items.vectors),
            facts=self._support_facts(histories, catalogue, memory),
            counted=histories.mask[:, 1:].to(dtype),
            offsets=offsets,
        )

    def candidates(
        self, vectors: Float[Tensor, "chosen dim"], items: Int64[Tensor, " chosen"]
    ) -> Candidates:
        """Some items and their rows of the table, ready to be scored."""
        members = self.config.members
        if self.config.cosine:
            pieces = vectors.reshape(len(vectors), members, -1)
            vectors = nn.functional.normalize(pieces, dim=-1).flatten(-2)
        scale = self.config.scale if self.config.cosine else 0.0
        return Candidates(vectors, self.items.traits()[items], scale, members)

    def _support_facts(
        self, histories: Histories, catalogue: Catalogue, memory: Memory | None
    ) -> Float[Tensor, "users prefixes candidates facts"]:
        """Traits and evidence of what came next (first) and of the anchors, side by side."""
        traits = catalogue.items.traits
        own = nn.functional.embedding(histories.items[:, 1:], traits)[:, :, None]
        others = traits[self.anchors].expand(*own.shape[:2], -1, -1)
        facts = torch.cat([own, others], dim=2)  # (users, prefixes, 1 + anchors, traits)
        if self.acuity is None:
            return facts
        if memory is None:
            return torch.cat([facts, facts.new_zeros(*facts.shape[:-1], self.kinds)], dim=3)
        next_items, anchors = memory.at_next(histories), memory.at_anchors(histories)
        said = torch.cat([next_items[:, :, None], anchors], dim=2).to(facts.dtype)
        return torch.cat([facts, torch.log1p(torch.exp(self.acuity) * said)], dim=3)

    def tensors(self) -> dict[str, Tensor]:
        """All that the model is, graph and memory included, by name."""
        memory = {} if self.memory is None else self.memory.tensors()
        own = {name: value.detach().contiguous() for name, value in self.state_dict().items()}
        return own | {f"memory.{name}": value for name, value in memory.items()}
