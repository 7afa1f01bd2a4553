"""Two MyST directives: ``live-lab``, the whole lab, and ``live-view``, one view of it inside a chapter.

    ```{live-view} attack&digit=7&eps=0.15
    ```
    ```{live-view} photographs&view=where&photo=cat
    ```

The argument is the state to begin with, written as in the lab's own addresses. Nothing is loaded before the reader
clicks. The content of ``live-lab`` is what readers without JavaScript see.
"""

import html
from typing import Any
from urllib.parse import parse_qsl

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

from tools.website import pack_live_lab

LAB = "lab/live_lab"
PHOTOGRAPHS = "photographs"
BENCHES = {
    "train": "Train a network of your own in the live lab, break it, and harden it",
    "challenges": "Try the challenges of the live lab",
}


def places() -> list[str]:
    """The names of the lab's views and benches; its addresses begin with one."""
    return [*_modules("views"), PHOTOGRAPHS, *BENCHES]


def _modules(folder: str) -> list[str]:
    return sorted(path.stem for path in (pack_live_lab.SOURCES / folder).glob("*.js"))


class live_view(nodes.General, nodes.Element):
    """The place that the lab's script fills; `state` is None for the whole lab."""


class LiveView(SphinxDirective):
    """``live-view``: one view of the lab, beginning with the digit or photo and the settings of the argument.

    ``photographs`` without a view has all views of photographs.

    The benches that need the whole page, such as ``train``, become a link to it.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0].partition("&")[0]
        if name not in places():
            raise self.error(f"unknown view {name!r}; there are {', '.join(places())}")
        view = dict(parse_qsl(self.arguments[0])).get("view")
        known = _modules("photographs/views")
        if name == PHOTOGRAPHS and view not in (None, *known):
            raise self.error(f"unknown view of photographs {view!r}; there are {', '.join(known)}")
        return [live_view(state=self.arguments[0])]


class LiveLab(SphinxDirective):
    """``live-lab``: the whole lab, whose state is the page's address."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        place = live_view(state=None)
        self.state.nested_parse(self.content, self.content_offset, place)
        return [place]


def visit(self: HTML5Translator, node: live_view) -> None:
    """Open the place; in a chapter it holds a sentence with a link until the script has filled it."""
    if node["state"] is None:
        names: dict[str, Any] = {"data-places": " ".join(places())}
        self.body.append(self.starttag(node, "div", CLASS="live-lab", **names))
        return
    lab = self.builder.get_relative_uri(self.builder.current_docname, LAB)
    if words := BENCHES.get(node["state"].partition("&")[0]):
        address = html.escape(f"{lab}#{node['state']}")
        self.body.append(f'<div><p><a href="{address}">{words}</a></p>')
        return
    data = {"data-state": node["state"], "data-lab": lab}
    self.body.append(self.starttag(node, "div", CLASS="live-lab lab-in-chapter", **data))
    self.body.append(f'<p>With JavaScript, a view of <a href="{lab}">the live lab</a> stands here.</p>')


def depart(self: HTML5Translator, node: live_view) -> None:
    self.body.append("</div>\n")


def add_script(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Load the lab's script and style on those pages that have a place for it."""
    if doctree is not None and next(iter(doctree.findall(live_view)), None):
        app.add_css_file("lab/page/lab.css")
        app.add_js_file("lab/page/lab.js", loading_method="defer")


def pack(app: Sphinx, config: Config) -> None:
    """Bring the lab's files up to date and have Sphinx copy them."""
    config.html_static_path.append(str(pack_live_lab.main()))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("live-view", LiveView)
    app.add_directive("live-lab", LiveLab)
    app.add_node(live_view, html=(visit, depart))
    app.connect("config-inited", pack)
    app.connect("html-page-context", add_script)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
