"""What the tests of the built book share: where it is, what no page may do, and a server for it."""

import functools
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BOOK = Path(__file__).parents[2] / "_build/html"

# What sticks out of the page, wide enough to make it scroll sideways.
OVERFLOW = """() => document.documentElement.scrollWidth <= window.innerWidth ? [] :
    [...document.querySelectorAll("body *")]
    .filter(element => element.getBoundingClientRect().right > window.innerWidth + 1)
    .filter(element => !element.closest(".highlight pre, .output, .sidebar, .bd-sidebar-primary"))
    .map(element => element.outerHTML.slice(0, 120)).slice(0, 5)"""

# What axe-core finds, of whatever impact, and what of it keeps somebody out; all its rules, unless some are named.
EVERY_IMPACT = """async (rules) => (await axe.run({ resultTypes: ["violations"], preload: false, ...rules })).violations
    .flatMap(violation => violation.nodes.map(node => `${violation.id}: ${node.html.slice(0, 200)}`))"""
AXE = EVERY_IMPACT.replace(
    ".violations\n", '.violations\n    .filter(violation => ["serious", "critical"].includes(violation.impact))\n'
)

IN_DARK = {"runOnly": ["color-contrast", "scrollable-region-focusable"]}  # what colours can change, and a narrow screen

# Whether every colour has arrived that was on its way to another one.
AT_REST = "() => document.getAnimations().every(({ playState }) => playState !== 'running')"


def inside(address, own):
    return address.startswith((own, "data:", "blob:"))


@contextmanager
def served(folder):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
