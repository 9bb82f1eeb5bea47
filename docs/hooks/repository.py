"""Files of the repository beside ``docs``, published under ``project/`` where pages link to them.

On the repository's own pages such links are relative paths; on the site they would lead out of it.

Knows nothing about: what the pages say.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PUBLISHED = (
    *("CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md"),
    *("benchmarks/README.md", "benchmarks/RESULTS.md"),
    *("benchmarks/growth.svg", "examples/quickstart.ipynb"),
    *("examples/extensions/pyproject.toml", "tests/extensions/test_examples.py"),
    "examples/extensions/clusterseq_examples/store.py",
    *("Dockerfile", "compose.yaml", "deploy/prometheus.yml", "deploy/ray-serve.yaml"),
)
"""What pages may link to."""
LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the published files; their pages are in no menu."""
    for name in PUBLISHED:
        source = f"project/{name}"
        file = File.generated(config, source, abs_src_path=str(ROOT / name))
        file.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(file)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between the repository's files into links between the site's."""
    here = page.file.src_uri
    lies = here.removeprefix("project/") if here.startswith("project/") else f"docs/{here}"

    def turned(match: re.Match[str]) -> str:
        target, anchor = match[2], match[3] or ""
        if ":" in target or target.startswith("/"):
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(lies), target))
        on_site = path.removeprefix("docs/") if path.startswith("docs/") else f"project/{path}"
        return f"{match[1]}{posixpath.relpath(on_site, posixpath.dirname(here) or '.')}{anchor}"

    return LINK.sub(turned, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Leave out the map for crawlers, which is empty: nobody has said where the site will stand."""
    for name in ("sitemap.xml", "sitemap.xml.gz"):
        Path(config.site_dir, name).unlink(missing_ok=True)
