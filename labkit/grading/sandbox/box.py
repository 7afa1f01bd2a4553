"""Boxes for students' processes: no network, a read-only system, own files and processes, and limits on everything.

bubblewrap makes each box: it starts one idle process in namespaces of its own, and the student's process, forked from a
warmed parent (see `zygote`), joins it there. When the idle process is killed, everything in the box goes with it.

In a box there are: /usr, the Python environment, labkit (not the folder that it lies in) and the cache of data sets,
all read-only; an empty home and /tmp in memory; /proc of the box itself. Run by root, the processes in it belong to a
user number that nobody has; run by anyone else, to that user, in a user namespace without any capability.
"""

import contextlib
import json
import os
import platform
import shutil
import signal
import site
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import labkit
from labkit.data import cache_folder
from labkit.grading.sandbox import system_calls, transport

HOME = "/home/student"
ETC = ("alternatives", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types")
MISSING = (
    "bubblewrap is needed to grade safely, and there is no `bwrap` here. On Debian and Ubuntu: "
    "apt-get install bubblewrap. On macOS and Windows grade inside a Linux container or virtual machine: "
    "see the chapter Teaching with this book."
)


class BoxError(Exception):
    """A box cannot be made, or what runs in it has left its limits."""


@dataclass(frozen=True)
class Limits:
    """What one submission may use. Sizes in bytes, times in seconds."""

    cell: float = 120  # for one cell of the notebook
    call: float = 60  # for one call of a function
    total: float = 900  # for everything, from the first cell to the last answer
    memory: int = 4 * 2**30  # of all its processes together
    files: int = 512 * 2**20  # in its home, and again in /tmp
    processes: int = 64  # and threads


@dataclass
class Box:
    """A student's process, seen from outside."""

    limits: Limits
    folder: str  # the notebook's, as it is seen inside
    sandbox: subprocess.Popen | None = None  # bubblewrap; None without a sandbox
    pid: int = 0  # process number, outside, of the first process in the box
    pidfd: int = -1  # a descriptor that stands for it, whatever becomes of the number
    channel: socket.socket | None = None
    peak: int = 0  # bytes

    def watch(self) -> None:
        """Raises BoxError when the processes in the box use more memory than they may."""
        used = sum(map(_memory, self._processes()))
        self.peak = max(self.peak, used)
        if used > self.limits.memory:
            raise BoxError(f"used more than {self.limits.memory / 2**30:g} GB of memory")

    def _processes(self) -> list[Path]:
        proc = Path(f"/proc/{self.pid}/root/proc" if self.sandbox else "/proc")
        if self.sandbox is None:
            return [proc / str(self.pid)]
        with contextlib.suppress(OSError):
            return [entry for entry in proc.iterdir() if entry.name.isdigit()]
        return []

    def close(self) -> None:
        """End every process in the box; its files go with it."""
        if self.channel is not None:
            self.channel.close()
        if self.sandbox is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid or 2**30, signal.SIGKILL)
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        os.close(self.pidfd)
        try:
            self.sandbox.wait(5)  # it buries the first process, which takes the others with it
        except subprocess.TimeoutExpired:
            self.sandbox.kill()
            self.sandbox.wait()
        self.sandbox.stdout.close()


class Boxes:
    """Makes boxes, one at a time or several; keeps the warmed parent that students' processes are forked from."""

    def __init__(self, modules: list[str] = (), *, limits: Limits = Limits(), sandbox: bool = True):
        if sandbox and (platform.system() != "Linux" or shutil.which("bwrap") is None):
            raise BoxError(MISSING)
        self.limits, self.sandbox, self.modules = limits, sandbox, list(modules)
        self._parent = self._control = None
        self._is_warm = False

    def __enter__(self) -> "Boxes":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        if self._parent is not None:
            self._control.close()
            self._parent.kill()
            self._parent.wait()
            self._parent = None

    @contextlib.contextmanager
    def open(self) -> Iterator[Box]:
        """A new box with a new process in it that waits for orders (see `kernel`)."""
        box = self.start()
        try:
            yield box
        finally:
            box.close()

    def start(self) -> Box:
        """As `open`, to be closed by the caller.

        Raises:
            BoxError: bubblewrap cannot make one here; the message is its own.
        """
        self.warm()
        self._wait()
        box = self._sandboxed() if self.sandbox else Box(self.limits, folder=tempfile.mkdtemp(prefix="labkit-grade-"))
        try:
            box.channel, theirs = socket.socketpair()
            with theirs:
                descriptors = [theirs.fileno()] + ([box.pidfd] if self.sandbox else [])
                socket.send_fds(self._control, [json.dumps(self._order(box.folder)).encode()], descriptors)
            forked = json.loads(self._control.recv(64))
            box.pid = box.pid or forked
            answer = transport.receive(box.channel, seconds=60)  # before any of the student's code
            if answer != {"ready": True}:
                raise BoxError(f"a process cannot join its box: {answer.get('failed')}")
        except (OSError, ValueError, transport.TransportError) as error:
            box.close()
            raise BoxError(f"a process cannot join its box: {error}") from error
        except BoxError:
            box.close()
            raise
        return box

    def _sandboxed(self) -> Box:
        sandbox, pid = _start_sandbox(self.limits)
        return Box(self.limits, HOME, sandbox, pid, os.pidfd_open(pid))

    def warm(self) -> None:
        """Start the warmed parent, if it does not run, and leave it to its imports."""
        if self._parent is not None and self._parent.poll() is None:
            return
        self._control, theirs = socket.socketpair()
        command = [
            sys.executable,
            "-s",
            "-P",
            "-m",
            "labkit.grading.sandbox.zygote",
            str(theirs.fileno()),
            *self.modules,
        ]
        self._parent = subprocess.Popen(
            command, env=_environment(str(Path.home())), pass_fds=[theirs.fileno()], cwd="/", stdin=subprocess.DEVNULL
        )
        self._is_warm = False
        theirs.close()

    def _wait(self) -> None:
        self._control.settimeout(300)
        if not self._is_warm and self._control.recv(16) != b"warm":
            raise BoxError("the parent of the boxes could not start")
        self._is_warm = True

    def _order(self, folder: str) -> dict:
        root = self.sandbox and os.geteuid() == 0
        temporary = "/tmp" if self.sandbox else folder
        sizes = {"memory": self.limits.memory, "file_size": self.limits.files}
        return sizes | {
            "folder": folder,
            "environment": _environment(folder) | {"TMPDIR": temporary, "MPLCONFIGDIR": f"{temporary}/matplotlib"},
            "uid": 2_000_000 + os.getpid() if root else None,
            "cpu": int(self.limits.total) + 1,
            "processes": self.limits.processes,
            "count_processes": self.sandbox,
        }


def command(limits: Limits) -> list[str]:
    """bubblewrap's command line, up to the program that it is to run."""
    spaces = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if os.geteuid() != 0:
        spaces.append("--unshare-user")
    own = [f"--perms 1777 --size {limits.files} --tmpfs {place}".split() for place in ("/tmp", HOME, "/dev/shm")]
    files = ["--proc", "/proc", "--dev", "/dev", *(word for words in own for word in words), "--remount-ro", "/dev"]
    places = ["/usr", *(f"/etc/{name}" for name in ETC), *_python()]
    above = {str(folder) for place in places for folder in Path(place).parents}
    for folder in sorted(above - {"/"}):
        files += ["--perms", "0755", "--dir", folder]  # or only root could pass through it
    for place in places:
        files += ["--ro-bind-try", place, place]
    for place in map(Path, ("/bin", "/sbin", "/lib", "/lib32", "/lib64")):
        if place.is_symlink():
            files += ["--symlink", os.readlink(place), str(place)]
        elif place.exists():
            files += ["--ro-bind", str(place), str(place)]
    files += ["--remount-ro", "/", "--chdir", HOME]
    return [shutil.which("bwrap"), *spaces, *files, "--hostname", "box", "--new-session", "--die-with-parent"]


def _python() -> list[str]:
    """The environment, labkit and its data; each where it is, and where links lead to."""
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    places = [sys.prefix, sys.base_prefix, *packages, *user, Path(labkit.__file__).parent, cache_folder()]
    names = {str(kind) for place in places for kind in (Path(place).absolute(), Path(place).resolve())}
    return sorted(name for name in names if not name.startswith("/usr/") and name != "/usr")


def _environment(home: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("LANG", "PYTHONPATH") if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    settings = {"MPLBACKEND": "agg", "LABKIT_OFFLINE": "1", "LABKIT_CACHE": str(cache_folder()), "TQDM_DISABLE": "1"}
    path = f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin"
    return kept | threads | settings | {"PATH": path, "HOME": home, "USER": "student", "LOGNAME": "student"}


def _start_sandbox(limits: Limits) -> tuple[subprocess.Popen, int]:
    """A new box with an idle process in it, and that process's number outside."""
    reading, writing = os.pipe()
    rules, rules_in = os.pipe()  # the idle process is in the box too, and must not be worth taking over
    os.write(rules_in, system_calls.encoded())
    os.close(rules_in)
    idle = ["--as-pid-1", "--info-fd", str(writing), "--seccomp", str(rules), "--"]
    idle += ["/bin/sh", "-c", "echo ready; exec sleep infinity"]
    sandbox = subprocess.Popen(
        [*command(limits), *idle],
        env={"PATH": "/usr/bin:/bin"},
        pass_fds=[writing, rules],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    os.close(rules)
    with os.fdopen(reading) as file:
        ready = sandbox.stdout.readline()
        if ready != b"ready\n":
            sandbox.kill()
            words = sandbox.communicate()[1].decode(errors="replace").strip()
            raise BoxError(f"bubblewrap cannot make a box here: {words or 'no reason given'}")
        sandbox.stderr.close()
        return sandbox, json.load(file)["child-pid"]


def _memory(process: Path) -> int:
    """Bytes of memory that are a process's own or shared with its kind, not pages of files."""
    with contextlib.suppress(OSError, ValueError):
        lines = (process / "status").read_text().splitlines()
        return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem")))
    return 0
