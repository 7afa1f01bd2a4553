"""MyST directives that make a reader commit, recall and return: ``predict``, ``recall``, ``quiz``, ``three-sentences``.

    :::{predict} padding
    How large is the map that a 3 × 3 filter makes of 28 × 28 pixels, without padding?

    - [ ] 28 × 28
    - [x] 26 × 26
    :::

    :::{recall} padding
    The filter's centre cannot stand on the border: a row or column is lost on each side.
    :::

A prediction may ask for a number instead: ``:answer: 26``, with ``:unit:`` and ``:within:`` if wanted, and no choices.
In a ``quiz`` the lines below a choice, indented by two spaces, explain why it is right or wrong.
Without JavaScript all of it is text; with it, book/_assets/page/questions.js asks and keeps the answers in the browser.
"""

import hashlib
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

CHOICE = re.compile(r"- \[([ x])\] (\S.*)")
TITLES = {
    "predict": "Predict",
    "recall": "Your prediction, again",
    "quiz": "Why?",
    "three-sentences": "In three sentences",
}
LOGGER = logging.getLogger(__name__)


class question(nodes.General, nodes.Element):
    """One box: `kind` is the directive's name, `data` what the script must know."""


class part(nodes.General, nodes.Element):
    """A <div> within a box: what is asked, why a choice is right or wrong, the answer."""


class choices(nodes.General, nodes.Element):
    """The choices of a box, each a list item."""


class Choice(NamedTuple):
    """A choice as written."""

    right: bool
    text: StringList  # one line
    below: StringList  # the indented lines


class Box(SphinxDirective):
    """What the directives have in common."""

    has_content = True

    def box(self, ident: str, **data: str) -> question:
        """The outermost node, whose attributes the script reads."""
        if not "".join(self.content).strip():
            raise self.error(f"{self.name}: there is nothing in it")
        node = question(kind=self.name, ident=f"{self.name}-{ident}", data={"id": ident, **data})
        self.set_source_info(node)
        return node

    def parsed(self, text: StringList, kind: str) -> part:
        """Markdown as a part of the box."""
        node = part(kind=kind)
        self.state.nested_parse(text, text.offset(0) - self.content.offset(0) + self.content_offset, node)
        return node

    def split(self) -> tuple[StringList, list[Choice]]:
        """What is asked, and the choices below it."""
        starts = [at for at, line in enumerate(self.content) if CHOICE.match(line)]
        for line in self.content[starts[0] :] if starts else []:
            if line.strip() and not CHOICE.match(line) and not line.startswith("  "):
                raise self.error(
                    f"{self.name}: {line!r} stands below the choices; one begins with '- [ ] ' or '- [x] ', "
                    "and what belongs to it is indented by two spaces"
                )
        found = []
        for start, end in pairwise([*starts, len(self.content)]):
            line, below = self.content[start : start + 1], self.content[start + 1 : end]
            mark, line[0] = CHOICE.match(line[0]).groups()  # pyright: ignore[reportOptionalMemberAccess]
            below.trim_left(2)
            found.append(Choice(mark == "x", line, below))
        asked = self.content[: starts[0]] if starts else self.content
        if not "".join(asked).strip():
            raise self.error(f"{self.name}: the question is missing; it stands above the choices")
        return asked, found

    def check(self, found: list[Choice]) -> int:
        """The place of the right choice."""
        right = [place for place, choice in enumerate(found) if choice.right]
        if len(found) < 2 or len(right) != 1:
            raise self.error(
                f"{self.name}: {len(found)} choices, {len(right)} of them marked [x]; "
                "there must be at least two, exactly one of them marked"
            )
        return right[0]


class Predict(Box):
    """A question to commit to before the experiment."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Callable[[str], Any]] | None] = {
        "answer": directives.unchanged_required,
        "unit": directives.unchanged,
        "within": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        ident, asked, found = self.arguments[0], *self.split()
        if not re.fullmatch(r"[a-z0-9-]+", ident):
            raise self.error(f"predict: the name is {ident!r}; lower case letters, digits and hyphens, please")
        predictions = self.env.temp_data.setdefault("predictions", {})
        if ident in predictions:
            raise self.error(f"predict: there is a prediction named {ident!r} already; each needs a name of its own")
        if "answer" in self.options:
            return self.ask_number(ident, asked, found)
        right = self.check(found)
        node = self.box(ident, answer=str(right))
        answers = [self.parsed(choice.text, "choice") for choice in found]
        for choice, answer in zip(found, answers, strict=True):
            if "".join(choice.below).strip():
                raise self.error(f"predict: {choice.below[0]!r} stands below a choice; the reason goes into a recall")
            answer["right"] = choice.right
        node += [self.parsed(asked, "asked"), choices("", *answers)]
        letter = nodes.strong("", f"{chr(ord('A') + right)}. ")
        predictions[ident] = node, [letter, *answers[right].children[0].children]
        return [node]

    def ask_number(self, ident: str, asked: StringList, found: list[Choice]) -> list[nodes.Node]:
        """A prediction whose answer is a number."""
        if found:
            raise self.error("predict: there are choices and an :answer: as well; one of the two, please")
        for name in ("answer", "within"):
            try:
                float(self.options.get(name, "0"))
            except ValueError:
                raise self.error(f"predict: :{name}: is {self.options[name]!r}, which is no number") from None
        unit = self.options.get("unit", "")
        data = {name: self.options[name] for name in ("answer", "unit", "within") if name in self.options}
        node = self.box(ident, number="", **data)
        node += self.parsed(asked, "asked")
        self.env.temp_data["predictions"][ident] = node, [nodes.strong("", f"{self.options['answer']} {unit}".strip())]
        return [node]


class Recall(Box):
    """A prediction again: the question, the reader's guess beside the answer, and the reason."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        ident, predictions = self.arguments[0], self.env.temp_data.get("predictions", {})
        if ident not in predictions:
            known = ", ".join(predictions) or "none"
            raise self.error(f"recall: no prediction above is named {ident!r}; there are: {known}")
        predict, answer = predictions[ident]
        predict["recalled"] = True
        node = self.box(ident, **{name: value for name, value in predict["data"].items() if name != "id"})
        node["ident"] += f"-{self.env.new_serialno('recall')}"
        line = nodes.paragraph("", "", nodes.Text("Answer: "), *(child.deepcopy() for child in answer))
        reason = self.parsed(self.content, "answer")
        reason.insert(0, line)
        asked = predict.children[0].deepcopy()
        listed = [child.deepcopy() for child in predict.children[1:]]
        node += [asked, *listed, reason]
        return [node]


class Quiz(Box):
    """A question of understanding, with an explanation for every choice."""

    def run(self) -> list[nodes.Node]:
        asked, found = self.split()
        right = self.check(found)
        node = self.box(hashlib.sha256("\n".join(asked).encode()).hexdigest()[:8], answer=str(right))
        node += self.parsed(asked, "asked")
        listed = choices()
        for choice in found:
            if not "".join(choice.below).strip():
                raise self.error(f"quiz: the choice {choice.text[0]!r} has no explanation; it stands below, indented")
            why = self.parsed(choice.below, "why")
            why["right"] = choice.right
            verdict = nodes.strong("", "Right. " if choice.right else "No. ")
            if isinstance(why.children[0], nodes.paragraph):
                why.children[0].insert(0, verdict)
            else:
                why.insert(0, nodes.paragraph("", "", verdict))
            item = self.parsed(choice.text, "choice")
            item["right"] = choice.right
            item += why
            listed += item
        node += listed
        return [node]


class ThreeSentences(Box):
    """The chapter in three sentences, one a line."""

    def run(self) -> list[nodes.Node]:
        lines = [line for line in self.content if line.strip()]
        if len(lines) != 3:
            raise self.error(f"three-sentences: {len(lines)} lines; three, please, each a sentence")
        node = self.box("chapter")
        node += self.parsed(self.content, "asked")
        return [node]


def visit_question(self: HTML5Translator, node: question) -> None:
    """Open a box with its title."""
    data = {f"data-{name}": value for name, value in node["data"].items()}
    title = f"{node['ident']}-title"
    attributes = {"role": "group", "aria-labelledby": title, **data}
    classes = f"course-box course-{node['kind']}"
    self.body.append(self.starttag(node, "div", CLASS=classes, ids=[node["ident"]], **attributes))
    self.body.append(f'<p class="course-title" id="{title}">{TITLES[node["kind"]]}</p>\n')


def visit_part(self: HTML5Translator, node: part) -> None:
    """Open a <div>, or a list item for a choice."""
    tag = "li" if node["kind"] == "choice" else "div"
    self.body.append(self.starttag(node, tag, CLASS=f"course-{node['kind']}"))


def depart_part(self: HTML5Translator, node: part) -> None:
    self.body.append("</li>\n" if node["kind"] == "choice" else "</div>\n")


def visit_choices(self: HTML5Translator, node: choices) -> None:
    """Open the list; its letters come from the style."""
    self.body.append(self.starttag(node, "ol", CLASS="course-choices", type="A"))


def depart_choices(self: HTML5Translator, node: choices) -> None:
    self.body.append("</ol>\n")


def depart_question(self: HTML5Translator, node: question) -> None:
    self.body.append("</div>\n")


def check_recalls(app: Sphinx, doctree: nodes.document) -> None:
    """Every prediction must come back."""
    for node in doctree.findall(question):
        if node["kind"] == "predict" and not node.get("recalled"):
            name = node["data"]["id"]
            LOGGER.warning(f"predict: nothing below recalls {name!r}; end with ```{{recall}} {name}", location=node)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("predict", Predict)
    app.add_directive("recall", Recall)
    app.add_directive("quiz", Quiz)
    app.add_directive("three-sentences", ThreeSentences)
    app.add_node(question, html=(visit_question, depart_question))
    app.add_node(part, html=(visit_part, depart_part))
    app.add_node(choices, html=(visit_choices, depart_choices))
    app.connect("doctree-read", check_recalls)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
