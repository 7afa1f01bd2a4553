"""What a package index shows: text that is right without the rest of the repository."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_long_description_links_to_nothing_that_only_a_checkout_has():
    readme = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["readme"]
    text = (ROOT / readme).read_text()
    assert not re.findall(r"\]\((?!https?:)", text), "an index cannot follow a relative link or show a relative picture"
    assert len(text) > 500


def test_the_long_description_names_every_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / project["readme"]).read_text()
    assert all(re.search(rf"[`\[]{extra}[`\]]", text) for extra in project["optional-dependencies"])
