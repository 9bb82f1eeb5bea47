"""ClusterSeq whole: items, transition model, clusters, conditioning, adaptation, memory.

A person is scored in four steps: their history is encoded; their cluster conditions θ; θ adapts on
every item of the history predicted from its prefix; the catalogue is scored.

The model has no mode: dropout happens where a generator is given, and nowhere else.

Knows nothing about: raw ids, optimisers, files.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from clusterseq.config import ModelConfig
from clusterseq.data.evidence import Evidence, places_of
from clusterseq.data.histories import Histories
from clusterseq.data.memory import KINDS, Memory
from clusterseq.data.packing import Packing
from clusterseq.data.padded_evidence import PaddedEvidence
from clusterseq.model.catalogue import Catalogue, Preferences
from clusterseq.model.head import PARTS, Candidates, start_of_theta
from clusterseq.model.items import ItemTable
from clusterseq.model.lifts import Lifts
from clusterseq.model.meta import Support, adapt, offsets_of
from clusterseq.model.parts import clusterer_of, conditioner_of, encoder_of
from clusterseq.model.transition import TransitionModel


class ClusterSeq(nn.Module):
    """The model of arXiv 2307.13766, built from numbers only.

    >>> model = ClusterSeq(ModelConfig(n_items=50, dim=8))
    >>> histories = Histories.from_lists([[3, 14], [15]])
    >>> catalogue = model.catalogue()
    >>> queries = model.encode(histories, catalogue.table)
    >>> model.preferences(histories, queries, catalogue, None).trust.shape
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
            encoder_of(config, generator),
            attention=config.attention,
            direct=config.direct,
            dropout=config.dropout,
            generator=generator,
        )
        self.memory: Memory | None = None
        self.kinds = len(KINDS) if config.memory else 0
        self.lifts = Lifts(config.n_items, config.clusters) if config.lifted else None
        lifts = config.clusters if config.lifted else 0
        theta = start_of_theta(config.width, self.items.traits().shape[1], self.kinds, lifts)
        self.theta = nn.ParameterDict(theta)
        self.acuity = nn.Parameter(torch.full((self.kinds,), 5.5)) if config.memory else None
        size = sum(len(value) for value in theta.values())
        self._add_clusters(size, generator)
        self._add_adaptation(generator)

    def _add_clusters(self, size: int, generator: torch.Generator) -> None:
        config = self.config
        clusters = config.clusters if config.clustering else 1
        self.clusters = clusterer_of(config, generator) if config.clustering else None
        if config.clustering:
            self.register_buffer("profiles", torch.zeros(config.n_items, config.width))
        self.conditioner = conditioner_of(config, size, generator) if config.conditioned else None
        self.register_buffer("cluster_popularity", torch.ones(clusters, config.n_items))
        self.register_buffer("cluster_sizes", torch.full((clusters,), 1 / clusters))

    def _add_adaptation(self, generator: torch.Generator) -> None:
        self.rates: nn.Parameter | None = None
        self.register_buffer("anchors", torch.empty(0, dtype=torch.int64), persistent=False)
        if not self.config.adapts:
            return
        steps, rate = self.config.inner_steps, self.config.inner_rate
        # Few items don't tell which clusters to trust more than others.
        starts = {name: 0.0 if name == "lifts" else rate for name in PARTS if name in self.theta}
        rates = [torch.full((steps, len(self.theta[name])), at) for name, at in starts.items()]
        self.rates = nn.Parameter(torch.cat(rates, dim=1))
        anchors = torch.randperm(self.n_items, generator=generator)[: self.config.anchors]
        self.register_buffer("anchors", anchors.sort().values)

    @property
    def device(self) -> torch.device:
        """Where all of it lies."""
        return self.cluster_sizes.device

    def on(self, device: torch.device) -> ClusterSeq:
        """The same model, memory included, moved to another device."""
        self.to(device)
        if self.memory is not None:
            self.memory = self.memory.to(device)
        return self

    @torch.no_grad()
    def assign(self, histories: Histories) -> Float[Tensor, "users clusters"]:
        """How much each person belongs to each cluster; without history, the clusters' sizes."""
        if self.clusters is None:
            return self.cluster_sizes.new_ones(len(histories), 1)
        histories = histories.to(self.device)
        shares = self.clusters(self.represent(histories))
        return torch.where(histories.lengths[:, None] == 0, self.cluster_sizes, shares)

    @property
    def start(self) -> Float[Tensor, " size"]:
        """θ before anything is known of a person, in one tensor."""
        return torch.cat([self.theta[name] for name in PARTS if name in self.theta])

    def catalogue(self) -> Catalogue:
        """The items, with gradients; worth keeping where the parameters don't change."""
        table, all_items = self.items.vectors(), torch.arange(self.n_items, device=self.device)
        items = self.candidates(table, all_items)
        if self.rates is None:
            return Catalogue(table, items, None, None)
        anchors = self.candidates(table[self.anchors], self.anchors)
        return Catalogue(table, items, anchors, places_of(self.anchors, self.n_items))

    def preferences(
        self,
        histories: Histories,
        queries: Float[Tensor, "users steps width"],
        catalogue: Catalogue,
        support_evidence: Float[Tensor, "users kinds prefixes candidates"] | None,
        *,
        steps: int | None = None,
    ) -> Preferences:
        """What everybody looks for after conditioning and adaptation, with gradients through both.

        ``steps`` ends the inner loop early. Without history a row means nothing.
        """
        theta = self.adapted(histories, queries, catalogue, support_evidence, steps=steps)
        return Preferences.of(theta, histories.newest(queries), catalogue.items)

    def encode(
        self,
        histories: Histories,
        table: Float[Tensor, "items dim"],
        generator: torch.Generator | None = None,
        packing: Packing | None = None,
    ) -> Float[Tensor, "users steps dim"]:
        """The query after every prefix; past a history's length it means nothing.

        A generator drives dropout. The packing is made from the lengths, if none is given.
        """
        packing = packing or Packing.of(histories)
        items = packing.pack(histories.items)
        return packing.unpack(self.queries(items, packing, table, generator))

    def queries(
        self,
        items: Int64[Tensor, " prefixes"],
        packing: Packing,
        table: Float[Tensor, "items dim"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "prefixes dim"]:
        """The same for packed items, in their order."""
        # Unlike an index, whose gradients threads add up in any order, this is deterministic.
        vectors: Tensor = nn.functional.embedding(items, table)
        return self.transition(vectors, packing, generator) if packing.sizes else vectors

    def attention(
        self, histories: Histories, table: Float[Tensor, "items dim"]
    ) -> Float[Tensor, "users steps"] | None:
        """How the last step's attention is spread over each history; None without attention.

        The members' mean. Padding gets none, and a row without history means nothing.
        """
        packing, weights = Packing.of(histories), table.new_zeros(histories.items.shape)
        if not packing.sizes:
            return weights
        vectors = nn.functional.embedding(packing.pack(histories.items), table)
        shares = self.transition.attention(vectors, packing)  # longest history first
        if shares is None:
            return None
        order = histories.lengths.argsort(descending=True, stable=True)[: packing.sizes[0]]
        rows = torch.arange(len(order), device=order.device)
        weights[order, : len(packing.sizes)] = shares[rows, histories.lengths[order] - 1]
        return weights

    def represent(self, histories: Histories) -> Float[Tensor, "users dim"]:
        """z_u: the direction of the mean propagated representation of the items touched."""
        mask = histories.mask[:, :, None]
        total = (nn.functional.embedding(histories.items, self.profiles) * mask).sum(dim=1)
        return nn.functional.normalize(total, dim=-1)

    def conditioned(self, histories: Histories) -> Float[Tensor, "users size"]:
        """Everybody's θ before adaptation."""
        theta = self.start.expand(histories.lengths.shape[0], -1)
        if self.clusters is None or (self.conditioner is None and self.lifts is None):
            return theta
        shares = self.clusters(self.represent(histories))
        if self.conditioner is not None:
            theta = self.conditioner(self.start, shares)
        return theta if self.lifts is None else self.lifts(theta, shares, self.kinds)

    def support_evidence(
        self,
        histories: Histories,
        catalogue: Catalogue,
        evidence: Evidence | PaddedEvidence | None,
    ) -> Float[Tensor, "users kinds prefixes candidates"] | None:
        """What the memory says of what came next (first) and of the anchors, side by side.

        None where nobody asks: without memory or adaptation, or of single items.
        """
        if evidence is None or catalogue.anchor_places is None or histories.items.shape[1] < 2:
            return None
        anchors = evidence.at_anchors(catalogue.anchor_places, len(self.anchors))
        return torch.cat([evidence.at_next()[..., None], anchors], dim=3)

    def adapted(
        self,
        histories: Histories,
        queries: Float[Tensor, "users steps width"],
        catalogue: Catalogue,
        support_evidence: Float[Tensor, "users kinds prefixes candidates"] | None,
        *,
        steps: int | None = None,
    ) -> Float[Tensor, "users size"]:
        """Everybody's θ after the inner loop; one item alone is no support, so no step."""
        theta = self.conditioned(histories)
        if self.rates is None or catalogue.anchors is None or histories.items.shape[1] < 2:
            return theta
        support = self.support(histories, queries, catalogue, support_evidence)
        second = self.config.meta == "second"
        return adapt(theta, self.rates[:steps], support, catalogue.anchors, second_order=second)

    def support(
        self,
        histories: Histories,
        queries: Float[Tensor, "users steps width"],
        catalogue: Catalogue,
        support_evidence: Float[Tensor, "users kinds prefixes candidates"] | None,
    ) -> Support:
        """Each item from the second on, to be predicted from its prefix."""
        targets = histories.items[:, 1:]  # (users, prefixes)
        offsets = offsets_of(targets, self.anchors, self.n_items).to(catalogue.table.dtype)
        evidence = offsets.new_zeros(offsets.shape[0], self.kinds, *offsets.shape[1:])
        if support_evidence is not None and self.acuity is not None:
            evidence = torch.log1p(
                self.acuity.exp()[:, None, None] * support_evidence.to(offsets.dtype)
            )
        return Support.of(
            queries=queries[:, :-1],
            targets=nn.functional.embedding(targets, catalogue.items.columns),
            evidence=evidence,
            counted=histories.mask[:, 1:].to(offsets.dtype),
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
        parts = [vectors, self.items.traits()[items]]
        if self.lifts is not None:
            parts.append(self.lifts.table[items])
        return Candidates(torch.cat(parts, dim=1), self.config.width, scale, members)

    def settle(self) -> None:
        """Let go of what only makes the catalogue, in a process that has made it and just serves.

        The memory is copied out of the file that it may lie in, which need not be held open then.
        """
        del self.items
        if self.memory is not None:
            copies = {name: tensor.clone() for name, tensor in self.memory.tensors().items()}
            self.memory = Memory.from_tensors(copies)

    def tensors(self) -> dict[str, Tensor]:
        """All that the model is, graph and memory included, by name."""
        memory = {} if self.memory is None else self.memory.tensors()
        state = {name: value.detach().contiguous() for name, value in self.state_dict().items()}
        return state | {f"memory.{name}": value for name, value in memory.items()}
