"""The one arrow of the design: a module imports only what stands before it in this list."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import clusterseq

SOURCE = Path(clusterseq.__file__).parent
UNDERNEATH = [
    "errors",
    "extensions",
    "config",
    "presets",
    "overrides",
    "progress",
    "identifiers",
    "times",
    "directory",
    "files",
    "manifest",
    "mapping",
    "accelerator",
    "workers",
    "room",
]
EVENTS = [
    *["columns", "table", "spill", "lines", "delimited", "jsonlines", "database", "sources"],
    *["event_report", "events"],
    *["vocab", "titles"],
]
DATASET = [
    "sequences",
    "clock",
    "shards",
    "dataset",
    "exchange",
    "prepare",
    "split",
    "histories",
    "packing",
    "tasks",
    "graph",
    "ledger",
    "sparse_rows",
    "memory",
    "evidence",
]
MODEL = [
    *[
        "losses",
        "rivals",
        "model",
        "model.gru",
        "model.clustering",
        "model.conditioning",
        "model.parts",
        "model.transition",
        "model.items",
    ],
    *["model.head", "model.catalogue", "meta", "model.clusterseq"],
    *["index", "retrieval"],
    *["model.ranker", "model.portable", "model.restore", "model.growth", "indexing"],
]
LEARNING = [
    *["metrics", "judge", "stage", "tensors", "resume", "pretrain", "metatrain", "calibrate"],
    *["train", "training_log", "trackers", "tuning", "profiler", "card", "checkpoint"],
    "tracing",
]
JUDGING = [
    *["scorer", "evaluate", "baselines.peer", "baselines.popularity"],
    *["baselines.session_knn", "baselines.extra", "baselines.evidence", "baselines.neighbours"],
    *["baselines.sequence_rules", "baselines.item_knn", "baselines.vmis_knn", "baselines.stan"],
    *["baselines.ease", "baselines.als", "baselines.blend"],
    *["baselines.dropout"],
    *["baselines.episodes", "baselines.mecos", "baselines.melu", "baselines.metatl"],
    *["baselines.item_table", "baselines.next_item_losses"],
    *["baselines.neural", "baselines.transformer", "baselines.gru4rec", "baselines.narm"],
    *["baselines.sasrec", "baselines.bert4rec", "baselines.transrec"],
    *["baselines.peers"],
    *["baselines", "comparison", "experiment", "update", "ray_train"],
]
USING = ["explanation", "recommendations", "recommender", "batch", "estimator", "atlas"]
SERVICE = [
    *["service", "service.limits", "service.directory", "service.heap", "service.engine"],
    *[
        "service.batcher",
        "service.desk",
        "service.metrics",
        "service.keys",
        "service.store.protocol",
    ],
    *["service.store.codec", "service.store.sqlite_file", "service.store.sqlite"],
    *["service.store.redis_store", "service.store", "service.archive", "service.problems"],
    *[
        "service.access",
        "service.context",
        "service.messages",
        "service.answers",
        "service.envelope",
        "service.document",
    ],
    *["service.routes", "service.routes.recommend", "service.routes.events"],
    *["service.routes.users", "service.routes.items", "service.routes.model"],
    *["service.routes.health", "service.routes.page", "service.app"],
    *["service.connections", "service.server"],
    "service.on_ray",
    "health",
]
TESTING = [
    *["testing.scorers", "testing.stores", "testing.readers", "testing.parts", "testing"],
]
REPORT = [
    *["drawing", "report", "report.data_profile", "report.by_length", "report.adaptation"],
    *["report.clusters", "report.latency", "report.findings", "report.charts"],
    *["report.section", "report.sections", "report.page"],
]
SHOWING = [
    *["demo", "display", "terminal", "bench.screen", "options", "commands", "commands.reading"],
    *["commands.showing", "commands.config", "commands.train", "commands.evaluate"],
    *[
        "commands.recommend",
        "commands.report",
        "commands.demo",
        "commands.prepare",
        "commands.update",
        "commands.serve",
        "commands.keys",
        "commands.inspect",
        "commands.export",
        "commands.index",
        "commands.bench",
        "commands.experiment",
        "commands.tune",
        "commands.doctor",
        "cli",
        "__main__",
    ],
]
BENCH = [
    *["bench", "bench.datasets", "bench.prepared", "bench.own", "bench.models"],
    *["bench.cost", "bench.results", "bench.cell", "bench.plan", "bench.__main__", "bench.night"],
    *["bench.summary", "bench.report", "bench.plot", "bench.sections"],
    *["synthetic", "bench.study", "bench.study_data", "bench.study_page", "bench.study_plot"],
]
ARROW = [
    *[*UNDERNEATH, *EVENTS, *DATASET, *MODEL, *LEARNING, *JUDGING, *USING, *SERVICE],
    *[*TESTING, *REPORT, *BENCH, *SHOWING],
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
