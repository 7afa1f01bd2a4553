"""Terms of the glossary in the chapters: each link carries the definition, which the page shows where it stands."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

PAGE = "glossary"
PREFIX = "term-"  # of the ids that Sphinx gives to terms


def add_definitions(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give every link to a term the first paragraph of its definition, as its title until the script shows it."""
    links = [link for link in doctree.findall(nodes.reference) if f"#{PREFIX}" in link.get("refuri", "")]
    if not links or docname == PAGE:
        return
    known = definitions(app)
    for link in links:
        link["classes"].append("course-term")
        link["reftitle"] = known[link["refuri"].partition("#")[2]]


def definitions(app: Sphinx) -> dict[str, str]:
    """The first paragraph of each definition, by the id of its term."""
    found = {}
    for item in app.env.get_doctree(PAGE).findall(nodes.definition_list_item):
        (definition,) = item.findall(nodes.definition)
        text = next(iter(definition.findall(nodes.paragraph))).astext().replace("\n", " ")
        found.update({name: text for term in item.findall(nodes.term) for name in term["ids"]})
    return found


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-resolved", add_definitions)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
