"""One style and one script for all pages, in the place of two dozen files.

The theme, Sphinx and its extensions each bring files of their own, among them a script of 1.5 MB that draws icons. What
every page loads is joined here once the pages are written: the same files in the same order, with KaTeX's style, and
the icons as a font of those that occur.
"""

import base64
import io
import posixpath
import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from fontTools import subset
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx
from sphinx.config import Config

from tools.environment import javascript

# What the theme's templates load; ours load the two files (templates/static/webpack-macros.html).
THEME_STYLES = ("styles/theme.css", "styles/pydata-sphinx-theme.css")
THEME_SCRIPTS = ("scripts/bootstrap.js", "scripts/pydata-sphinx-theme.js")
OWN = Path(__file__).parents[2] / "book/_assets/page"
KATEX = javascript.PACKAGES / "katex/dist"
KATEX_FONT = re.compile(r",url\(fonts/[\w-]+\.(?:woff|ttf)\) format\(\"\w+\"\)")  # all browsers know woff2
FONT = re.compile(r"url\((fonts/[\w-]+\.woff2)\)")
SMALL = 8_000  # bytes; a font up to this size is written into the style, which saves a request
ICON_FONT = "vendor/fontawesome/webfonts/fa-solid-900.ttf"
ICON_FACE = re.compile(r"@font-face\{[^}]*(?:Font ?Awesome|Font Awesome\\)[^}]*\}")
ICON = re.compile(r'((?:\.fa-[\w-]+:before,?)+)\{content:"\\([0-9a-f]+)"\}')
USED = re.compile(r'class="[^"]*?\bfa-[^"]*"')
URL = re.compile(r"""url\((['"]?)(?!data:|#|/|\w+:)([^)'"]+)\1\)""")
CODE = re.compile(r"<pre>.*?</pre>", re.DOTALL)
PLAIN = re.compile(r'<span class="(?:nn?|p|w)">([^<]*)</span>')  # names, punctuation, spaces: in the code's own colour

THEMED = re.compile(r"""([^{};]*\[data-theme=["']?(dark|light)["']?\][^{};]*)(\{[^{}]*\})""")


def prepare(app: Sphinx, config: Config) -> None:
    """Have the theme load nothing by itself."""
    config.templates_path.append(str(Path(__file__).with_name("templates")))


def keep_own(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Leave to a page what it alone loads."""
    styles, scripts = shared(app)
    context["css_files"] = [file for file in context["css_files"] if file not in styles]
    # The theme's inline scripts tell its version menu and its search, which we have not, where the page is.
    context["script_files"] = [file for file in context["script_files"] if file.filename and file not in scripts]


def unwrap_plain_code(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Leave out elements that change nothing: they are a third of a chapter's, and half of a module's source."""
    if "body" in context:
        context["body"] = CODE.sub(lambda code: PLAIN.sub(r"\1", code[0]), context["body"])


def shared(app: Sphinx) -> tuple[list[Any], list[Any]]:
    """The styles and scripts of every page, as Sphinx holds them, sorted as it writes them."""
    styles, scripts = app.builder._orig_css_files, app.builder._orig_js_files  # type: ignore[attr-defined]
    return sorted(styles, key=lambda file: file.priority), sorted(scripts, key=lambda file: file.priority)


def write_bundles(app: Sphinx, exception: Exception | None) -> None:
    """Join what every page loads into page.css and page.js."""
    if exception or app.builder.name != "html" or not hasattr(app.builder, "_orig_css_files"):
        return  # where no page was written, they are there
    static = Path(app.outdir, "_static")
    styles, scripts = shared(app)
    names = [*THEME_STYLES, *(posixpath.relpath(file.filename, "_static") for file in styles)]
    texts = [moved((static / name).read_text(encoding="utf-8"), posixpath.dirname(name)) for name in names]
    fonts = static / "fonts"
    shutil.copytree(KATEX / "fonts", fonts, ignore=shutil.ignore_patterns("*.woff", "*.ttf"), dirs_exist_ok=True)
    texts.insert(2, FONT.sub(small_font, KATEX_FONT.sub("", (KATEX / "katex.min.css").read_text())))
    (static / "page.css").write_text(without_script(with_icons("\n".join(texts), app)), encoding="utf-8")
    parts = [read_script(static, file) for file in scripts if "thebe" not in str(file)]
    parts += [(static / name).read_text(encoding="utf-8") for name in THEME_SCRIPTS]
    parts.append(bundled(OWN / "main.js", static / ".own.js"))
    bundled(OWN / "search.js", static / "search.js")
    # The first semicolon keeps a "use strict" to its own file's beginning, where it then is none.
    (static / "page.js").write_text("".join(f";{part}\n" for part in parts), encoding="utf-8")


def small_font(found: re.Match[str]) -> str:
    """The address of a font; of a small one, the font itself."""
    data = (KATEX / found[1]).read_bytes()
    return found[0] if len(data) > SMALL else f"url(data:font/woff2;base64,{base64.b64encode(data).decode()})"


def bundled(entry: Path, output: Path) -> str:
    """One of our scripts with all that it imports, as a classic script, which a page opened from disk may load."""
    options = ("--bundle", "--format=iife", "--target=es2022", "--minify", "--charset=utf8", "--log-level=warning")
    esbuild = javascript.PACKAGES / "esbuild/bin/esbuild"
    if (reason := javascript.install()) or not javascript.node(esbuild, entry, *options, f"--outfile={output}"):
        raise RuntimeError(reason or f"{entry.name} could not be bundled; the errors above say which file and line")
    return output.read_text(encoding="utf-8")


def read_script(static: Path, file: Any) -> str:
    """A script's text, without the address of its source map."""
    if not file.filename:
        return file.attributes["body"]
    text = (static / posixpath.relpath(file.filename, "_static")).read_text(encoding="utf-8")
    return re.sub(r"^//# sourceMappingURL=.*$", "", text, flags=re.MULTILINE)


def moved(style: str, folder: str) -> str:
    """A style whose addresses were relative to a folder of _static, as one that lies at its top."""
    return URL.sub(lambda found: f"url({posixpath.normpath(posixpath.join(folder, found[2]))})", style)


def with_icons(style: str, app: Sphinx) -> str:
    """The style with the icons that the pages show, and a font of these alone, in the place of thousands."""
    pages = (
        path.read_text(encoding="utf-8") for path in Path(app.outdir).rglob("*.html") if "_static" not in path.parts
    )
    used = {name for page in pages for found in USED.findall(page) for name in re.findall(r"\bfa-[\w-]+", found)}
    codes = set()

    def keep(found: re.Match[str]) -> str:
        if used.isdisjoint(re.findall(r"fa-[\w-]+", found[1])):
            return ""
        codes.add(int(found[2], 16))
        return found[0]

    style = ICON_FACE.sub("", ICON.sub(keep, style))
    font = TTFont(Path(app.outdir, "_static", ICON_FONT))
    subsetter = subset.Subsetter()
    subsetter.populate(unicodes=codes)
    subsetter.subset(font)
    font.flavor, file = "woff", io.BytesIO()
    font.save(file)
    data = base64.b64encode(file.getvalue()).decode()
    face = 'font-family:"Font Awesome 6 Free";font-style:normal;font-weight:900;font-display:block'
    return f'@font-face{{{face};src:url(data:font/woff;base64,{data}) format("woff")}}\n{style}'


def without_script(style: str) -> str:
    """The style with colours also for a reader without JavaScript: those that the system asks for.

    The theme's script writes "dark" or "light" where the page says "auto", and no style of the theme knows "auto".
    """

    def also(found: re.Match[str]) -> str:
        selectors, scheme, rule = found.groups()
        selectors = re.sub(rf"data-theme=[\"']?{scheme}[\"']?", "data-theme=auto", selectors)
        return f"{found[0]}@media (prefers-color-scheme:{scheme}){{{selectors}{rule}}}"

    return THEMED.sub(also, style)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", prepare)
    app.connect("html-page-context", keep_own, priority=900)
    app.connect("html-page-context", unwrap_plain_code, priority=900)
    app.connect("build-finished", write_bundles, priority=900)  # the theme writes the colours of code then
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
