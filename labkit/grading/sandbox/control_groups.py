"""Control groups: the kernel's own limits on all processes of a box together, where we may use them.

Memory here is everything: of processes, files in memory, socket buffers and the kernel's own for them. And a box gets
the share of a processor that one box gets, however many processes it starts. Version 2 is used where the group that we
run in, or the one above it, lets us make groups with a memory controller; version 1 where its hierarchies can be
written to. Elsewhere there are none, and `watcher` alone looks at the sum.
"""

import contextlib
import itertools
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from labkit.grading.sandbox.limits import Limits

OWN = Path("/proc/self")  # where the kernel says which groups and mounts we have
NAME = "labkit-grade-{process}-{number}"
_numbers = itertools.count()


@dataclass(frozen=True)
class ControlGroup:
    """The group of one box; in version 1 one for each hierarchy, that of memory first."""

    folders: tuple[Path, ...]

    @property
    def lists(self) -> list[Path]:
        """The files with the numbers of its processes: who writes 0 to them moves in."""
        return [folder / "cgroup.procs" for folder in self.folders]

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel has ended a process of it because of its limit."""
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                found = re.search(r"^oom_kill (\d+)$", (self.folders[0] / name).read_text(), re.MULTILINE)
                return found is not None and int(found[1]) > 0
        return False

    def close(self) -> None:
        """Remove it, when its processes are gone."""
        for folder in self.folders:
            for _ in range(100):
                with contextlib.suppress(OSError):
                    folder.rmdir()
                if not folder.exists():
                    break
                time.sleep(0.01)


def make(limits: Limits, own: Path = OWN) -> ControlGroup | None:
    """A new group with the limits of a box, or None where we may not make one.

    Args:
        limits: of the box.
        own: the folder in /proc of the process whose groups the new one is made in.
    """
    name = NAME.format(process=os.getpid(), number=next(_numbers))
    second = {"memory.max": limits.memory, "memory.swap.max": 0, "pids.max": limits.processes + 2}  # and the idle one
    for above in _places("2", own):
        if _has_memory(above) and _made(above / name, second):
            return ControlGroup((above / name,))
    first = {"memory.limit_in_bytes": limits.memory, "memory.memsw.limit_in_bytes": limits.memory}
    memory = [above / name for above in _places("memory", own) if _made(above / name, first)]
    processor = [above / name for above in _places("cpu", own) if memory and _made(above / name, {})]
    return ControlGroup((*memory, *processor)) if memory else None


def remove_forgotten() -> None:
    """Remove the empty groups of graders that were killed."""
    for above in (*_places("2"), *_places("memory"), *_places("cpu")):
        for folder in above.glob(NAME.format(process="*", number="*")):
            if not Path(f"/proc/{folder.name.split('-')[2]}").exists():
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _made(folder: Path, settings: dict[str, int]) -> bool:
    """Make a group; False where that, or its first setting, is refused."""
    try:
        folder.mkdir()
    except OSError:
        return False
    for place, (name, value) in enumerate(settings.items()):
        try:
            (folder / name).write_text(str(value))
        except OSError:
            if place == 0:
                folder.rmdir()
                return False
    return True


def _places(controller: str, own: Path = OWN) -> list[Path]:
    """Where a group could be made: for a controller of version 1, or for "2"."""
    try:
        mounts = [line.split() for line in (own / "mountinfo").read_text().splitlines()]
        groups = [line.split(":", 2) for line in (own / "cgroup").read_text().splitlines()]
    except OSError:
        return []
    found = []
    for words in mounts:
        kind, options, top = words[words.index("-") + 1], words[-1].split(","), Path(words[4])
        for number, controllers, path in groups:
            folder = top / path.lstrip("/")
            if controller == "2" and kind == "cgroup2" and number == "0":
                found += [place for place in (folder, folder.parent) if place.is_relative_to(top)]
            elif kind == "cgroup" and controller in options and controller in controllers.split(","):
                found.append(folder)
    return list(dict.fromkeys(found))


def _has_memory(folder: Path) -> bool:
    """Whether groups below this one of version 2 have a memory controller, or can be given one."""
    with contextlib.suppress(OSError):
        switch = folder / "cgroup.subtree_control"
        there, given = ((folder / name).read_text().split() for name in ("cgroup.controllers", switch.name))
        for controller in ("memory", "pids", "cpu"):
            if controller in there and controller not in given:
                with contextlib.suppress(OSError):
                    switch.write_text(f"+{controller}")
        return "memory" in switch.read_text().split()
    return False
