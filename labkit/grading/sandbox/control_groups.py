"""Control groups: the kernel's own limit on the memory of all processes of a box, where we may use it.

Memory here is everything: of processes, files in memory, socket buffers and the kernel's own for them. Version 2 is
used where the group that we run in, or the one above it, lets us make groups with a memory controller (as with
`systemd-run --scope -p Delegate=yes` and in most containers run by root); version 1 where its memory hierarchy can be
written to. Elsewhere there is none, and `watcher` alone looks at the sum.
"""

import contextlib
import itertools
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from labkit.grading.sandbox.limits import Limits

NAME = "labkit-grade-{process}-{number}"
_numbers = itertools.count()


@dataclass(frozen=True)
class ControlGroup:
    """The group of one box."""

    folder: Path

    @property
    def list(self) -> Path:
        """The file with the numbers of its processes: who writes 0 to it moves in."""
        return self.folder / "cgroup.procs"

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel has ended a process of it because of its limit."""
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                found = re.search(r"^oom_kill (\d+)$", (self.folder / name).read_text(), re.MULTILINE)
                return found is not None and int(found[1]) > 0
        return False

    def close(self) -> None:
        """Remove it, when its processes are gone."""
        for _ in range(100):
            with contextlib.suppress(OSError):
                self.folder.rmdir()
            if not self.folder.exists():
                return
            time.sleep(0.01)


def make(limits: Limits) -> ControlGroup | None:
    """A new group with the limits of a box, or None where we may not make one."""
    for above, settings in _places(limits):
        folder = above / NAME.format(process=os.getpid(), number=next(_numbers))
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            for name, value in settings.items():
                (folder / name).write_text(str(value))
            for name in ("memory.swap.max", "memory.memsw.limit_in_bytes"):
                if (folder / name).exists():
                    (folder / name).write_text("0" if name == "memory.swap.max" else str(limits.memory))
            return ControlGroup(folder)
        except OSError:
            folder.rmdir()
    return None


def remove_forgotten() -> None:
    """Remove the empty groups of graders that were killed."""
    for above, _ in _places(Limits()):
        for folder in above.glob(NAME.format(process="*", number="*")):
            process = folder.name.split("-")[2]
            if not Path(f"/proc/{process}").exists():
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _places(limits: Limits) -> list[tuple[Path, dict[str, int]]]:
    """Where a group could be made, and what it would be told."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return []
    found: list[tuple[Path, dict[str, int]]] = []
    for words in mounts:
        kind, options = words[words.index("-") + 1], words[-1].split(",")
        top = Path(words[4])
        if kind == "cgroup2":
            mine = [top / path.lstrip("/") for number, _, path in own if number == "0"]
            settings = {"memory.max": limits.memory, "pids.max": limits.processes}
            for folder in dict.fromkeys(place for path in mine for place in (path, path.parent)):
                if folder.is_relative_to(top) and _has_memory(folder):
                    found.append((folder, settings))
        elif kind == "cgroup" and "memory" in options:
            mine = [top / path.lstrip("/") for _, controllers, path in own if "memory" in controllers.split(",")]
            found += [(folder, {"memory.limit_in_bytes": limits.memory}) for folder in mine]
    return found


def _has_memory(folder: Path) -> bool:
    """Whether groups below this one of version 2 have a memory controller, or can be given one."""
    with contextlib.suppress(OSError):
        if "memory" not in (folder / "cgroup.controllers").read_text().split():
            return False
        switch = folder / "cgroup.subtree_control"
        if "memory" not in switch.read_text().split():
            switch.write_text("+memory +pids")
        return {"memory", "pids"} <= set(switch.read_text().split())
    return False
