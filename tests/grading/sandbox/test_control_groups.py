"""Control groups of version 2, in a made-up tree of files as the kernel shows them.

That the kernel then enforces them was tried by hand, with Linux 6.1 in a virtual machine: a group that `make` had made
beside our own was told to hold 64 MB and 8 processes. A process was killed at 64 MB, whether it filled its own memory,
files in memory or the buffers of sockets; the process after the tenth was refused; `ran_out_of_memory` said so where it
should, and `close` left no group.
"""

from labkit.grading.sandbox import control_groups
from labkit.grading.sandbox.limits import Limits


def tree(folder, group, controllers="cpu memory pids", given="cpu memory pids"):
    """A process in this group of a hierarchy of version 2; the folder that stands for its /proc/self."""
    own, top = folder / "proc", folder / "cgroup"
    own.mkdir()
    (top / group).mkdir(parents=True)
    for each in (top / group, (top / group).parent):
        (each / "cgroup.controllers").write_text(f"{controllers}\n")
        (each / "cgroup.subtree_control").write_text(f"{given}\n")
    (own / "mountinfo").write_text(
        f"29 22 0:26 / /proc rw,nosuid - proc proc rw\n"
        f"30 23 0:27 / {top} rw,nosuid,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
    )
    (own / "cgroup").write_text(f"0::/{group}\n")
    return own


def test_a_group_of_version_2_has_the_limits_of_a_box(tmp_path):
    own = tree(tmp_path, "user.slice/run-1.scope")
    group = control_groups.make(Limits(memory=2**30, processes=64), own)
    (folder,) = group.folders
    assert folder.parent == tmp_path / "cgroup/user.slice/run-1.scope"
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "memory.max": str(2**30),
        "memory.swap.max": "0",
        "pids.max": "66",
    }
    assert group.lists == [folder / "cgroup.procs"]
    (folder / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\noom_group_kill 0\n")
    assert not group.ran_out_of_memory()
    (folder / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n")
    assert group.ran_out_of_memory()
    for path in folder.iterdir():
        path.unlink()  # the kernel's own files are no obstacle
    group.close()
    assert not folder.exists()


def test_a_group_may_stand_beside_our_own(tmp_path):
    """Where processes are, no controller can be given on (a rule of version 2): the group above is tried too."""
    own = tree(tmp_path, "user.slice/run-1.scope")
    (tmp_path / "cgroup/user.slice/run-1.scope/cgroup.subtree_control").unlink()
    (folder,) = control_groups.make(Limits(), own).folders
    assert folder.parent == tmp_path / "cgroup/user.slice"


def test_no_group_without_a_memory_controller(tmp_path):
    assert control_groups.make(Limits(), tree(tmp_path, "a/b", controllers="cpu pids", given="cpu")) is None
    assert not list((tmp_path / "cgroup").rglob("labkit*"))


def test_no_group_where_the_kernel_says_nothing(tmp_path):
    assert control_groups.make(Limits(), tmp_path) is None
