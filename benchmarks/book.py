"""How long the book takes to build, cold and warm, and how much a reader downloads with each page.

Cold: no executed notebook in the cache. Warm: a second time, with nothing changed. Weights: the HTML and everything
that the page loads from the book, as it lies on disk and as a web server would send it (gzip, where that helps); the
second page costs less, since scripts and styles are loaded once.
"""

import gzip
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tools.check_pages import Page  # noqa: E402


def main() -> None:
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'build':<8}{'seconds':>9}")
        for name in ("cold", "warm"):
            start = time.monotonic()
            command = [jupyter_book, "build", "book/", "--path-output", folder]
            result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            if result.returncode:
                sys.exit(f"the book does not build:\n{result.stderr[-2000:]}")
            print(f"{name:<8}{time.monotonic() - start:>9.1f}", flush=True)
        weigh(Path(folder) / "_build/html")


def weigh(book: Path) -> None:
    """Print a row for each page: its own HTML, then with all that it loads, in kB."""
    print(f"\n{'page, kB':<44}{'HTML':>9}{'gzipped':>9}{'with all':>10}{'gzipped':>9}")
    sizes: dict[Path, tuple[int, int]] = {}
    for path in sorted(book.rglob("*.html")):
        if "_static" in path.relative_to(book).parts or "_modules" in path.relative_to(book).parts:
            continue
        addresses = Page(path.read_text(encoding="utf-8")).loaded
        loaded = {path.parent.joinpath(unquote(urlsplit(address).path)).resolve() for address in addresses}
        for file in {path, *loaded} - sizes.keys():
            sizes[file] = (file.stat().st_size, sent(file)) if file.is_file() else (0, 0)
        own, total = sizes[path], [sum(column) for column in zip(*(sizes[f] for f in {path, *loaded}), strict=True)]
        print(f"{path.relative_to(book)!s:<44}" + "".join(f"{size / 1000:>9.0f}" for size in own), end=" ")
        print("".join(f"{size / 1000:>9.0f}" for size in total))


def sent(file: Path) -> int:
    """Bytes that a server sends: pictures and fonts are compressed already."""
    data = file.read_bytes()
    return len(data) if file.suffix in (".png", ".webp", ".woff", ".woff2") else len(gzip.compress(data, 6))


if __name__ == "__main__":
    main()
