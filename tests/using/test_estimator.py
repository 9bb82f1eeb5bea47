"""The estimator by scikit-learn's conventions, asked by scikit-learn itself."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.validation import check_is_fitted

import clusterseq
from clusterseq.errors import ConfigError, DataError
from clusterseq.overrides import with_assignments
from clusterseq.presets import preset
from clusterseq.reading.events import read_events
from clusterseq.using.estimator import Estimator
from clusterseq.using.evaluation import evaluate_checkpoint
from clusterseq.using.recommender import Recommender
from tests.conftest import SMALL

OPTIONS = {
    name: value
    for table, options in with_assignments(preset("default"), SMALL).to_dict().items()
    for option, value in options.items()
    if (name := f"{table}.{option}") in {one.partition("=")[0] for one in SMALL}
}
LIBRARIES: dict[str, Callable[[pl.DataFrame], Any]] = {
    "polars": lambda frame: frame,
    "pandas": lambda frame: frame.to_pandas(),
    "pyarrow": lambda frame: frame.to_arrow(),
}


@pytest.fixture(scope="module")
def fitted(events_frame: pl.DataFrame) -> Estimator:
    return Estimator(options=OPTIONS, k=3).fit(events_frame)


def test_a_clone_has_the_parameters_and_nothing_learnt(fitted: Estimator) -> None:
    twin = clone(fitted)
    assert twin.get_params() == fitted.get_params()
    assert not hasattr(twin, "recommender_")
    assert repr(twin) == repr(fitted)


@pytest.mark.parametrize(
    "check",
    [
        *("check_parameters_default_constructible", "check_no_attributes_set_in_init"),
        *("check_get_params_invariance", "check_set_params", "check_estimator_repr"),
        *("check_estimator_cloneable",),
    ],
)
def test_scikit_learns_own_checks_pass(check: str) -> None:
    getattr(estimator_checks, check)("Estimator", Estimator())


def test_parameters_are_set_by_name_and_unknown_ones_refused() -> None:
    estimator = Estimator()
    assert estimator.set_params(k=3, seed=1) is estimator
    assert (estimator.k, estimator.seed) == (3, 1)
    with pytest.raises(ConfigError, match='no parameter "sed"; did you mean "seed"'):
        estimator.set_params(sed=1)


@pytest.mark.parametrize("library", LIBRARIES)
def test_recommendations_come_in_the_library_that_asked(fitted: Estimator, library: str) -> None:
    newcomers = pl.DataFrame({"user": ["x", "x", "y"], "item": ["i03", "i05", "i33"]})
    found = fitted.recommend(LIBRARIES[library](newcomers))
    assert type(found).__module__.partition(".")[0] == library
    rows = (found if library == "polars" else pl.DataFrame(found)).rows(named=True)
    assert [(row["user"], row["rank"]) for row in rows] == [
        *[("x", 1), ("x", 2), ("x", 3), ("y", 1), ("y", 2), ("y", 3)],
    ]
    expected = fitted.recommender_.recommend([["i03", "i05"], ["i33"]], k=3)
    assert [row["item"] for row in rows] == [item for one in expected for item in one.ids]


def test_everybody_in_the_table_is_learnt_from(
    fitted: Estimator, events_frame: pl.DataFrame
) -> None:
    provenance = fitted.recommender_.checkpoint.provenance
    assert provenance.split == "none"
    assert provenance.known_users == events_frame["user"].n_unique()
    assert fitted.n_items_in_ == events_frame["item"].n_unique()


def test_a_second_fit_gives_the_same_and_another_seed_another(
    fitted: Estimator, events_frame: pl.DataFrame
) -> None:
    again = clone(fitted).fit(events_frame.to_pandas())
    other = clone(fitted).set_params(seed=1).fit(events_frame)
    tables = [one.recommender_.checkpoint.model.items.embedding for one in (fitted, again, other)]
    assert bool((tables[0] == tables[1]).all())
    assert not bool((tables[0] == tables[2]).all())


def test_the_score_is_better_than_chance(fitted: Estimator, events_frame: pl.DataFrame) -> None:
    assert fitted.score(events_frame) > 2 / fitted.n_items_in_


def test_the_score_lets_compete_what_recommendations_may_hold(
    fitted: Estimator, events_frame: pl.DataFrame
) -> None:
    keeping = copy.copy(fitted).set_params(filter_seen=False)
    checkpoint, events = fitted.recommender_.checkpoint, read_events(events_frame)
    kept = evaluate_checkpoint(checkpoint, events, all_new=True, keep_seen=True, baselines=False)
    assert keeping.score(events_frame) == kept.to_dict()["full"]["mrr"] < fitted.score(events_frame)


def test_bad_rows_are_passed_over_if_asked(fitted: Estimator) -> None:
    rows = pl.DataFrame({"user": ["x", None], "item": ["i03", "i05"]})
    with pytest.raises(DataError, match="skip_bad="):
        fitted.recommend(rows)
    lenient = copy.copy(fitted).set_params(skip_bad=True)
    assert lenient.recommend(rows)["user"].unique().to_list() == ["x"]


@pytest.mark.parametrize("seed", [-1, 1.5, "a", None])
def test_a_seed_that_cannot_be_used_is_told(unchecked: None, seed: Any) -> None:
    with pytest.raises(ConfigError, match=f"seed = {seed!r} can't be used"):
        Estimator(options=OPTIONS, seed=seed).fit(pl.DataFrame({"user": ["a"], "item": ["b"]}))


def test_what_is_saved_is_loaded_by_all_others(fitted: Estimator, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    loaded = Recommender.load(tmp_path / "model").recommend(["i03"], k=4)
    assert loaded == fitted.recommender_.recommend(["i03"], k=4)


def test_once_saved_it_can_be_pickled_and_copied(
    events_frame: pl.DataFrame, tmp_path: Path
) -> None:
    estimator = Estimator(options=OPTIONS, k=3).fit(events_frame)
    with pytest.raises(DataError, match=r"can't be pickled, copied or sent .* save it"):
        pickle.dumps(estimator)
    found = estimator.recommend(events_frame)
    estimator.save(tmp_path / "model")
    for twin in (pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator)):
        assert twin.recommend(events_frame).equals(found)


def test_scikit_learn_asks_it_what_it_needs_to_know(
    fitted: Estimator, events_frame: pl.DataFrame
) -> None:
    check_is_fitted(fitted)
    with pytest.raises(NotFittedError):
        check_is_fitted(clone(fitted))
    pipeline = Pipeline([("model", fitted)])
    assert pipeline.score(events_frame) == fitted.score(events_frame)
    assert "Estimator" in pipeline._repr_html_()


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ConfigError, match="isn't fitted yet; call fit"):
        Estimator().recommend(pl.DataFrame({"user": ["a"], "item": ["b"]}))
    with pytest.raises(ConfigError, match='no option "dims"; did you mean "dim"'):
        Estimator(options={"model.dims": 3}).fit(pl.DataFrame({"user": ["a"], "item": ["b"]}))
    with pytest.raises(ConfigError, match="trains on everybody it is given"):
        Estimator(options={"data.split": "random"}).fit(
            pl.DataFrame({"user": ["a"], "item": ["b"]})
        )
    with pytest.raises(DataError, match="no user column"):
        Estimator().fit(pl.DataFrame({"a": [1], "b": [2]}))


def test_scikit_learn_is_not_needed() -> None:
    source = Path(clusterseq.__file__).parent
    assert not [path for path in source.rglob("*.py") if "import sklearn" in path.read_text()]
    assert not [path for path in source.rglob("*.py") if "from sklearn" in path.read_text()]
