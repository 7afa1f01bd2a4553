"""Formulas, typeset by KaTeX when the book is built: pages load fonts for them, and no script."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

from tools.environment import javascript

LOGGER = logging.getLogger(__name__)
SCRIPT = Path(__file__).with_name("katex.js")
SHORT = 24  # characters of TeX: a formula up to here stays on one line
PUNCTUATION = re.compile(r"[.,:;!?)\]\u2019\u201d%]+")


def install(app: Sphinx, config: Config) -> None:
    """Have KaTeX there before pages are read, several at a time."""
    if reason := javascript.install():
        raise RuntimeError(reason)


def typeset(app: Sphinx, doctree: nodes.document) -> None:
    """Give every formula of a page its HTML; one that KaTeX cannot read is a warning at its place."""
    found = [node for kind in (nodes.math, nodes.math_block) for node in doctree.findall(kind)]
    if not found:
        return
    formulas = [{"tex": node.astext(), "display": isinstance(node, nodes.math_block)} for node in found]
    for node, made in zip(found, run_katex(formulas), strict=True):
        if "error" in made:
            LOGGER.warning(f"a formula that cannot be typeset: {made['error']}", location=node)
        node["html"] = made.get("html", "")
    for node in found:
        if isinstance(node, nodes.math):
            keep_together(node)


def keep_together(formula: nodes.math) -> None:
    """Keep a formula within a line and the punctuation behind it on one line; a browser would part them."""
    line = formula.parent
    place = line.index(formula)
    kept: list[nodes.Node] = [formula]
    following = line[place + 1] if place + 1 < len(line) else None
    if isinstance(following, nodes.Text) and (mark := PUNCTUATION.match(following)):
        kept.append(nodes.Text(mark[0]))
        line.replace(following, nodes.Text(following[mark.end() :]))
    classes = ["course-kept"] if len(formula.astext()) <= SHORT else ["course-kept", "course-long"]
    line.replace(formula, nodes.inline("", "", *kept, classes=classes))


def run_katex(formulas: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What katex.js writes for these formulas."""
    node = javascript.find("node")
    if node is None:
        raise RuntimeError("there is no node, neither on this machine nor in .venv; remove .venv and run make again")
    result = subprocess.run([node, SCRIPT], input=json.dumps(formulas), capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line."""
    self.body.append(node["html"])
    raise nodes.SkipNode


def visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula of its own line, which scrolls where the page is narrow."""
    self.body.append(self.starttag(node, "div", CLASS="course-formula"))
    self.body.append(f"{node['html']}</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", install)
    app.connect("doctree-read", typeset)
    app.add_html_math_renderer("katex", (visit_inline, None), (visit_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
