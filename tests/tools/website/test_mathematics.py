"""Formulas are typeset when the book is built, and those that cannot be are named with their place."""

from pathlib import Path

from bs4 import BeautifulSoup
from sphinx.testing.util import SphinxTestApp


def test_formulas(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/conf.py").write_text(
        "source_suffix = {'.md': 'markdown'}\n"
        "extensions = ['myst_parser', 'tools.website.mathematics']\nmyst_enable_extensions = ['dollarmath']\n"
        "html_math_renderer = 'katex'\n"
    )
    (tmp_path / "source/index.md").write_text(
        "# A\n\nOf $a^2$.\n\nBy $h$: small, *so $k$*, as $a + b + c + d + e + f + g + h$).\n\n"
        "$$\n\\max(0, x)\n$$\n\nAnd\n$\\nothing$.\n"
    )
    app = SphinxTestApp("html", srcdir=tmp_path / "source", builddir=tmp_path / "build")
    app.build()
    app.cleanup()
    html = (Path(app.outdir) / "index.html").read_text()
    assert html.count('<span class="katex">') == 5
    assert html.count('<math xmlns="http://www.w3.org/1998/Math/MathML"') == 5  # for those who hear the page
    assert html.count('<span class="katex-display">') == 1
    kept = BeautifulSoup(html, "html.parser").select(".course-kept")
    found = [("course-long" in span["class"], "".join(span.find_all(string=True, recursive=False))) for span in kept]
    assert found == [(False, "."), (False, ":"), (False, ""), (True, ")."), (False, ".")]
    assert "mathjax/" not in html.lower()
    warnings = app.warning.getvalue()
    assert "index.md:11: WARNING: a formula that cannot be typeset: KaTeX parse error: Undefined control" in warnings
