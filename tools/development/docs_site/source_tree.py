"""Makes the site's pages from the Markdown files of the repository (a hook of mkdocs).

The files keep their paths, so that their links work here as they do in an editor, and get short addresses. A file that a
page links to becomes part of the site, too. The reference of the Python API has one page for each folder of the packages
that names its public API in ``__all__``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[3]
DOCS = "packages/keeper-injector-common/docs"
HOME = f"{DOCS}/index.md"
BOOSTS = {f"{DOCS}/annotations.md": 4, f"{DOCS}/commands.md": 0.5}
"""Factors of the search's scores. The search shows ten pages: a person who types an annotation wants its reference, and the long page
of commands repeats many words."""
PAGES = (
    "README.md",
    ".github/*.md",
    "charts/keeper-injector/README.md",
    "charts/keeper-injector/examples/README.md",
    "packages/*/README.md",
    f"{DOCS}/**/*.md",
)
ADDRESSES = (
    ("README.md", "tutorial"),
    (HOME, ""),
    (f"{DOCS}/", ""),
    ("charts/keeper-injector/README.md", "chart"),
    ("charts/keeper-injector/examples/README.md", "examples"),
    (".github/", "contribute/"),
)
"""Starts of paths in the repository, and what is there instead in the address of the page."""
FENCE = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)]*)?\)")
PICTURE = re.compile(
    r'<picture>\s*<source[^>]*\ssrcset="([^"]+)">\s*<img[^>]*\ssrc="([^"]+)"[^>]*\salt="([^"]+)">\s*</picture>'
)
"""A picture for dark and for light pages, as GitHub shows it."""
LIST_AFTER_TEXT = re.compile(r"(?m)^(?!\s*(?:[-*|#>]|\d+\.)\s)(\S.*\n)(?=(?:[-*]|\d+\.) )")
PIPE_IN_CODE = re.compile(r"(?<=`)([^`\n]*\\\|[^`\n]*)(?=`)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the folders that the navigation names, and make anchors as GitHub makes them."""
    config.mdx_configs["toc"]["slugify"] = anchor
    config.nav = filled(config.nav)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the repository's pages, the files they link to, and the pages of the Python API."""
    waiting = pages()
    while waiting:
        path = waiting.pop()
        if not files.get_file_from_path(path):
            files.append(file_of(config, path))
            waiting += linked_files(path)
    for module in public_modules():
        content = f"# {module}\n\n::: {module}\n"
        files.append(
            File.generated(config, f"api/{module}.md", content=content, inclusion=InclusionLevel.INCLUDED),
        )
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Translate what GitHub's Markdown and Python-Markdown understand differently."""
    if page.file.src_uri == HOME:
        page.meta["hide"] = ["navigation", "toc"]
    if page.file.src_uri in BOOSTS:
        page.meta["search"] = {"boost": BOOSTS[page.file.src_uri]}
    folder = (ROOT / page.file.src_uri).parent

    def without_folders(match: re.Match[str]) -> str:
        return match[1] if (folder / match[2]).is_dir() else match[0]

    pieces = []
    end = 0
    for fence in FENCE.finditer(markdown):
        pieces += [translated(markdown[end : fence.start()], without_folders), fence.group()]
        end = fence.end()
    return "".join([*pieces, translated(markdown[end:], without_folders)])


def translated(markdown: str, replace_link: Any) -> str:
    """Return text outside of code: links to folders become text, and a list after text gets its empty line."""
    markdown = LINK.sub(replace_link, with_images(markdown))
    markdown = PIPE_IN_CODE.sub(lambda match: match[1].replace("\\|", "|"), markdown)
    return LIST_AFTER_TEXT.sub(r"\1\n", markdown)


def with_images(markdown: str) -> str:
    """Return text with each picture for dark and light pages as the two images of which the theme shows one."""
    return PICTURE.sub(r"![\3](\2#only-light)![\3](\1#only-dark)", markdown)


def pages() -> list[str]:
    """Return the paths of all pages, relative to the repository."""
    return sorted({str(path.relative_to(ROOT)) for pattern in PAGES for path in ROOT.glob(pattern)})


def file_of(config: MkDocsConfig, path: str) -> File:
    """Return a file of the repository as one of the site."""
    file = File.generated(config, path, abs_src_path=str(ROOT / path), inclusion=InclusionLevel.INCLUDED)
    if file.is_documentation_page():
        address = address_of(path)
        file.dest_uri = f"{address}/index.html" if address else "index.html"
    else:
        file.dest_uri = f"files/{path}"
    return file


def address_of(path: str) -> str:
    """Return the address of a page.

    >>> address_of("packages/keeper-injector-common/docs/rotation.md")
    'rotation'
    """
    for start, address in ADDRESSES:
        if path == start:
            return address
        if path.startswith(start) and start.endswith("/"):
            return address + path.removeprefix(start).removesuffix(".md").lower()
    return path.removesuffix("/README.md").removesuffix(".md")


def linked_files(path: str) -> Iterator[str]:
    """Iterate over the files of the repository that a page links to."""
    if not path.endswith(".md"):
        return
    text = (ROOT / path).read_text(encoding="utf-8")
    for _, target, _ in LINK.findall(with_images(FENCE.sub("", text))):
        file = ((ROOT / path).parent / target).resolve()
        if file.is_file() and file.is_relative_to(ROOT):
            yield str(file.relative_to(ROOT))


def public_modules() -> list[str]:
    """Return the names of the packages' folders that have ``__all__``, and of the modules of errors."""
    found = []
    for source in sorted(ROOT.glob("packages/*/src")):
        for file in sorted(source.rglob("*.py")):
            name = ".".join(file.relative_to(source).with_suffix("").parts)
            if (file.name == "__init__.py" and has_all(file)) or file.name == "errors.py":
                found.append(name.removesuffix(".__init__"))
    return found


def has_all(file: Path) -> bool:
    """Return whether a module assigns ``__all__``."""
    return any(
        isinstance(node, ast.Assign | ast.AnnAssign)
        and any(
            isinstance(name, ast.Name) and name.id == "__all__"
            for name in (node.targets if isinstance(node, ast.Assign) else [node.target])
        )
        for node in ast.parse(file.read_text(encoding="utf-8")).body
    )


def filled(nav: Any) -> Any:
    """Return the navigation with the pages of each folder that it names; without pages that do not exist yet."""
    if isinstance(nav, dict):
        return {title: filled(entry) for title, entry in nav.items()}
    if isinstance(nav, list):
        return [filled(entry) for entry in nav]
    if nav == "api":
        return [{module.removeprefix("keeper_injector_"): f"api/{module}.md"} for module in public_modules()]
    if (ROOT / nav).is_dir():
        return sorted(str(path.relative_to(ROOT)) for path in (ROOT / nav).glob("*.md"))
    return nav


def anchor(heading: str, separator: str) -> str:
    """Return a heading's anchor as GitHub makes it.

    >>> anchor("What `else`, then?", "-")
    'what-else-then'
    """
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", separator)
