"""All peers by name, each with the grid that it is tuned over.

Knows nothing about: how any of them works, data sets, tables.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from clusterseq.baselines.als import ALS
from clusterseq.baselines.bert4rec import BERT4Rec
from clusterseq.baselines.blend import Blend
from clusterseq.baselines.ease import EASE
from clusterseq.baselines.gru4rec import GRU4Rec
from clusterseq.baselines.item_knn import ItemKNN
from clusterseq.baselines.mecos import fit_mecos
from clusterseq.baselines.melu import fit_melu
from clusterseq.baselines.metatl import fit_metatl
from clusterseq.baselines.narm import NARM
from clusterseq.baselines.neural import fit_network
from clusterseq.baselines.next_item_losses import GBCE, FullSoftmax, SampledSoftmax
from clusterseq.baselines.peer import Peer, Setting, tune
from clusterseq.baselines.popularity import Popularity
from clusterseq.baselines.sasrec import SASRec
from clusterseq.baselines.sequence_rules import SequenceRules
from clusterseq.baselines.session_knn import SessionKNN
from clusterseq.baselines.stan import STAN
from clusterseq.baselines.transrec import TransRec
from clusterseq.baselines.vmis_knn import VMISKNN
from clusterseq.judging.scorer import Scorer


def _known_only(fit: Callable[..., Scorer], setting: Setting, **options: Any) -> Scorer:
    return fit(setting.known, setting.n_items, **options)


def _als(setting: Setting, **options: Any) -> Scorer:
    return ALS.fit(setting.known, setting.n_items, seed=setting.seed, **options)


def _blend(setting: Setting) -> Blend:
    """Order and neighbours, each tuned first."""
    scorers = [tune(PEERS[name], setting).scorer for name in ("sequence-rules", "session-knn")]
    return Blend.fit(setting, scorers)


Neural = partial(Peer, kind="neural")
Meta = partial(Peer, kind="meta")
NEURAL_GRID = {"learning_rate": (6e-3, 1e-2), "dropout": (0.2, 0.4)}

PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "popularity",
            "How often each item was touched in training.",
            partial(_known_only, Popularity.fit),
        ),
        Peer(
            "recent-popularity",
            "The same, where events fade with time.",
            partial(_known_only, Popularity.fit),
            {"half_life": (0.02, 0.1, 0.3)},
        ),
        Peer(
            "item-knn",
            "Item kNN (Sarwar et al. 2001), similarities by the library implicit.",
            partial(_known_only, ItemKNN.fit),
            {"similarity": ("cosine", "tfidf", "bm25"), "shrinkage": (20.0, 100.0, 500.0)},
        ),
        Peer(
            "sequence-rules",
            "Sequence rules up to five apart (arXiv 1803.09587).",
            partial(_known_only, SequenceRules.fit),
            {"shrinkage": (1.0, 5.0, 20.0, 80.0, 320.0)},
        ),
        Peer(
            "session-knn",
            "V-SkNN (arXiv 1803.09587), all known people.",
            partial(_known_only, SessionKNN.fit),
            {"recency": (1.0, 0.0, 2.0), "idf": (True, False)},
        ),
        Peer(
            "vmis-knn",
            "VMIS-kNN (Serenade, SIGMOD 2022).",
            partial(_known_only, VMISKNN.fit),
            {"m": (500, 2_500), "k": (100, 500)},
        ),
        Peer(
            "stan",
            "Sequence- and time-aware neighbours (SIGIR 2019).",
            partial(_known_only, STAN.fit),
            {"recency": (1.0, 2.0, 4.0), "distance": (4.0, 20.0), "age": (0.3, 1.0, 5.0)},
        ),
        Peer(
            "ease",
            "EASE, a linear autoencoder (arXiv 1905.03375).",
            partial(_known_only, EASE.fit),
            {"regularisation": (20.0, 100.0, 500.0)},
        ),
        Peer(
            "als",
            "Weighted matrix factorisation (ICDM 2008) by the library implicit, people folded in.",
            _als,
            {"factors": (32, 128), "confidence": (10.0, 50.0)},
        ),
        Peer("blend", "Sequence rules and session kNN, weights by validation.", _blend),
        Meta(
            "metatl",
            "MetaTL (arXiv 2107.06427) as its authors' program runs.",
            partial(fit_metatl, mended=False),
        ),
        Meta(
            "metatl-mended",
            "MetaTL (arXiv 2107.06427) by its paper's formula.",
            partial(fit_metatl, mended=True),
        ),
        Meta(
            "melu",
            "MeLU (arXiv 1908.00413), reduced to ids and to what people touched.",
            fit_melu,
            {"rate": (0.5, 0.1)},
        ),
        Meta(
            "mecos",
            "Matching after Mecos (arXiv 2012.05462), turned from new items to new people.",
            fit_mecos,
            {"dropout": (0.2, 0.5)},
        ),
        Neural(
            "gru4rec-full",
            "GRU4Rec (arXiv 1511.06939), softmax over all items.",
            partial(fit_network, GRU4Rec, loss=FullSoftmax()),
            {"learning_rate": (6e-3, 1e-2)},
        ),
        Neural(
            "gru4rec-sampled",
            "GRU4Rec with additional samples (arXiv 1706.03847), sampled softmax.",
            partial(fit_network, GRU4Rec, loss=SampledSoftmax()),
            NEURAL_GRID,
        ),
        Neural(
            "narm",
            "NARM, a GRU with attention (arXiv 1711.04725).",
            partial(fit_network, NARM, loss=SampledSoftmax()),
            NEURAL_GRID,
        ),
        Neural(
            "sasrec",
            "SASRec (arXiv 1808.09781), cosine scores, sampled softmax.",
            partial(fit_network, SASRec, loss=SampledSoftmax()),
            NEURAL_GRID,
        ),
        Neural(
            "gsasrec",
            "gSASRec (arXiv 2308.07192), dot products, gBCE.",
            partial(fit_network, SASRec, loss=GBCE(), geometry="dot"),
            NEURAL_GRID,
        ),
        Neural(
            "bert4rec",
            "BERT4Rec (arXiv 1904.06690), cosine scores, sampled softmax.",
            partial(fit_network, BERT4Rec, loss=SampledSoftmax(), epochs=40),
            NEURAL_GRID,
        ),
        Neural(
            "transrec",
            "TransRec (arXiv 1707.02410) with the global translation, sampled softmax.",
            partial(fit_network, TransRec, loss=SampledSoftmax(), geometry="distance"),
            NEURAL_GRID,
        ),
    )
}
