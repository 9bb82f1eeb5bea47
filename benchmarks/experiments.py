"""Join the pages of the studies that ``clusterseq experiment`` has left into docs/experiments.md.

python -m benchmarks.experiments DIRECTORY
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
ORDER = (
    *("planted", "adaptation", "ablation", "clusters", "width", "task-batch"),
    *("cold-start", "domains", "metatl"),
)
HEAD = """# Experiments

The paper's studies and the questions it leaves open, each by one command
(`clusterseq experiment NAME --data DIR`; without a name it lists them). Everything follows the
protocol of [accuracy.md](accuracy.md): users are split by user, K = 3 items of each new person are
shown, the next one is ranked. {legend}

Single seeds, but for the planted groups (three, on an Intel Xeon). Measured on 2 cores of an AMD
EPYC (AVX-512) without accelerator, each model on one of them while the other was busy and some
trainings were held up for minutes, so seconds are upper bounds; PyTorch 2.13.0. The Amazon review
sets carry no licence; the retailer's baskets are UCI Online Retail (CC BY 4.0). Neither is part of
this project.

All but the planted groups were measured before clusters spoke for items (`model.lifts=false`).
Today groceries and electronics gain by it
([accuracy](accuracy.md#what-ours-owes-its-accuracy-to)); on films and cosmetics newcomers refuse
it, and nothing has changed. MetaTL's trainings ended after 2,000 steps without progress, which can
be too few ([accuracy](accuracy.md#what-is-not-shown-yet)); now they wait for 15,000.

"""


def main(store: Path) -> None:
    """Write the page, and the charts beside it."""
    from clusterseq.bench.study_page import LEGEND

    charts = DOCS / "experiments"
    charts.mkdir(exist_ok=True)
    parts = [HEAD.format(legend=LEGEND[0].upper() + LEGEND[1:])]
    for name in ORDER:
        page = store / f"{name}.md"
        if page.exists():
            text = page.read_text(encoding="utf-8")
            parts.append(text.replace(f"({name}.svg)", f"(experiments/{name}.svg)"))
            shutil.copy(store / f"{name}.svg", charts)
    (DOCS / "experiments.md").write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
