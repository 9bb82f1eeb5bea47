"""The pages of ``clusterseq help`` as one page of the site, written anew at every build.

Knows nothing about: what they say.
"""

from __future__ import annotations

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from clusterseq.commands.help import CODES, Page
from clusterseq.commands.help import page as page_of

PAGE = "reference/codes.md"
HEAD = """# What errors mean

Every error has a code, which stays the same where its words change. The command line prints it
below the error, and with `--json` in the error's object; in Python it is the exception's `code`.
`clusterseq help CODE` prints what stands here."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """The whole page."""
    pages = [page_of(code) for code in CODES]
    rows = [f"| [`{one.code}`](#{one.code}) | {one.title} | {one.status} |" for one in pages]
    table = "\n".join(["| code | means | exit status |", "|---|---|---|", *rows])
    return "\n\n".join([HEAD, table, *map(_section, pages)])


def _section(page: Page) -> str:
    """One page, its headings a level lower."""
    text = page.text.replace("\n## ", "\n### ")
    return f"## {page.code} {{ #{page.code} }}\n\n*{page.title}.* {text}"
