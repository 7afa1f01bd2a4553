"""What is changed in the style that all pages share."""

from tools.website.bundle_pages import without_script


def test_colours_without_a_script_follow_the_system():
    rule = 'a{top:0}html[data-theme="dark"] p,html[data-theme=dark] q{color:red}'
    also = "@media (prefers-color-scheme:dark){html[data-theme=auto] p,html[data-theme=auto] q{color:red}}"
    assert without_script(rule) == rule + also
    assert without_script("html[data-theme=light]{top:0}").endswith(
        "@media (prefers-color-scheme:light){html[data-theme=auto]{top:0}}"
    )
    assert without_script("html[data-mode=dark]{top:0}") == "html[data-mode=dark]{top:0}"
