"""What is changed in the style that all pages share."""

import pytest
from pygments.styles import get_style_by_name
from pygments.token import Token

from tools.website.bundle_pages import unwrap_plain_code, without_script


def test_colours_without_a_script_follow_the_system():
    rule = 'a{top:0}html[data-theme="dark"] p,html[data-theme=dark] q{color:red}'
    also = "@media (prefers-color-scheme:dark){html[data-theme=auto] p,html[data-theme=auto] q{color:red}}"
    assert without_script(rule) == rule + also
    assert without_script("html[data-theme=light]{top:0}").endswith(
        "@media (prefers-color-scheme:light){html[data-theme=auto]{top:0}}"
    )
    assert without_script("html[data-mode=dark]{top:0}") == "html[data-mode=dark]{top:0}"


def test_code_has_elements_only_where_they_colour():
    code = '<pre><span class="kn">import</span><span class="w"> </span><span class="n">os</span></pre>'
    signature = '<span class="w"> </span><span class="n"><span class="pre">eps</span></span>'
    context = {"body": signature + code}
    unwrap_plain_code(None, "", "", context, None)
    assert context == {"body": signature + '<pre><span class="kn">import</span> os</pre>'}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_punctuation_and_spaces_have_the_colour_of_code(scheme):
    style = get_style_by_name(f"a11y-high-contrast-{scheme}")  # the theme's
    plain = style.style_for_token(Token.Text)
    for kind in (Token.Name, Token.Name.Namespace, Token.Punctuation, Token.Text.Whitespace):
        assert style.style_for_token(kind) == plain
