"""Predictions, quizzes and the glossary as Sphinx writes them: everything is text, and mistakes name their place."""

import json
import re
from pathlib import Path

import pytest
from sphinx.testing.util import SphinxTestApp

PREDICT = """:::{predict} padding
How large is *it*?

- [ ] 28 × 28
- [x] 26 × **26**
:::
"""
RECALL = ":::{recall} padding\nA row is lost on each side.\n:::\n"
NUMBER = ":::{predict} dead\n:answer: 3\n:unit: of 32 maps\n:within: 1\n\nHow many?\n:::\n:::{recall} dead\nSo.\n:::\n"
QUIZ = """:::{quiz}
Why has pooling no weights?

- [ ] They are shared.
  Not with a *pooling*.

  Second paragraph.
- [x] There is nothing to set.
  A maximum has none.
:::
"""


@pytest.fixture
def build(tmp_path):
    """A notebook with this markdown in its second cell; returns its HTML and what Sphinx warned of."""

    def run(text, **pages):
        source = tmp_path / "source"
        source.mkdir()
        (source / "conf.py").write_text(
            "source_suffix = {'.md': 'myst-nb'}\n"
            "extensions = ['myst_nb', 'tools.website.questions', 'tools.website.glossary']\n"
            "myst_enable_extensions = ['colon_fence']\nnb_execution_mode = 'off'\n"
        )
        cells = [
            {"cell_type": "markdown", "id": f"c{place}", "metadata": {}, "source": cell}
            for place, cell in enumerate(["# Chapter", text])
        ]
        (source / "chapter.ipynb").write_text(
            json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
        )
        pages = {"index": "# Book\n\n```{toctree}\n:glob:\n*\n```\n"} | pages
        for name, page in pages.items():
            (source / f"{name}.md").write_text(page)
        app = SphinxTestApp("html", srcdir=source, builddir=tmp_path / "build")
        app.build()
        app.cleanup()
        return (Path(app.outdir) / "chapter.html").read_text(), re.sub(r"\x1b\[[\d;]+m", "", app.warning.getvalue())

    return run


def test_a_prediction_comes_back_with_answer_and_reason(build):
    html, warnings = build(PREDICT + RECALL)
    assert not warnings
    asked, recalled = html.split('id="recall-padding-0"')
    assert 'data-answer="1"' in asked
    assert "<p>How large is <em>it</em>?</p>" in asked
    assert "26 × <strong>26</strong>" in asked
    assert "Answer" not in asked
    assert "<p>How large is <em>it</em>?</p>" in recalled
    assert "<p>Answer: <strong>B. </strong>26 × <strong>26</strong></p>\n<p>A row is lost on each side.</p>" in recalled


def test_a_prediction_may_be_a_number(build):
    html, warnings = build(NUMBER)
    assert not warnings
    assert html.count('data-answer="3"') == 2  # asked, and recalled
    assert html.count('data-within="1"') == 2
    assert "<p>Answer: <strong>3 of 32 maps</strong></p>\n<p>So.</p>" in html


def test_a_quiz_explains_every_choice(build):
    html, warnings = build(QUIZ)
    assert not warnings
    assert "<p><strong>No. </strong>Not with a <em>pooling</em>.</p>\n<p>Second paragraph.</p>" in html
    assert "<p><strong>Right. </strong>A maximum has none.</p>" in html


def test_three_sentences(build):
    html, warnings = build(":::{three-sentences}\nOne.\nTwo.\nThree.\n:::\n")
    assert not warnings
    assert "In three sentences</p>" in html
    assert "<p>One.\nTwo.\nThree.</p>" in html


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (PREDICT, 20002, "predict: nothing below recalls 'padding'"),
        (RECALL, 20002, "recall: no prediction above is named 'padding'; there are: none"),
        (PREDICT + PREDICT + RECALL, 20008, "predict: there is a prediction named 'padding' already"),
        (PREDICT.replace("padding", "Padding"), 20002, "predict: the name is 'Padding'"),
        (PREDICT.replace("[x]", "[ ]"), 20002, "predict: 2 choices, 0 of them marked [x]"),
        (PREDICT.replace("\n:::", "\n  Why.\n:::"), 20002, "predict: 'Why.' stands below a choice"),
        (NUMBER.replace(": 3", ": three"), 20002, "predict: :answer: is 'three', which is no number"),
        (NUMBER.replace("?", "?\n- [x] 3"), 20002, "predict: there are choices and an :answer: as well"),
        (QUIZ.replace("[ ]", "[x]"), 20002, "quiz: 2 choices, 2 of them marked [x]"),
        (QUIZ.replace("  A maximum has none.\n", ""), 20002, "quiz: the choice 'There is nothing to set.' has no"),
        (QUIZ.replace("  A max", "A max"), 20002, "quiz: 'A maximum has none.' stands below the choices"),
        (QUIZ.replace("Why has pooling no weights?", ""), 20002, "quiz: the question is missing"),
        (":::{three-sentences}\nOne.\nTwo.\n:::\n", 20002, "three-sentences: 2 lines"),
        (":::{quiz}\n:::\n", 20002, "quiz: "),
    ],
)
def test_a_mistake_names_chapter_and_line(build, text, place, words):
    _, warnings = build(text)
    assert re.search(rf"chapter\.ipynb:{place}: (ERROR|WARNING): {re.escape(words)}", warnings), warnings


def test_a_term_carries_its_definition(build):
    glossary = "# Glossary\n\n:::{glossary}\nlogit\nscore\n  The *number* of a class.\n\n  More.\n:::\n"
    html, warnings = build("A {term}`logit`, two {term}`scores <score>`.", glossary=glossary)
    assert not warnings
    links = re.findall(r'<a class="course-term reference internal" href="(.*?)" title="(.*?)">', html)
    assert links == [
        ("glossary.html#term-logit", "The number of a class."),
        ("glossary.html#term-score", "The number of a class."),
    ]


def test_a_term_that_is_not_there_is_refused(build):
    _, warnings = build("{term}`logti`", glossary="# Glossary\n\n:::{glossary}\nlogit\n  A number.\n:::\n")
    assert "term not in glossary: 'logti'" in warnings
