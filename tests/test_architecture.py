"""The one arrow of the design: a module imports only what stands before it in this list."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import clusterseq

SOURCE = Path(clusterseq.__file__).parent
PACKAGES = [
    ("", "errors markdown extensions checks config values presets overrides"),
    (
        "machine",
        "extras progress files directory manifest mapping accelerator compiler workers shard room",
    ),
    ("machine", "unfinished tensors launcher"),
    ("reading", "identifiers times columns addresses table spill lines delimited jsonlines"),
    ("reading", "database sources event_report events vocab titles"),
    ("data", "sequences clock shards dataset exchange prepare split histories packing tasks"),
    ("data", "windows graph ledger sparse_rows memory evidence padded_evidence"),
    (
        "model",
        "losses rivals gru clustering conditioning parts transition items head votes catalogue",
    ),
    ("model", "meta lifts clusterseq index retrieval choice screen adapted one_person ranker"),
    ("model", "portable restore growth indexing"),
    ("judging", "metrics scorer judge evaluate"),
    (
        "learning",
        "footprint stage resume teacher pretrain folds metatrain clusters calibrate trainer train",
    ),
    ("learning", "training_log trackers ranges tuning profiler card provenance checkpoint"),
    ("baselines", "peer popularity evidence session_knn neighbours sequence_rules item_knn"),
    ("baselines", "vmis_knn stan ease als blend dropout episodes mecos melu metatl item_table"),
    ("baselines", "next_item_losses neural transformer gru4rec narm sasrec bert4rec transrec"),
    ("baselines", "peers"),
    ("using", "overwriting titles comparison evaluation new_events experiment former update"),
    ("using", "ray_train explanation recommendations given_ids recommender batch estimator atlas"),
    ("using", "tracing storage demo"),
    ("service", "limits item_search heap ranking engine batcher ranking_cache ranking_service"),
    ("service", "metrics keys logs"),
    ("service.store", "protocol codec group_commit sqlite_file sqlite redis_store __init__"),
    (
        "service",
        "async_store problems access context messages answers admission local middleware document",
    ),
    ("service", "address path_ids"),
    ("service.routes", "recommend events users items model health page"),
    ("service", "app connections supervisor server on_ray"),
    ("testing", "scorers stores readers parts __init__"),
    ("showing", "figures drawing display terminal"),
    ("report", "data_profile by_length adaptation clusters latency findings charts section"),
    ("report", "sections page"),
    ("bench", "datasets split_arrays own models cost results cell plan __main__ pool summary"),
    ("bench", "report plot sections screen planted study study_data study_page study_plot"),
    ("commands.shared", "json_output options ids checkup events results configuration training"),
    ("commands", "config train"),
    ("commands", "evaluate recommend report demo prepare update serve keys inspect export index"),
    ("commands", "bench experiment tune doctor push pull help"),
    ("", "cli __main__"),
]
"""What stands in each package, from left to right. ``__init__`` of most holds nothing but words and
stands before them all; the others name theirs."""
SPEAKING = ("service.store", "testing")


def named(package: str, module: str) -> str:
    return ".".join(part for part in (package, module) if part not in ("", "__init__"))


ARROW = [
    *dict.fromkeys(package for package, _ in PACKAGES if package and package not in SPEAKING),
    *(named(package, module) for package, modules in PACKAGES for module in modules.split()),
]

LONGEST_FILE = 300
LONGEST_FUNCTION = 40


def path_of(module: str) -> Path:
    path = SOURCE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def modules() -> list[str]:
    """All modules of the package but its door, which is open to all of them."""
    found = (path.relative_to(SOURCE).with_suffix("").parts for path in SOURCE.rglob("*.py"))
    names = {".".join(part for part in parts if part != "__init__") for parts in found}
    return sorted(names - {""})


def imports(tree: ast.AST) -> Iterator[str]:
    """Modules of the package that a module needs when it runs, wherever it imports them."""
    if isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING":
        return
    if isinstance(tree, ast.ImportFrom) and (tree.module or "").split(".")[0] == "clusterseq":
        home = ".".join((tree.module or "").split(".")[1:])
        for name in tree.names:
            inner = f"{home}.{name.name}".strip(".")
            yield inner if path_of(inner).exists() else home
    elif isinstance(tree, ast.Import):
        names = [name.name.split(".") for name in tree.names]
        yield from (".".join(name[1:]) for name in names if name[0] == "clusterseq")
    for child in ast.iter_child_nodes(tree):
        yield from imports(child)


def parsed(module: str) -> ast.Module:
    return ast.parse(path_of(module).read_text(encoding="utf-8"))


def test_the_list_names_every_module_once() -> None:
    assert sorted(ARROW) == modules()


@pytest.mark.parametrize("module", modules())
def test_imports_point_along_the_arrow(module: str) -> None:
    allowed = {"", *ARROW[: ARROW.index(module)]}
    backward = set(imports(parsed(module))) - allowed - {module}
    assert not backward, f"{module} must not import {', '.join(sorted(backward))}"


def test_imports_are_seen_wherever_they_hide() -> None:
    hidden = "def f():\n    from clusterseq.model import gru\n    import clusterseq.cli"
    assert list(imports(ast.parse(hidden))) == ["model.gru", "cli"]
    assert not list(imports(ast.parse("if TYPE_CHECKING:\n    import clusterseq.cli")))


@pytest.mark.parametrize("module", modules())
def test_a_module_fits_in_the_head(module: str) -> None:
    text = path_of(module).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator]
            assert lines <= LONGEST_FUNCTION, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("module", modules())
def test_a_module_says_what_it_is_and_what_it_does_not_know(module: str) -> None:
    tree = parsed(module)
    docstring = ast.get_docstring(tree) or ""
    if len(tree.body) > 1:  # more than the name of a package
        assert "Knows nothing about:" in docstring.rpartition("\n\n")[2]
    assert docstring


@pytest.mark.parametrize("module", modules())
def test_nothing_runs_foreign_code(module: str) -> None:
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {getattr(node, "module", None), *(name.name for name in node.names)}
            assert not names & {"pickle", "shelve", "marshal"}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec")


def test_every_public_name_is_found_and_no_module_hides_one() -> None:
    for name in clusterseq.__all__:
        assert getattr(clusterseq, name).__name__ == name
    tops = {module.split(".")[0] for module in modules()}
    assert not tops & set(clusterseq.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'recomender'"):
        clusterseq.recomender  # noqa: B018
