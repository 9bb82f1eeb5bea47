"""The card of a model, which people and model hubs read first in its directory.

Knows nothing about: files, tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clusterseq.markdown import markdown_table
from clusterseq.reading.times import iso

HEAD = """---
library_name: clusterseq
tags:
- recommendation
- sequential-recommendation
- cold-start
- meta-learning
---

# Next items for people never seen
"""
USE = """
## Use

```python
import clusterseq

recommender = clusterseq.Recommender.load("this-directory")
recommender.recommend(history, k=10)  # raw item ids, oldest first
```

A history may be empty; then what was popular comes first. Items that the model doesn't know are
left out and reported. Kinds of people that the training data lack are served worse.
"""


def model_card(n_items: int, provenance: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """The card of a model, in Markdown under a head of YAML.

    >>> made = {"events": 120, "known_users": 30, "split": "none", "seed": 0, "cutoff": None}
    >>> print(model_card(9, made, {}).splitlines()[11])
    A ClusterSeq model (arXiv 2307.13766) of 9 items, trained on 120 events of 30 people. It holds \
no user id.
    """
    until, updates = provenance["cutoff"], len(provenance.get("updated_by", ()))
    ends = "" if until is None else f" who began before {iso(until)[:10]}"
    if updates:
        ends = f", those of {updates} later update{'s' * (updates > 1)} among them"
    summary = (
        f"A ClusterSeq model (arXiv 2307.13766) of {n_items:,} items, trained on "
        f"{provenance['events']:,} events of {provenance['known_users']:,} people{ends}. It holds "
        "no user id."
    )
    return "\n".join([HEAD, summary, *_results(provenance, metrics), USE])


def _results(provenance: Mapping[str, Any], metrics: Mapping[str, Any]) -> Iterator[str]:
    test = metrics.get("test")
    if test is None:
        return
    whom = f"of the same data whom it wasn't trained on (split {provenance['split']}, seed "
    whom += f"{provenance['seed']})"
    if provenance.get("updated_by"):
        whom = "of the last update whom it wasn't trained on"
    yield (
        f"\n## Results\n\n{test['users']:,} people {whom} were shown by their first {test['k']} "
        "items; the next one was ranked in the whole catalogue.\n"
    )
    full = {
        name: figures["full"]
        for name, figures in {"this one": test, **metrics.get("baselines", {})}.items()
    }
    rows = [
        [name, f"{result['mrr']:.4f}", f"{result['hr@10']:.4f}"] for name, result in full.items()
    ]
    yield markdown_table(["model", "MRR", "HR@10"], rows)
