"""What there is to say of a model: its headline, and the sections of its report.

Knows nothing about: how figures are found out, pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from clusterseq.report import charts
from clusterseq.report.by_length import AtLength
from clusterseq.report.findings import Findings
from clusterseq.report.section import Section, Table
from clusterseq.showing.figures import METRICS, NONE, judged
from clusterseq.using.comparison import BEFORE, CLUSTERSEQ

INTENDED = (
    "Meant for recommending the next item of a catalogue to people of whom only a few touches are "
    "known. Not meant for decisions about people, for catalogues that change by the hour (new "
    "items need training), or where a list must not favour what is popular: every figure above is "
    "of accuracy, and accuracy favours it."
)


def headline(findings: Findings) -> list[tuple[str, str]]:
    """The figures that come first."""
    card, models = findings.card, findings.accuracy
    facts = [
        ("items", f"{card['items']:,}"),
        ("people known", f"{card['known_users']:,}"),
        ("one newcomer", f"{findings.latency.p50_ms:.1f} ms"),
    ]
    if models:
        ours = list(models.values())[-1]
        facts[:0] = [
            ("MRR, full catalogue", f"{ours['full']['mrr']:.4f}"),
            ("HR@10", f"{ours['full']['hr@10']:.1%}"),
            ("MRR among 100", f"{ours['sampled']['mrr']:.3f}"),
        ]
    return facts


def sections(findings: Findings) -> Iterator[Section]:
    """What there is to say, in the order of a reader's questions."""
    if findings.accuracy:
        yield _accuracy(findings.accuracy)
        yield _groups(findings.accuracy)
    if findings.by_length:
        yield _lengths(findings.by_length)
    if findings.adaptation:
        yield _adaptation(findings)
    if findings.clusters:
        yield _clusters(findings)
    yield _data(findings)
    if findings.training:
        yield _training(findings)
    yield _latency(findings)
    yield _card(findings)


def _accuracy(models: dict[str, dict[str, Any]]) -> Section:
    ours = models[CLUSTERSEQ]
    best = max((m for m in models if m != CLUSTERSEQ), key=lambda m: models[m]["full"]["mrr"])
    times = ours["full"]["mrr"] / models[best]["full"]["mrr"]
    rival = (
        "that of the model before the update"
        if best == BEFORE
        else f"that of {best}, the best simple model here"
    )
    rows = [
        [name, *(judged(figures["full"], m) for m in METRICS), judged(figures["sampled"], "mrr")]
        for name, figures in models.items()
    ]
    return Section(
        "Accuracy on people never seen",
        f"Of {ours['users']:,} new people the model was shown {ours['k']} items each. Its MRR in "
        f"the full catalogue is {times:.2f} times {rival}. "
        "Lines are 95 % intervals: where they overlap widely, so many people can't tell two models "
        "apart.",
        charts.accuracy(models, CLUSTERSEQ),
        Table(["model", "MRR", "HR@10", "NDCG@10", "MRR among 100"], rows),
    )


def _groups(models: dict[str, dict[str, Any]]) -> Section:
    named = models[CLUSTERSEQ]["groups"]
    present = {name: figures for name, figures in named.items() if figures["users"]}
    rows = [
        [name, f"{figures['users']:,}", *(judged(figures["full"], metric) for metric in METRICS)]
        for name, figures in present.items()
    ]
    return Section(
        "Who is served how well",
        "Minor and major are the third of people with the least and with the most popular items; "
        "the clusters are those that the model has learnt. A group that is far below the others, "
        "or below a simple model, is one to look after.",
        charts.groups(models),
        Table(["group", "people", "MRR", "HR@10", "NDCG@10"], rows),
    )


def _lengths(points: Sequence[AtLength]) -> Section:
    ours = [point for point in points if point.model == CLUSTERSEQ]
    first, last = ours[0], ours[-1]
    ks = sorted({point.k for point in points})
    mrr = {(point.model, point.k): point for point in points}
    names = list(dict.fromkeys(point.model for point in points))
    rows = [
        [
            str(k),
            f"{mrr[CLUSTERSEQ, k].users:,}",
            *(f"{mrr[name, k].mrr:.4f}" if (name, k) in mrr else NONE for name in names),
        ]
        for k in ks
    ]
    return Section(
        "How many items it takes",
        f"With nothing known the MRR is {first.mrr:.4f} (popularity), with {last.k} items "
        f"{last.mrr:.4f}. Each point is of the people who have at least one item more, so points "
        "far right are of fewer and more active people.",
        charts.lengths(points),
        Table(["items shown", "people", *names], rows),
    )


def _adaptation(findings: Findings) -> Section:
    curve, learnt = findings.adaptation, findings.card["inner_steps"]
    before, after = curve[0], curve[min(learnt, len(curve) - 1)]
    verb = "raise" if after.mrr > before.mrr else "don't raise"
    return Section(
        "What adaptation changes",
        f"The {learnt} steps that were learnt {verb} the MRR: {before.mrr:.4f} before, "
        f"{after.mrr:.4f} after them (dotted line). The loss is that of the whole list: it may "
        "grow while ranks improve, if scores become sharper than newcomers justify. Steps beyond "
        "the line repeat the last one.",
        charts.adaptation(curve, learnt),
        Table(
            ["steps", "MRR", "loss"],
            [[str(point.steps), f"{point.mrr:.4f}", f"{point.loss:.4f}"] for point in curve],
        ),
    )


def _clusters(findings: Findings) -> Section:
    largest = max(cluster.size for cluster in findings.clusters)
    rows = [
        [str(cluster.id), f"{cluster.size:.1%}", ", ".join(cluster.typical)]
        for cluster in sorted(findings.clusters, key=lambda cluster: -cluster.size)
    ]
    return Section(
        "Kinds of people",
        f"{len(findings.clusters)} clusters; the largest has {largest:.0%} of the events. Typical "
        "items are touched there more than elsewhere, and often. On the map stand people by their "
        "first three items: clusters that lie in each other are told apart in more than the two "
        "dimensions shown, or hardly.",
        None if findings.placed is None else charts.cluster_map(findings.placed),
        Table(["cluster", "events", "typical items"], rows, prose=True),
    )


def _data(findings: Findings) -> Section:
    top = dict(findings.popularity.curve)[0.01]
    sees = f"The most touched 1 % of the catalogue has {top:.0%} of the events"
    rows = [["Gini coefficient of items", f"{findings.popularity.gini:.3f}"]]
    if findings.data is not None:
        data = findings.data
        few = sum(data.lengths[name] for name in ("1", "2", "3")) / data.users
        sees += f"; {few:.0%} of the users have three events or fewer"
        rows += [
            ["events, users, items", f"{data.events:,}, {data.users:,}, {data.items:,}"],
            ["known and new users", f"{data.known_users:,} and {data.new_users:,}"],
            ["new users' events in the catalogue", f"{data.coverage:.1%}"],
            ["events tied with another of their user", f"{data.tied_share:.1%}"],
            ["time", f"{data.first or 'none'} to {data.last or 'none'}"],
        ]
    return Section(
        "The data",
        sees + ".",
        charts.data(findings.data, findings.popularity),
        Table(["", ""], rows, prose=True),
    )


def _training(findings: Findings) -> Section:
    seconds = sum(epoch.get("seconds", 0.0) for epoch in findings.training)
    return Section(
        "How it learnt",
        f"{len(findings.training)} epochs in {seconds:,.0f} s. The model of the epoch that "
        "validation users favour is kept; where their loss rises while that of known users falls, "
        "what is learnt there doesn't carry over to newcomers, and is thrown away.",
        charts.training(findings.training),
    )


def _latency(findings: Findings) -> Section:
    latency = findings.latency
    return Section(
        "How fast it answers",
        f"Adapting to a newcomer of three items and ranking {findings.card['items']:,} items takes "
        f"{latency.p50_ms:.1f} ms, and one of a hundred takes {latency.p99_ms:.1f} ms or more, on "
        f"one thread of this machine. Many at once: {latency.per_second:,.0f} people a second "
        f"({latency.threads} threads).",
    )


def _card(findings: Findings) -> Section:
    card, updates = findings.card, findings.card["updates"]
    cutoff = None if updates else card["cutoff"]
    options = ", ".join(f"{name} = {value}" for name, value in card["changed_options"].items())
    rows = [
        ["content", card["version"]],
        ["trained on", f"{card['events']:,} events of {card['known_users']:,} people"],
        ["updated", f"{updates} times since" if updates else "never"],
        [
            "split",
            f"{card['split']}, seed {card['seed']}" + (f", up to {cutoff}" if cutoff else ""),
        ],
        ["data, SHA-256", card["data"]],
        ["catalogue", f"{card['items']:,} items"],
        ["parameters", f"{card['parameters']:,}"],
        ["options that aren't the default", options or "none"],
        ["trained by", ", ".join(f"{name} {value}" for name, value in card["versions"].items())],
    ]
    return Section("Model card", INTENDED, None, Table(["", ""], rows, prose=True))
