"""The report: its figures are the model's, its page stands alone, and it says what is missing."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clusterseq.data.sequences import Sequences
from clusterseq.errors import DataError
from clusterseq.judging.evaluate import evaluate
from clusterseq.learning.checkpoint import Checkpoint, load_checkpoint
from clusterseq.model.ranker import Ranker
from clusterseq.reading.events import Events, read_events
from clusterseq.report.adaptation import SHOWN_STEPS, adaptation_curve
from clusterseq.report.data_profile import classes, popularity
from clusterseq.report.findings import Findings, find_out
from clusterseq.report.page import markdown, page
from clusterseq.report.sections import headline, sections
from clusterseq.using.comparison import CLUSTERSEQ
from clusterseq.using.evaluation import evaluate_checkpoint, split_of_training


@pytest.fixture(scope="module")
def events(events_file: Path) -> Events:
    return read_events(events_file)


@pytest.fixture(scope="module")
def findings(model_directory: Path, events: Events) -> Findings:
    told: list[tuple[str, int, int]] = []
    checkpoint = load_checkpoint(model_directory)
    found = find_out(model_directory, checkpoint, events, lambda *step: told.append(step))
    assert dict.fromkeys(label for label, _, _ in told) == dict.fromkeys(
        ("latency", "accuracy by length", "adaptation")
    )
    assert all(done <= total for _, done, total in told)
    return found


def test_the_figures_are_those_of_the_test(
    findings: Findings, checkpoint: Checkpoint, events: Events
) -> None:
    judged = evaluate_checkpoint(checkpoint, events, k=3).to_dict()
    assert findings.accuracy[CLUSTERSEQ]["full"] == judged["full"]
    after = {one.steps: one for one in findings.adaptation}
    assert after[checkpoint.config.model.inner_steps].mrr == pytest.approx(judged["full"]["mrr"])
    (at_three,) = (o for o in findings.by_length if o.model == CLUSTERSEQ and o.k == 3)
    assert at_three.mrr == pytest.approx(judged["full"]["mrr"])
    assert [at_three.low, at_three.high] == pytest.approx(judged["full"]["mrr_ci95"])


def test_every_length_is_judged_as_alone(
    findings: Findings, checkpoint: Checkpoint, events: Events
) -> None:
    test, ranker = split_of_training(checkpoint, events).test, Ranker(checkpoint.model)
    own = [one for one in findings.by_length if one.model == CLUSTERSEQ]
    assert [one.k for one in own] == list(range(len(own)))
    for one in own:
        found = evaluate(ranker, test, item_counts=checkpoint.item_counts, k=one.k).to_dict()
        assert one.users == found["users"]
        assert one.mrr == pytest.approx(found["full"]["mrr"])
    models = {one.model for one in findings.by_length}
    assert models == {one.model for one in findings.by_length if one.k == 0}
    assert CLUSTERSEQ in models


def test_adaptation_starts_without_steps_and_leaves_the_model_as_it_was(
    checkpoint: Checkpoint, events: Events
) -> None:
    ranker, people = Ranker(checkpoint.model), split_of_training(checkpoint, events).test
    rates = checkpoint.model.rates
    curve = adaptation_curve(ranker, people, 3)
    assert checkpoint.model.rates is rates
    assert [one.steps for one in curve] == list(range(SHOWN_STEPS + 1))
    assert len({one.loss for one in curve}) == len(curve)
    assert adaptation_curve(ranker, Sequences.from_rows([[1, 2]]), 3) == []


def test_who_is_on_the_map_and_in_the_classes(findings: Findings, checkpoint: Checkpoint) -> None:
    assert findings.placed is not None
    assert findings.data is not None
    assert len(findings.placed.points) == checkpoint.provenance.known_users
    assert findings.placed.certainty == sorted(findings.placed.certainty)
    assert findings.placed.certainty[-1] == 1
    assert sum(findings.data.lengths.values()) == findings.data.users
    assert sum(one.size for one in findings.clusters) == pytest.approx(1, abs=1e-5)


def test_shares_of_popularity_and_classes_of_lengths() -> None:
    counts = np.array([90, *[1] * 9, *[0] * 90])
    found = popularity(counts)
    assert dict(found.curve)[0.01] == pytest.approx(90 / 99)
    assert dict(found.curve)[0.1] == dict(found.curve)[1.0] == 1
    assert popularity(np.full(50, 3)).gini == 0
    assert 0.9 < found.gini < 1
    assert classes(np.array([1, 2, 2, 5, 6, 100, 4000])) == {
        **dict.fromkeys(classes(np.array([1])), 0),
        **{"1": 1, "2": 2, "5–6": 2, "100+": 2},
    }


def test_the_page_needs_nothing_beside_it(findings: Findings) -> None:
    whole = page(findings.name, headline(findings), list(sections(findings)))
    addresses = re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?([^"\')\s>]+)', whole)
    assert addresses
    assert all(address.startswith("#") for address in addresses)
    assert "@import" not in whole
    assert "<script" not in whole
    ids = re.findall(r'\bid="([^"]+)"', whole)
    assert len(ids) == len(set(ids))
    assert {address[1:] for address in addresses} <= set(ids)
    assert f"{findings.accuracy[CLUSTERSEQ]['full']['mrr']:.4f}" in whole


def test_every_section_says_what_to_see(findings: Findings) -> None:
    found = list(sections(findings))
    assert len(found) == 9
    text = markdown(findings.name, headline(findings), found)
    for section in found:
        assert section.sees.endswith(".")
        assert f"## {section.title}\n\n{section.sees}\n" in text
        if section.table is not None:
            assert all(len(row) == len(section.table.columns) for row in section.table.rows)


def test_titles_are_text(findings: Findings) -> None:
    from dataclasses import replace

    clusters = [replace(findings.clusters[0], typical=["<b>bold</b> & co"])]
    hostile = replace(findings, name="<script>", clusters=clusters)
    whole = page(hostile.name, headline(hostile), list(sections(hostile)))
    assert "<b>bold" not in whole
    assert "<script>" not in whole
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; co" in whole


def test_without_events_the_rest_is_told(model_directory: Path) -> None:
    checkpoint = load_checkpoint(model_directory)
    found = find_out(model_directory, checkpoint, None, lambda *step: None)
    assert (found.data, found.by_length, found.adaptation, found.placed) == (None, [], [], None)
    titles = [one.title for one in sections(found)]
    assert titles[0] == "Accuracy on people never seen"
    assert "Kinds of people" in titles
    assert "How many items it takes" not in titles


def test_json_holds_all_of_it(findings: Findings) -> None:
    values: dict[str, Any] = json.loads(json.dumps(findings.to_dict(), allow_nan=False))
    assert values["card"]["items"] == findings.card["items"]
    assert len(values["adaptation"]) == SHOWN_STEPS + 1


def test_other_events_are_refused(model_directory: Path, events_file: Path, tmp_path: Path) -> None:
    lines = events_file.read_text().splitlines()
    other = tmp_path / "other.csv"
    other.write_text("\n".join(lines[: len(lines) // 2]))
    checkpoint = load_checkpoint(model_directory)
    with pytest.raises(DataError, match="aren't those that the model was trained on"):
        find_out(model_directory, checkpoint, read_events(other), lambda *step: None)


def test_a_damaged_log_is_told(model_directory: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(model_directory, copy)
    (copy / "log.jsonl").write_text("{")
    with pytest.raises(DataError, match=r"log\.jsonl: not JSON lines"):
        find_out(copy, load_checkpoint(copy), None, lambda *step: None)
