"""What the search page searches: the chapters' sections with their words, then the API's names with their first lines.

Sphinx's own index is loaded by every page of the theme, weighs more than a chapter, and shows no excerpts where pages
are opened from disk. This one is a script that the search page alone loads (book/_assets/page/search.js).
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import new_document

API = "reference/labkit"
SKIPPED = (nodes.section, nodes.title, nodes.literal_block, nodes.math_block, nodes.raw, nodes.image, nodes.comment)


class Entry(NamedTuple):
    """One thing to find. `page` is the page's title, "" for the page itself."""

    address: str
    title: str
    page: str
    text: str
    api: bool


def write_index(app: Sphinx, exception: Exception | None) -> None:
    """Write search-data.js."""
    if exception or app.builder.name != "html" or not hasattr(app.builder, "_orig_css_files"):
        return  # where no page was written, it is there
    found = []
    for docname in sorted(app.env.found_docs, key=lambda name: (name.startswith(API), name)):
        tree, address = app.env.get_doctree(docname), app.builder.get_target_uri(docname)
        found += names(tree, address) if docname.startswith(API) else sections(tree, address)
    data = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    Path(app.outdir, "_static/search-data.js").write_text(f"globalThis.courseSearch = {data};\n", encoding="utf-8")


def sections(tree: nodes.document, address: str) -> list[Entry]:
    """The sections of a page of prose, each with its own words."""
    found, page = [], ""
    for item in tree.findall(nodes.definition_list_item):
        terms = [term for term in item.findall(nodes.term) if term["ids"]]  # of the glossary
        if terms:
            text = " ".join(paragraph.astext() for paragraph in item.findall(nodes.paragraph))
            found.append(Entry(f"{address}#{terms[0]['ids'][0]}", terms[0].astext(), "Glossary", text, False))
    for section in tree.findall(nodes.section):
        title = section.next_node(nodes.title)
        heading = title.astext() if title else ""
        anchor = f"#{section['ids'][0]}" if page else ""
        found.append(Entry(address + anchor, heading, page, words(section), False))
        page = page or heading
    return found


def words(section: nodes.section) -> str:
    """The paragraphs of a section, without those of the sections within it, code, formulas and figures."""
    found = []
    for child in section.children:
        if not isinstance(child, SKIPPED):
            kinds = (nodes.paragraph, nodes.term)
            found += [
                part.astext()
                for part in ([child] if isinstance(child, kinds) else child.findall())
                if isinstance(part, kinds)
            ]
    return " ".join(" ".join(found).split())


def names(tree: nodes.document, address: str) -> list[Entry]:
    """The module of a page of the API and what it defines, each with its first paragraph."""
    title = next(iter(tree.findall(nodes.title))).astext()
    first = next((paragraph for paragraph in tree.findall(nodes.paragraph)), None)
    found = [Entry(address, title, "", first.astext() if first else "", True)]
    for described in tree.findall(addnodes.desc):
        signature = described.next_node(addnodes.desc_signature)
        if signature is not None and signature["ids"]:
            name = signature["ids"][0]
            paragraph = described.next_node(nodes.paragraph)
            text = paragraph.astext() if paragraph else ""
            found.append(Entry(f"{address}#{name}", name.removeprefix(f"{title}."), title, text, True))
    return found


def leave_words_out(app: Sphinx) -> None:
    """Have Sphinx's own index, which no page searches, hold the pages' titles only: to stem all words takes longer."""
    if app.builder.name == "html":
        index: Any = app.builder.index_page  # type: ignore[attr-defined]
        app.builder.index_page = lambda name, doctree, title: index(name, new_document(""), title)  # type: ignore[attr-defined]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", leave_words_out)
    app.connect("build-finished", write_index)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
