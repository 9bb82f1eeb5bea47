"""What can be used is documented by name: commands, options, fields, routes, numbers, Python."""

from __future__ import annotations

import dataclasses
import importlib
import re

import pytest
import typer

import clusterseq
from clusterseq.cli import app
from clusterseq.config import DataConfig, ModelConfig, TrainConfig
from docs.hooks import command_line, http_api
from tests.docs.blocks import DOCS, PAGES


def written(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


EVERYTHING = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def test_every_command_and_option_is_in_the_reference() -> None:
    group = typer.main.get_command(app)
    commands = group.commands  # type: ignore[attr-defined]
    page = command_line.page()
    for name, command in commands.items():
        section = page.partition(f"## {name} {{")[2].partition("\n## ")[0]
        for one in command.params:
            names = one.opts if one.param_type_name == "option" else [one.metavar]
            assert all(f"`{each}`" in section for each in names), f"{name}: {names}"
        assert f"`{name}`" in written("architecture.md"), f"{name} stands in the list of commands"
        assert f"\n| `{name}` | " in written("how-to/scripts.md"), f"what {name} --json prints"


def test_every_option_that_a_page_shows_exists() -> None:
    known = {
        name
        for command in typer.main.get_command(app).commands.values()  # type: ignore[attr-defined]
        for one in command.params
        for name in (*one.opts, *one.secondary_opts)
    }
    others = {"--help", "--debug", "--version", "--nnodes"}
    for line in EVERYTHING.splitlines():
        for command in re.findall(r"clusterseq [a-z]+ [^`#|]*", line):
            shown = set(re.findall(r"(?<!\S)--[a-z-]+", command))
            assert shown <= known | others, line


@pytest.mark.parametrize("kind", [DataConfig, ModelConfig, TrainConfig])
def test_every_field_of_the_options_is_listed(kind: type) -> None:
    page = written("configuration.md")
    assert all(f"| `{field.name}` |" in page for field in dataclasses.fields(kind))


def test_every_route_is_in_the_reference_and_on_the_page_of_the_service() -> None:
    service = http_api.application()
    document = service.openapi()
    page = http_api.page(document, service.state.context.metrics)
    told = re.sub(r"\{\w+\}", "{id}", written("service.md"))
    for address, methods in document["paths"].items():
        assert all(f"`{method.upper()} {address}`" in page for method in methods)
        assert re.sub(r"\{\w+\}", "{id}", address) in told, address


def test_the_reference_says_what_an_address_takes_and_which_key_opens_it() -> None:
    service = http_api.application()
    sections = re.split(
        "^### ", http_api.page(service.openapi(), service.state.context.metrics), flags=re.M
    )
    told = {
        title.partition(" {")[0]: rest for title, _, rest in (s.partition("\n") for s in sections)
    }
    assert "`events`" in told["`POST /v1/events`"]
    assert "takes [Event](#event) or [Events](#events)\n" in told["`POST /v1/events`"]
    for title, text in told.items():
        assert "takes anything" not in text, title
        assert ("needs a key of the scope `" in text) == (" /v1/" in title), title
    assert "needs a key of the scope `admin`" in told["`POST /v1/model:reload`"]


def test_every_number_is_explained_on_the_page_about_monitoring() -> None:
    metrics = http_api.application().state.context.metrics
    names = set(re.findall(r"`(clusterseq_\w+)`", http_api.numbers(metrics)))
    monitored = written("how-to/monitor.md")
    assert len(names) > 8
    assert all(f"`{name}`" in monitored for name in names)
    used = set(re.findall(r"\b(clusterseq_[a-z_]+?)(?:_bucket)?\b(?=[\[{`])", monitored))
    assert used <= names, "alerts ask for numbers that exist"


def test_everything_that_is_exported_is_in_the_reference() -> None:
    pages = written("reference/python.md") + written("reference/errors.md")
    found = re.findall(r"^::: ([\w.]+)\n(    options: .*show_root_full_path: true)?", pages, re.M)
    listed = {path.rpartition(".")[2] for path, _ in found}
    assert set(clusterseq.__all__) <= listed
    for path, whole in found:
        module, _, name = path.rpartition(".")
        assert hasattr(importlib.import_module(module), name)
        exported = name in clusterseq.__all__
        assert exported != bool(whole), f"{path} stands with its path if only that imports it"


def test_every_function_that_the_paper_is_mapped_to_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", written("explanation/paper.md"))
    assert len(named) > 15
    source = DOCS.parent / "src" / "clusterseq"
    for path, name in named:
        text = (source / path).read_text(encoding="utf-8")
        assert re.search(rf"^\s*(def|class) {name}\b", text, re.M), f"{path}::{name}"
