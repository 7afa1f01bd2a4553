"""Executed notebooks: the cache that the book is built from, keyed by everything that they depend on.

`make test` fills it while nbval validates the chapters (keep_executed.py); a build executes what is missing.
"""

import asyncio
import hashlib
import os
import shutil
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from sphinx.util import logging

from labkit.files import digest_of

ROOT = Path(__file__).parents[2]
# A benchmark names another place, to build as if for the first time.
EXECUTED = Path(os.environ.get("COURSE_EXECUTED") or ROOT / "_build/.executed")
LOGGER = logging.getLogger(__name__)

# Kernels inherit this: no progress bar stays in a page, and two threads that wait for each other are far slower than
# one where anything else runs.
os.environ.setdefault("TQDM_DISABLE", "1")
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")
# What a training step frees is there for the next one, instead of being handed back and fetched anew page by page (see
# labkit.training.keep_freed_memory; of glibc, others do not read these).
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**25))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**30))
# The kernel that is quiet below an error: each one warns that what it says over TCP is not encrypted.
os.environ["JUPYTER_PATH"] = str(ROOT / "tools/website/jupyter")


def cache_folder(state: str) -> Path:
    """Where executed notebooks of this state are kept.

    The cache itself compares only a notebook's own code, so it would go on serving the outputs of an older labkit.
    """
    return EXECUTED / state


def forget_old_caches(state: str) -> None:
    """Keep this state's cache and the newest two others (going back to a branch costs nothing); older ones go."""
    caches = sorted(EXECUTED.glob("*"), key=os.path.getmtime, reverse=True) if EXECUTED.exists() else []
    for old in [cache for cache in caches if cache.name != state][2:]:
        shutil.rmtree(old, ignore_errors=True)


def course_state() -> str:
    """Digest of what an executed notebook depends on besides its own code.

    That is labkit with its bundled images and weights, the interpreter and every installed package, and the data sets
    in the cache (a book built from the bundled sample is executed again once the full sets have arrived).
    """
    digest = hashlib.sha256(f"{sys.version} {digest_of([ROOT / 'labkit'])}".encode())
    # Of the environment alone: setuptools puts its own copies of packages onto sys.path once it is imported.
    places = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    # By their folders, which have name and version: to read the metadata of each package takes a second.
    installed = {folder.name for place in places for folder in Path(place).glob("*.*-info")}
    digest.update("\n".join(sorted(installed)).encode())
    data = Path(os.environ.get("LABKIT_CACHE") or Path.home() / ".cache" / "labkit")
    cached = (f"{path.name} {path.stat().st_size}" for path in data.glob("*.safetensors"))
    digest.update("\n".join(sorted(cached)).encode())
    return digest.hexdigest()[:16]


def execute_missing(paths: Sequence[Path], *, cache: Path, timeout: int) -> None:
    """Execute the notebooks that the cache does not hold, as many at a time as there are processors.

    Those that fail are not kept.
    """
    missing = [path for path in paths if not is_kept(nbformat.read(path, as_version=4), cache)]

    async def execute_all() -> None:
        turns = asyncio.Semaphore(os.cpu_count() or 1)
        await asyncio.gather(*(execute(turns, path) for path in missing))

    async def execute(turns: asyncio.Semaphore, path: Path) -> None:
        notebook = nbformat.read(path, as_version=4)
        folder = {"metadata": {"path": str(path.parent)}}
        client = NotebookClient(notebook, timeout=timeout, resources=folder, record_timing=False)  # as myst-nb does
        async with turns:
            start = time.monotonic()
            try:
                await client.async_execute()
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                LOGGER.info(f"{os.path.relpath(path, ROOT)}: {type(error).__name__}")
                return
        seconds = time.monotonic() - start
        LOGGER.info(f"{os.path.relpath(path, ROOT)}: executed in {seconds:.0f} s")
        keep(notebook, path, cache=cache, seconds=seconds)

    asyncio.run(execute_all())


def is_kept(notebook: NotebookNode, cache: Path) -> bool:
    """Whether the cache holds this notebook's outputs."""
    try:
        get_cache(str(cache)).match_cache_notebook(notebook)
    except KeyError:
        return False
    return True


def keep(notebook: NotebookNode, path: Path, *, cache: Path, seconds: float) -> None:
    """Put an executed notebook into the cache, in the place of an earlier execution."""
    bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
    get_cache(str(cache)).cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
