"""Figures and sliders of a page: pictures of known size, loaded when they are needed, and sliders without ipywidgets.

A notebook's figure becomes WebP, with the glass that darkens it on dark pages. What `labkit.widgets.explore` made
becomes its frames, of which one is shown, and the values that its sliders can take; book/_assets/page/sliders.js makes
the sliders. Without JavaScript, or on paper, there is a figure and a sentence.
"""

import base64
import hashlib
import html
import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

VIEW = "application/vnd.jupyter.widget-view+json"
FRAME = re.compile(
    r'<span class="labkit-figure"><img src="data:image/webp;base64,(?P<data>[^"]+)" alt="(?P<alt>[^"]*)"'
    r"[^>]*>(?P<glass>.*)</span>",
    re.DOTALL,
)
STILL = "A slider over {0} stands here in the online book; this is its figure at {1}."


class picture(nodes.image):
    """An image whose `size` in pixels the page knows beforehand; `glass` is HTML to lay over it."""


class slider(nodes.General, nodes.Element):
    """Frames and the controls that choose among them: `controls` as sliders.js reads them."""


class frame(nodes.General, nodes.Element):
    """One picture of a slider; all but one are hidden."""


def shrink_figures(app: Sphinx, doctree: nodes.document) -> None:
    """Give the page each figure of a notebook as WebP, with the glass that darkens it on dark pages."""
    from labkit import plot  # it imports PyTorch, which takes seconds, and most builds read no page

    for node in list(doctree.findall(nodes.image)):
        path = Path(app.env.relfn2path(node["uri"])[1])
        if path.suffix == ".png" and path.parent.name == "jupyter_execute":
            png, smaller = path.read_bytes(), path.with_suffix(".webp")
            if not smaller.exists():  # the name is a digest of the picture
                smaller.write_bytes(plot.webp(png))
            uri = str(Path(node["uri"]).with_suffix(".webp"))
            node.replace_self(_picture(smaller, uri, node.get("alt", ""), plot.dark_glass(png)))


def _picture(path: Path, uri: str, alt: str, glass: str) -> picture:
    """A figure was drawn with twice the pixels of the page, for sharp screens; others are shown as they are."""
    with Image.open(path) as image:
        width, height = image.size
    scale = 2 if glass else 1
    return picture(uri=uri, alt=alt, size=(width // scale, height // scale), glass=glass)


def write_sliders(app: Sphinx, doctree: nodes.document) -> None:
    """Put the frames and values of each explorer in the place of its widget, and leave the widget's state out."""
    files = getattr(app.env, "nb_metadata", {}).get(app.env.docname, {}).get("js_files", {})
    _, state = files.pop("ipywidgets_state", (None, None))
    for name in [name for name in files if name.startswith("ipywidgets_")]:
        del files[name]
    if state is None:
        return
    models = json.loads(state["body"])["state"]
    folder = Path(app.outdir).parent / "jupyter_execute"
    for node in list(doctree.findall(nodes.raw)):
        if VIEW in node.astext():
            view = json.loads(node.astext().partition(">")[2].rpartition("</script>")[0])
            node.replace_self(_slider(app, models, view["model_id"], folder))


def _slider(app: Sphinx, models: dict[str, Any], root: str, folder: Path) -> slider:
    found = list(_walk(models, root))
    controls = [
        {
            "name": model["state"]["description"],
            "values": model["state"]["_options_labels"],
            "start": model["state"]["index"],
            "menu": model["model_name"] == "DropdownModel",
            "play": any(model["model_name"] == "PlayModel" for model in found),
        }
        for model in found
        if model["model_name"] in ("SelectionSliderModel", "DropdownModel")
    ]
    start = 0
    for control in controls:
        start = start * len(control["values"]) + control["start"]
    values = ", ".join(f"{control['name']} {control['values'][control['start']]}" for control in controls)
    still = STILL.format(" and ".join(control["name"] for control in controls), values)
    node = slider(controls=json.dumps(controls), still=still)
    for place, model in enumerate(model for model in found if model["model_name"] == "HTMLModel"):
        shown = FRAME.fullmatch(model["state"]["value"])
        if shown is None:
            raise ValueError(f"no figure in a widget of {app.env.docname}: {model['state']['value'][:200]}")
        data = base64.b64decode(shown["data"])
        path = folder / f"{hashlib.sha256(data).hexdigest()[:32]}.webp"
        if not path.exists():
            folder.mkdir(exist_ok=True)
            path.write_bytes(data)
        uri = posixpath.join("/", posixpath.relpath(path.as_posix(), Path(app.srcdir).as_posix()))
        made = _picture(path, uri, html.unescape(shown["alt"]), shown["glass"])
        node += frame("", made, hidden=place != start)
    return node


def _walk(models: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """A widget and all within it, from the first to the last."""
    model = models[name.removeprefix("IPY_MODEL_")]
    yield model
    for child in model["state"].get("children", []):
        yield from _walk(models, child)


def visit_picture(self: HTML5Translator, node: picture) -> None:
    """Write an <img> that keeps its place until it is loaded."""
    source = posixpath.join(self.builder.imgpath, self.builder.images[node["uri"]])
    width, height = node["size"]
    image = self.emptytag(
        node, "img", "", src=source, alt=node["alt"], width=str(width), height=str(height), loading="lazy"
    ).strip()
    self.body.append(f'<span class="labkit-figure">{image}{node["glass"]}</span>\n' if node["glass"] else f"{image}\n")
    raise nodes.SkipNode


def visit_slider(self: HTML5Translator, node: slider) -> None:
    """Open the place of the controls; until there are any, a sentence says what can be chosen."""
    attributes = {"data-controls": node["controls"]}
    self.body.append(self.starttag(node, "div", CLASS="course-slider", **attributes))
    self.body.append(f'<p class="course-still">{html.escape(node["still"])}</p>\n')


def depart_slider(self: HTML5Translator, node: slider) -> None:
    self.body.append("</div>\n")


def visit_frame(self: HTML5Translator, node: frame) -> None:
    """Open a frame; all but one are hidden."""
    hidden: dict[str, Any] = {"hidden": "hidden"} if node["hidden"] else {}
    self.body.append(self.starttag(node, "div", CLASS="course-frame", **hidden))


def depart_frame(self: HTML5Translator, node: frame) -> None:
    self.body.append("</div>\n")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_node(picture, html=(visit_picture, None))
    app.add_node(slider, html=(visit_slider, depart_slider))
    app.add_node(frame, html=(visit_frame, depart_frame))
    app.connect("doctree-read", shrink_figures, priority=400)  # before Sphinx collects the images
    app.connect("doctree-read", write_sliders, priority=400)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
