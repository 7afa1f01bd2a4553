"""bubblewrap's command line, and the idle process that keeps a box's namespaces.

In a box there are: /usr, the Python environment, labkit (not the folder that it lies in) and the cache of data sets,
all read-only; an empty home, /tmp and /dev/shm in memory; /proc of the box itself.
"""

import os
import platform
import shutil
import site
import socket
import struct
import subprocess
import sys
from pathlib import Path

import labkit
from labkit.files import cache_folder
from labkit.grading.sandbox import system_calls
from labkit.grading.sandbox.limits import Limits

HOME = "/home/student"
IN_MEMORY = ("/tmp", HOME, "/dev/shm")
ETC = ("alternatives", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types")
SETTINGS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_ARENA_MAX"), "1")
SETTINGS |= {"MPLBACKEND": "agg", "LABKIT_OFFLINE": "1", "TQDM_DISABLE": "1"}  # of every process that computes
KEPT_OUT = ("--cap-drop", "ALL", "--new-session", "--die-with-parent")
MISSING = (
    "bubblewrap is needed to grade safely, and there is no `bwrap` here. On Debian and Ubuntu: "
    "apt-get install bubblewrap. On macOS and Windows grade inside a Linux container or virtual machine: "
    "see the chapter Teaching with this book."
)
CREDENTIALS = struct.Struct("3i")  # process, user, group
# It ends when its input does. It may be taken over where it has the student's user number: it gets next to nothing.
IDLE = "ulimit -c 0; ulimit -f 0; ulimit -n 16; ulimit -t 10; ulimit -v 65536; echo ready; read end"


class BoxError(Exception):
    """A box cannot be made."""


def check_available() -> None:
    """Raises BoxError where there is no bubblewrap."""
    if platform.system() != "Linux" or shutil.which("bwrap") is None:
        raise BoxError(MISSING)


def command(limits: Limits) -> list[str]:
    """bubblewrap's command line, up to the program that it is to run."""
    spaces = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if os.geteuid() != 0:
        spaces.append("--unshare-user")
    own = [f"--perms 1777 --size {limits.files} --tmpfs {place}".split() for place in IN_MEMORY]
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
    return [shutil.which("bwrap") or "bwrap", *spaces, *files, "--hostname", "box", *KEPT_OUT]


def _python() -> list[str]:
    """The environment, labkit and its data; each where it is, and where links lead to."""
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    places = [sys.prefix, sys.base_prefix, *packages, *user, Path(labkit.__file__).parent, cache_folder()]
    names = {str(kind) for place in places for kind in (Path(place).absolute(), Path(place).resolve())}
    return sorted(name for name in names if not name.startswith("/usr/") and name != "/usr")


def environment(home: str) -> dict[str, str]:
    """The environment variables of a student's process, and of the server that it is forked from."""
    kept = {name: os.environ[name] for name in ("LANG", "PYTHONPATH") if name in os.environ}
    path = f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin"
    own = {"LABKIT_CACHE": str(cache_folder()), "PATH": path, "HOME": home, "USER": "student", "LOGNAME": "student"}
    return kept | SETTINGS | own


def start(limits: Limits, group: Path | None) -> tuple[subprocess.Popen, int, socket.socket]:
    """Make a new box with an idle process in it.

    The box lasts as long as the socket that is returned: when the process that holds it ends, however that happens,
    the idle process reads the end of its input and ends too. `--die-with-parent` alone would not do. It takes effect
    some milliseconds after bubblewrap was started; and where bubblewrap is killed while it sets up the box, its child
    waits for it for ever.

    Args:
        limits: for the files in memory.
        group: the list of processes of the control group that the box is to belong to.

    Returns:
        bubblewrap, the idle process's number outside, and the socket.

    Raises:
        BoxError: bubblewrap cannot make one here; the message is its own.
    """
    rules, rules_in = os.pipe()
    os.write(rules_in, system_calls.encoded())
    os.close(rules_in)
    words = [*command(limits), "--as-pid-1", "--seccomp", str(rules), "--"]
    if group is not None:
        words = ["/bin/sh", "-c", 'echo 0 > "$0" && exec "$@"', str(group), *words]
    lifeline, theirs = socket.socketpair()
    lifeline.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    with theirs:
        sandbox = subprocess.Popen(
            [*words, "/bin/sh", "-c", IDLE],
            env={"PATH": "/usr/bin:/bin"},
            pass_fds=[rules],
            cwd="/",
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.PIPE,
        )
    os.close(rules)
    assert sandbox.stderr is not None
    pid = sender(lifeline)
    if not pid:
        lifeline.close()
        sandbox.kill()
        reason = sandbox.communicate()[1].decode(errors="replace").strip()
        raise BoxError(f"bubblewrap cannot make a box here: {reason or 'no reason given'}")
    sandbox.stderr.close()
    return sandbox, pid, lifeline


def sender(channel: socket.socket, flags: int = 0) -> int:
    """The number, as it is seen here, of the process that sent the next byte; 0 where nothing more comes.

    The kernel writes it on what is sent, so it is true whoever sends. The channel has SO_PASSCRED set.
    """
    found, notes, _, _ = channel.recvmsg(1, socket.CMSG_SPACE(CREDENTIALS.size), flags)
    return CREDENTIALS.unpack(notes[0][2])[0] if found and notes else 0
