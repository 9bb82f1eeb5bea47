"""Options of a configuration as one writes them by hand: lines of text and a commented TOML file.

Knows nothing about: what the options do, the command line.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import json
import tomllib
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, cast

from clusterseq.config import Config
from clusterseq.errors import ConfigError
from clusterseq.values import from_dict


def with_assignments(config: Config, assignments: Iterable[str]) -> Config:
    """Change single options; values are written as in TOML, text also without quotes.

    Raises:
        ConfigError: an assignment isn't ``section.option=value``, or its value can't be used.

    >>> config = with_assignments(Config(), ["model.dim=64", "model.meta=first"])
    >>> config.model.dim, config.model.meta
    (64, 'first')
    """
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        section, dot, option = name.strip().partition(".")
        if not (equals and dot and option):
            raise ConfigError(f'"{assignment}" sets nothing; write it as model.dim=64')
        config = from_dict(Config, {section: {option: _value(text.strip())}}, base=config)
    return config


def to_toml(config: Config) -> str:
    """Every option with its value, under the sentence that explains it; ``read_toml`` reads it.

    >>> print(to_toml(Config())[:116])
    [data]
    # How users are split: by the time of their first event, by a draw, or everybody is known.
    split = "temporal"
    """
    return "\n".join(
        "\n".join([f"[{section.name}]", *_lines(getattr(config, section.name)), ""])
        for section in fields(config)
    )


def flat(config: Config) -> dict[str, Any]:
    """Options by their full names.

    >>> flat(Config())["model.members"]
    4
    """
    tables = dataclasses.asdict(config).items()
    return {f"{table}.{name}": value for table, rows in tables for name, value in rows.items()}


def changed(config: Config) -> dict[str, Any]:
    """The options that aren't what they are by default, but for the size of the catalogue.

    >>> changed(with_assignments(Config(), ["model.n_items=7", "model.dim=64"]))
    {'model.dim': 64}
    """
    defaults = flat(Config())
    return {
        option: value
        for option, value in flat(config).items()
        if value != defaults[option] and option != "model.n_items"
    }


def describe(kind: type[Any]) -> dict[str, str]:
    """The sentence under each field of a config class, for help texts and documentation."""
    body = cast(ast.ClassDef, ast.parse(inspect.getsource(kind)).body[0]).body
    names = {f.name for f in fields(kind)}
    return {
        statement.target.id: ast.literal_eval(following.value)
        for statement, following in itertools.pairwise(body)
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and statement.target.id in names
        and isinstance(following, ast.Expr)
    }


def _lines(section: Any) -> Iterable[str]:
    sentences = describe(type(section))
    for option in fields(section):
        yield f"# {sentences[option.name]}"
        yield f"{option.name} = {json.dumps(getattr(section, option.name))}"


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # no TOML, or more digits than Python reads
        return text
