"""Sphinx extension of this book: an execution cache that knows labkit, and the pages of the API reference."""

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.ext.autodoc import Options

from labkit.files import digest_of
from tools.website.execution import ROOT, cache_folder, course_state, execute_missing, forget_old_caches

REFERENCE = ROOT / "book/reference"
MARKER = "<!-- every module of labkit -->"


def setup(app: Sphinx) -> dict[str, bool]:
    write_module_pages()  # before the table of contents looks for them
    app.add_config_value("course_state", "", "env")  # "env": another value has every page read again
    app.add_config_value("course_assets", "", "html")  # "html": every page is written again, from what was read
    app.connect("config-inited", ensure_assets)
    for name in (
        "live_view",
        "questions",
        "glossary",
        "course_map",
        "pictures",
        "mathematics",
        "search",
        "bundle_pages",
    ):
        app.setup_extension(f"tools.website.{name}")
    app.connect("config-inited", key_execution_cache)
    app.connect("config-inited", number_no_captions, priority=900)  # after Jupyter Book's extension for LaTeX
    app.connect("env-before-read-docs", execute_together)
    app.connect("env-before-read-docs", import_once)
    app.connect("env-before-read-docs", use_all_processors)
    app.connect("source-read", list_modules)
    app.connect("doctree-read", forget_inner_documents, priority=999)
    app.connect("autodoc-skip-member", skip_inherited)
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("build-finished", forget_after_warnings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def shorten_signature(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, returned: str | None
) -> tuple[str | None, str | None] | None:
    """Where a default such as <factory> keeps Sphinx from reading a signature: "~labkit.a.Task" -> "Task"."""
    if signature and "<factory>" in signature:
        return re.sub(r"~(\w+\.)*(?=\w)", "", signature), returned
    return None


def ensure_assets(app: Sphinx, config: Config) -> None:
    """Fetch the pages' JavaScript where `jupyter-book build book/` runs without a `make` before it."""
    vendor = ROOT / "book/_assets/vendor"
    if not all((vendor / name).exists() for name in (".complete", "onnxruntime")):
        subprocess.run([sys.executable, "-m", "tools.website.fetch_assets"], cwd=ROOT, check=True)


def key_execution_cache(app: Sphinx, config: Config) -> None:
    """Take executed notebooks from the cache of everything that they depend on, and fill it from there too."""
    config.course_state = course_state()
    # The definitions of the glossary are in every page.
    on_every_page = [
        ROOT / "book/_assets",
        ROOT / "_build/static",
        ROOT / "book/glossary.md",
        Path(__file__).with_name("templates"),
    ]
    config.course_assets = digest_of(on_every_page)
    config.nb_execution_cache_path = str(cache_folder(config.course_state))
    forget_old_caches(config.course_state)


def number_no_captions(app: Sphinx, config: Config) -> None:
    """No caption has a number here, and to look for such captions opens all stored pages in every build."""
    config.numfig = False


def execute_together(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Fill the execution cache before the pages are read.

    myst-nb would execute the notebooks one after the other. One that fails here is left to it, so that it is reported
    as usual.
    """
    if app.config.nb_execution_mode == "cache":
        paths = [Path(path) for path in map(env.doc2path, docnames) if path.endswith(".ipynb")]
        execute_missing(paths, cache=Path(app.config.nb_execution_cache_path), timeout=app.config.nb_execution_timeout)


def import_once(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Import what pages are read with before there are several processes, each of which would import it again."""
    if any(name.startswith("reference/labkit") for name in docnames):
        for name in modules():
            importlib.import_module(name)
    elif any(env.doc2path(name).endswith(".ipynb") for name in docnames):
        importlib.import_module("labkit.plot")


def use_all_processors(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Read and write the pages in as many processes as there are processors; Jupyter Book has no option for it."""
    app.parallel = os.cpu_count() or 1
    for name in ("sphinx_multitoc_numbering", "sphinx_jupyterbook_latex"):  # they do not say that they are safe
        if name in app.extensions:  # the first works when everything is read, the second only for LaTeX
            app.extensions[name].parallel_read_safe = True


def forget_inner_documents(app: Sphinx, doctree: nodes.document) -> None:
    """Have every node of a page name the page as its document.

    MyST reads ``{eval-rst}`` into a document of its own, whose settings hold Sphinx's whole environment. Sphinx frees
    only the page's own settings of it, so that each page of the API would be stored with all that was read before it.
    """
    for node in doctree.findall():
        node.document = doctree


def write_module_pages() -> None:
    """Write a page for each module of labkit, found on disk; its content is the docstrings, read by autodoc."""
    pages = {}
    for name in modules():
        text = f"(api-{name.replace('.', '-').replace('_', '-')})=\n# {name}\n\n"
        pages[page_of(name)] = f"{text}```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```\n"
    for path in {*REFERENCE.glob("labkit*.md")} - pages.keys():
        path.unlink()
    for path, text in pages.items():
        if not path.exists() or path.read_text() != text:  # an untouched file is not read again
            path.write_text(text)


def list_modules(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put a list of labkit's modules in the place of MARKER: a heading a folder, each module with its first line."""
    if MARKER not in source[0]:
        return
    folders: dict[str, list[str]] = {}
    for name, file in modules().items():
        summary = (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n")[0]
        folders.setdefault(name.rpartition(".")[0], []).append(f"[{name}]({page_of(name).name})\n: {summary}\n")
    lines = [f"## {folder}\n\n" + "\n".join(entries) for folder, entries in folders.items()]
    source[0] = source[0].replace(MARKER, "\n".join(lines))


def modules() -> dict[str, Path]:
    """Every public module of labkit by its full name, those of the top folder first."""
    files = [file.relative_to(ROOT) for file in (ROOT / "labkit").rglob("*.py") if not file.name.startswith("_")]
    files.sort(key=lambda file: (len(file.parts), file))
    return {".".join(file.with_suffix("").parts): ROOT / file for file in files}


def page_of(module: str) -> Path:
    return REFERENCE / f"{module}.md"


def skip_inherited(app: Sphinx, what: str, name: str, member: object, skip: bool, options: Options) -> bool:
    """Leave out what other packages put into our classes, such as matplotlib's generated ``set``."""
    return skip or not (getattr(member, "__module__", None) or "labkit").startswith("labkit")


def forget_after_warnings(app: Sphinx, exception: Exception | None) -> None:
    """Have the next build read every page again after warnings: Sphinx would not repeat those of unchanged pages."""
    if app._warncount:
        Path(app.doctreedir, "environment.pickle").unlink(missing_ok=True)
