"""Options: typed, closed, documented, and the same in Python, in TOML and on the command line."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clusterseq.checks import whole
from clusterseq.config import LATER, Config, DataConfig, ModelConfig, Runtime, TrainConfig
from clusterseq.errors import ConfigError
from clusterseq.overrides import describe, to_toml, with_assignments
from clusterseq.presets import PRESETS, preset
from clusterseq.values import from_dict, read_toml, saved_config

KINDS = (DataConfig, ModelConfig, TrainConfig, Config, Runtime)


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_is_explained(kind: type[Any]) -> None:
    sentences = describe(kind)
    assert list(sentences) == [option.name for option in dataclasses.fields(kind)]
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in sentences.values())


@pytest.mark.parametrize("name", PRESETS)
def test_a_configuration_survives_json_and_toml(name: str, tmp_path: Path) -> None:
    config = preset(name)
    assert saved_config(json.loads(json.dumps(config.to_dict()))) == config
    (tmp_path / "options.toml").write_text(to_toml(config))
    assert read_toml(tmp_path / "options.toml", base=preset("paper")) == config


def test_what_came_later_is_read_from_older_files_as_it_was() -> None:
    older = dataclasses.asdict(Config())
    for table, options in LATER.items():
        for name in options:
            del older[table][name]
    former = from_dict(Config, LATER)
    assert saved_config(older) == former
    assert former.to_dict() == older


def test_the_paper_preset_keeps_the_papers_choices() -> None:
    paper = preset("paper")
    assert (paper.model.dim, paper.train.tasks_per_batch) == (256, 1024)
    with pytest.raises(ConfigError, match='did you mean "paper"'):
        preset("papr")


def test_a_file_changes_only_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "options.toml").write_text('[model]\ndim = 8\nmeta = "none"\n[train]\nclip = 1\n')
    config = read_toml(tmp_path / "options.toml", base=preset("paper"))
    assert (config.model.dim, config.model.meta, config.train.clip) == (8, "none", 1.0)
    assert isinstance(config.train.clip, float)
    assert config.model.cosine is preset("paper").model.cosine


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[model]\ndimm = 3", 'ModelConfig has no option "dimm"; did you mean "dim"?'),
        ("[modle]\ndim = 3", 'Config has no option "modle"; did you mean "model"?'),
        ("[train]\nzzz = 3", "known are pretrain_epochs"),
        ("[train]\nlearning_rate = -1", "learning_rate = -1.0 can't be used; give 0 or more"),
        (
            "[train]\nmutual_share = 1",
            "mutual_share = 1.0 can't be used; give 0 or more and below 1",
        ),
        ("[train]\nclip = 0", "clip = 0.0 can't be used; give above 0"),
        ("[data]\nk_core = -3", "k_core = -3 can't be used; give 0 or more"),
        ("model = 3", '"model" is a table, not 3; write [model]'),
        ('[model]\ndim = "3"', "dim = '3' can't be used; give a whole number"),
        ("[model]\ndim = 3.0", "dim = 3.0 can't be used; give a whole number"),
        ("[model]\ndim = true", "dim = True can't be used; give a whole number"),
        ("[model]\nmemory = 1", "memory = 1 can't be used; give true or false"),
        ("[model]\nscale = false", "scale = False can't be used; give a number up to 1e38"),
        ('[data]\nsplit = "half"', "give one of temporal, random, none"),
        ("[data]\nsplit = 1", "give one of temporal, random, none"),
        ("[data]\nnew_share = 1.0", "new_share = 1.0 can't be used; give between 0 and 1"),
        ("[model]\ndim = 0", "dim = 0 can't be used; give 1 or more"),
        ("[train]\nfolds = 1", "folds = 1 can't be used; give 2 or more"),
        ("[model\ndim = 3", "not TOML"),
        ("[model]\nscale = nan", "scale = nan can't be used; give a number up to 1e38"),
        ("[model]\nscale = 1e300", "scale = 1e+300 can't be used; give a number up to 1e38"),
        ("[model]\nscale = 1" + "0" * 400, "can't be used; give a number up to 1e38"),
        ("[model]\ndim = 9223372036854775808", "can't be used; give a whole number"),
        ("[model]\ndim = 1" + "0" * 5_000, "not TOML"),
        ("[model]\ndim = " + "[" * 5_000, "not TOML"),
        ("[model]\n" + "a" * 5_000 + " = 3", 'has no option "aaaa'),
    ],
)
def test_what_cannot_be_used_is_told_with_the_remedy(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "options.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_toml(path)
    assert str(path) in str(caught.value)
    assert told in str(caught.value)


def test_a_missing_or_binary_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name a TOML file that exists"):
        read_toml(tmp_path / "nowhere.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not TOML"):
        read_toml(tmp_path / "binary.toml")


def test_assignments_are_written_as_one_speaks() -> None:
    config = with_assignments(
        Config(), ["model.dim=64", " model.meta = first", 'data.split="random"', "train.clip=1"]
    )
    assert (config.model.dim, config.model.meta) == (64, "first")
    assert (config.data.split, config.train.clip) == ("random", 1.0)
    assert with_assignments(config, ["model.memory=false"]).model.dim == 64


@pytest.mark.parametrize("text", ["model.dim", "dim=3", "=3", "model.=3", ""])
def test_what_assigns_nothing_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="write it as model"):
        with_assignments(Config(), [text])


def test_configurations_cannot_be_changed() -> None:
    for kind in KINDS:
        name = dataclasses.fields(kind)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(kind(), name, None)


def test_parts_that_need_others_are_off_without_them() -> None:
    assert not ModelConfig(clustering=False).conditioned
    assert ModelConfig().conditioned
    assert not ModelConfig(meta="none").adapts
    assert not ModelConfig(inner_steps=0).adapts


def test_machine_settings_are_no_options_of_the_model() -> None:
    options = {name for kind in (DataConfig, ModelConfig, TrainConfig) for name in describe(kind)}
    assert not options & set(typing.get_type_hints(Runtime))


@pytest.mark.parametrize(
    ("kind", "name", "value", "told"),
    [
        (ModelConfig, "meta", "Second", "'Second' can't be used; give one of second, first, none"),
        (DataConfig, "split", ["any"], "['any'] can't be used; give one of temporal, random, none"),
        (ModelConfig, "inner_rate", math.nan, "nan can't be used; give a number up to 1e38"),
        (TrainConfig, "learning_rate", math.inf, "inf can't be used; give a number up to 1e38"),
        (TrainConfig, "meta_epochs", 1.5, "1.5 can't be used; give a whole number"),
        (TrainConfig, "meta_epochs", True, "True can't be used; give a whole number"),
        (ModelConfig, "dim", "64", "'64' can't be used; give a whole number"),
        (ModelConfig, "dim", None, "None can't be used; give a whole number"),
        (ModelConfig, "attention", 1, "1 can't be used; give true or false"),
        (ModelConfig, "attention", "false", "'false' can't be used; give true or false"),
        (ModelConfig, "scale", False, "False can't be used; give a number up to 1e38"),
        (ModelConfig, "encoder", 7, "7 can't be used; give a name"),
        (Config, "model", {"dim": 3}, "{'dim': 3} can't be used; give a ModelConfig"),
        (Runtime, "seed", "a", "'a' can't be used; give a whole number"),
        (Runtime, "seed", None, "None can't be used; give a whole number"),
        (Runtime, "seed", True, "True can't be used; give a whole number"),
        (Runtime, "seed", 2**70, "1180591620717411303424 can't be used; give a whole number"),
        (Runtime, "seed", -1, "-1 can't be used; give 0 or more"),
        (Runtime, "threads", -1, "-1 can't be used; give 0 or more"),
        (Runtime, "device", None, "None can't be used; give a name"),
    ],
)
def test_python_is_told_of_values_without_sense(
    unchecked: None, kind: type[Any], name: str, value: object, told: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"{name} = {told}")):
        kind(**{name: value})


@pytest.mark.parametrize(
    ("kind", "name", "value", "plain"),
    [
        (TrainConfig, "patience", 2.0, 2),
        (DataConfig, "min_item_events", np.float64(2), 2),
        (ModelConfig, "dim", np.int64(16), 16),
        (ModelConfig, "max_steps", 20.0, 20),
        (ModelConfig, "scale", np.float32(10), 10.0),
        (ModelConfig, "scale", 10, 10.0),
        (ModelConfig, "attention", np.bool_(False), False),
        (Runtime, "seed", np.int64(3), 3),
    ],
)
def test_numbers_of_other_kinds_become_plain(
    unchecked: None, kind: type[Any], name: str, value: object, plain: object
) -> None:
    found = getattr(kind(**{name: value}), name)
    assert found == plain
    assert type(found) is type(plain)


def test_whole_numbers_are_counted_as_python_does() -> None:
    assert type(whole("k", np.int64(3))) is int
    for value in (2.5, True, None, "3", 0, 2**63):
        with pytest.raises(ConfigError, match=r"k = .* can't be used; give a whole number, 1 or m"):
            whole("k", value, least=1)
