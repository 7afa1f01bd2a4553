"""What the search page searches: sections of prose with their own words, names of the API with their first lines."""

import json
from pathlib import Path

from sphinx.testing.util import SphinxTestApp


def test_sections_come_before_names(tmp_path):
    (tmp_path / "source/reference").mkdir(parents=True)
    (tmp_path / "source/conf.py").write_text(
        "source_suffix = {'.md': 'markdown'}\n"
        "extensions = ['myst_parser', 'sphinx.ext.autodoc', 'tools.website.search']\n"
    )
    pages = {
        "index": "# Book\n\n```{toctree}\n:glob:\n*\nreference/*\n```\n",
        "part": "# Part\n\nFirst *words*.\n\n```python\na = 1\n```\n\n## Section\n\n- listed\n\n### Deeper\n\nLast.\n",
        "reference/labkit.core": "# labkit.core\n\n```{py:function} labkit.core.odds(x)\nOdds.\n```\n",
    }
    for name, text in pages.items():
        (tmp_path / f"source/{name}.md").write_text(text)
    app = SphinxTestApp("html", srcdir=tmp_path / "source", builddir=tmp_path / "build")
    app.build()
    app.cleanup()
    written = (Path(app.outdir) / "_static/search-data.js").read_text()
    entries = json.loads(written.removeprefix("globalThis.courseSearch = ").rstrip(";\n"))
    assert entries == [
        ["index.html", "Book", "", "", False],
        ["part.html", "Part", "", "First words.", False],
        ["part.html#section", "Section", "Part", "listed", False],
        ["part.html#deeper", "Deeper", "Part", "Last.", False],
        ["reference/labkit.core.html", "labkit.core", "", "Odds.", True],
        ["reference/labkit.core.html#labkit.core.odds", "odds", "labkit.core", "Odds.", True],
    ]
