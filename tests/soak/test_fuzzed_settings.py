"""Configurations, options, ids and keys, whatever is written in their place."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clusterseq.config import Config
from clusterseq.overrides import to_toml, with_assignments
from clusterseq.reading.vocab import UNKNOWN, Vocabulary
from clusterseq.service.keys import Keyring, add_key
from clusterseq.values import from_dict, read_toml
from tests.soak.fuzzing import PIECES, SCALARS, Tally, fuzz, mutated, mutated_json

Record = Callable[[str, object], None]
Cases = Callable[[int], int]


def floats(values: Any) -> Iterator[float]:
    """All floats of nested dictionaries."""
    for value in values.values():
        if isinstance(value, dict):
            yield from floats(value)
        elif isinstance(value, float):
            yield value


def sane(config: Config) -> None:
    """What is accepted holds finite numbers only, and can be written and read again."""
    assert all(map(math.isfinite, floats(asdict(config))))


def test_toml(tmp_path: Path, cases: Cases, record_property: Record) -> None:
    path, sections = tmp_path / "c.toml", to_toml(Config()).encode().split(b"\n\n")
    lines = [line for line in b"\n".join(sections).split(b"\n") if not line.startswith(b"#")]

    def case(tally: Tally, draws: random.Random) -> None:
        start = draws.randrange(len(lines))
        text = b"[%s]\n" % draws.choice([b"data", b"model", b"train"])
        path.write_bytes(mutated(text + b"\n".join(lines[start : start + 3]), draws))
        tally.attempt(lambda: sane(read_toml(path)))

    fuzz(case, cases(90), record_property)


def test_assignments(cases: Cases, record_property: Record) -> None:
    names = [f"{section}.{name}" for section, of in asdict(Config()).items() for name in of]
    values = ["1", "0.5", "true", '"random"', "first", "nan", "-inf", "1e400", "[1]", "{a=1}"]

    def case(tally: Tally, draws: random.Random) -> None:
        line = f"{draws.choice(names)}={draws.choice(values)}".encode()
        text = mutated(line, draws).decode("utf-8", "surrogateescape")
        tally.attempt(lambda: sane(with_assignments(Config(), [text])))

    fuzz(case, cases(240), record_property)


def test_configurations_as_json(cases: Cases, record_property: Record) -> None:
    good = Config().to_dict()

    def case(tally: Tally, draws: random.Random) -> None:
        tally.attempt(lambda: sane(from_dict(Config, mutated_json(good, draws))))

    fuzz(case, cases(120), record_property)


def test_vocabularies(cases: Cases, record_property: Record) -> None:
    """What is accepted comes back as it went in, and only what is known is found."""
    texts = [piece.decode("utf-8", "surrogateescape") for piece in PIECES]
    strange = [value for value in SCALARS if not isinstance(value, list | dict)]
    strange.append(10**5_000)  # longer than Python writes

    def drawn(draws: random.Random) -> list[object]:
        ids: list[object] = [draws.choice(texts) for _ in range(4)]
        if draws.random() < 0.5:
            ids = [draws.randint(-(2**63), 2**63 - 1) >> draws.randint(0, 63) for _ in range(4)]
        return [draws.choice(strange) if draws.random() < 0.1 else one for one in ids]

    def case(tally: Tally, draws: random.Random) -> None:
        ids, others = drawn(draws), drawn(draws)

        def number() -> None:
            vocabulary = Vocabulary.from_ids(ids)
            assert vocabulary.decode(vocabulary.encode(ids)) == ids
            known = {str(one) for one in ids}
            for one, code in zip(others, vocabulary.encode(others), strict=True):
                assert code == UNKNOWN or str(one) in known

        tally.attempt(number)

    fuzz(case, cases(200), record_property)


def test_files_of_keys(tmp_path: Path, cases: Cases, record_property: Record) -> None:
    path = tmp_path / "keys"
    add_key(path, "shop", ["read"])
    line = path.read_bytes()
    told = json.loads(line)

    def case(tally: Tally, draws: random.Random) -> None:
        spoilt = json.dumps(mutated_json(told, draws)).encode() if draws.random() < 0.5 else line
        path.write_bytes(line + mutated(spoilt, draws))
        tally.attempt(lambda: Keyring.read(path))

    fuzz(case, cases(60), record_property)
