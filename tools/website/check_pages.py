"""Check the built book: every link and anchor leads somewhere, nothing comes from outside, no page is too heavy."""

import gzip
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[2]
OUTSIDE = re.compile(r"""(?:https?:)?//[\w.-]+\.[a-z]{2,}""")
HEAVIEST = 1_500_000  # bytes that a server sends for a page and its figures, without what all pages share


class Page(HTMLParser):
    """Ids, links and loaded addresses of one HTML file."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.ids: set[str] = set()
        self.places: set[str] = set()  # what the addresses of a script's own states may begin with
        self.links: list[str] = []  # where a reader can go
        self.loaded: list[str] = []  # what the browser fetches by itself
        self.scripts: list[str] = []  # inline code
        self._inline = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids.update(values[name] for name in ("id", "name") if name in values)
        self.places.update(values.get("data-places", "").split())
        for name in ("src", "srcset", "poster", "data"):
            if name in values and not values[name].startswith("data:"):
                self.loaded += [part.split()[0] for part in values[name].split(",") if part.strip()]
        if "href" in values:
            (self.links if tag in ("a", "area") else self.loaded).append(values["href"])
        self.loaded += re.findall(r"url\(['\"]?([^'\")]+)", values.get("style", ""))
        self._inline = tag == "script" and "json" not in values.get("type", "")

    def handle_endtag(self, tag: str) -> None:
        self._inline = False

    def handle_data(self, data: str) -> None:
        if self._inline:
            self.scripts.append(data)


def check_pages(folder: Path) -> list[str]:
    """One line for each broken link, missing file and outside host in the HTML and CSS files below folder."""
    files = [path for path in sorted(folder.rglob("*.html")) if "_static" not in path.relative_to(folder).parts]
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in files}
    found = [f"{folder} holds no pages"] if not pages else []
    for path, page in pages.items():
        where = path.relative_to(folder)
        for address in page.links + page.loaded:
            found += [f"{where}: {address}: {problem}" for problem in follow(address, path, pages)]
        found += [f"{where}: loads {address} from outside" for address in page.loaded if OUTSIDE.match(address)]
        for script in page.scripts:
            found += [f"{where}: a script names {host}" for host in OUTSIDE.findall(script)]
        size = sum(map(sent, {path, *loaded_files(path, page, shared=False)}))
        if size > HEAVIEST:
            found.append(f"{where}: {size / 1e6:.1f} MB gzipped with its figures; a page may have {HEAVIEST / 1e6} MB")
    for path in sorted(folder.rglob("*.css")):
        for address in re.findall(r"url\(['\"]?([^'\")]+)", path.read_text(encoding="utf-8")):
            if OUTSIDE.match(address):
                found.append(f"{path.relative_to(folder)}: loads {address} from outside")
    return list(dict.fromkeys(found))


def loaded_files(path: Path, page: Page, *, shared: bool) -> set[Path]:
    """The files of the book that a page loads; without those shared by all pages (scripts, styles), its figures."""
    addresses = [address for address in page.loaded if shared or "_static/" not in address]
    files = {path.parent.joinpath(unquote(urlsplit(address).path)).resolve() for address in addresses}
    return {file for file in files if file.is_file() and file.suffix != ".html"}  # the next page is only announced


def sent(file: Path) -> int:
    """Bytes that a server sends: pictures and fonts are compressed already."""
    data = file.read_bytes()
    return len(data) if file.suffix in (".png", ".webp", ".woff", ".woff2") else len(gzip.compress(data, 6))


def follow(address: str, path: Path, pages: dict[Path, Page]) -> Iterator[str]:
    """Yield what is wrong with an internal address on the page at path."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return
    target = path.parent.joinpath(unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        yield "there is no such file"
    elif parts.fragment and target in pages:
        page, fragment = pages[target], unquote(parts.fragment)
        if fragment not in page.ids and fragment.partition("&")[0] not in page.places:
            yield "there is no such place on that page"


if __name__ == "__main__":
    problems = check_pages((ROOT / "_build/html").resolve())
    print(*problems, f"{len(problems)} problems", sep="\n")
    sys.exit(bool(problems))
