"""Processes that do not end, end too early, multiply, or take all there is."""

from tests.grading import tiny
from tests.grading.hostile_submissions._hand_in import hand_in, honest_with


def infinite_loop(place):
    hand_in(honest_with("while True:\n    pass", first=True), place)


def infinite_loop_that_catches_everything(place):
    loop = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
    hand_in(honest_with(loop), place)


def infinite_loop_in_a_function(place):
    book = tiny.honest()
    tiny.cell(book, "spread").source = "def spread(values):\n    while True:\n        pass"
    hand_in(book, place)


def endless_arithmetic(place):
    """One instruction that takes for ever: no signal is handled meanwhile."""
    hand_in(honest_with("answer = 7 ** 7 ** 7 ** 7 ** 7"), place)


def fork_bomb(place):
    hand_in(
        honest_with("import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"), place
    )


def fork_bomb_of_the_shell(place):
    hand_in(honest_with("!bomb() { bomb | bomb & }; bomb", "!while true; do sh -c 'sleep 100' & done"), place)


def thread_bomb(place):
    bomb = "import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(100,)).start()"
    hand_in(honest_with(bomb), place)


def memory_bomb(place):
    hand_in(honest_with("hoard = []\nwhile True:\n    hoard.append(bytearray(b'x') * 10**8)"), place)


def memory_bomb_in_many_processes(place):
    hoard = """
        import os, time
        for _ in range(20):
            if os.fork() == 0:
                hoard = bytearray(b'x') * (3 * 10**8)
                time.sleep(100)
        time.sleep(100)
    """
    hand_in(honest_with("\n".join(line[8:] for line in hoard.splitlines())), place)


def memory_that_belongs_to_nobody(place):
    """Shared memory, files in memory, and a full /tmp."""
    hand_in(
        honest_with(
            "import os\nfile = os.memfd_create('hoard')\nwhile True:\n    os.write(file, b'x' * 10**7)",
            "import ctypes\nlibc = ctypes.CDLL(None)\nfor _ in range(100):\n    libc.shmget(0, 10**9, 0o1666)",
            "!head -c 100G /dev/zero > /dev/shm/hoard",
            "!head -c 100G /dev/zero > /tmp/hoard",
        ),
        place,
    )


def gigabytes_of_output(place):
    hand_in(honest_with("for _ in range(3000):\n    print('x' * 10**6)", "!head -c 3G /dev/zero"), place)


def endless_repr(place):
    endless = "class Endless:\n    def __repr__(self):\n        return 'x, ' * 10**9\n\n\nEndless()"
    hand_in(honest_with(endless, "list(range(10**9))"), place)


def sys_exit(place):
    hand_in(honest_with("import sys\nsys.exit(0)", first=True), place)


def os_exit(place):
    hand_in(honest_with("import os\nos._exit(0)", first=True), place)


def os_exit_in_a_function(place):
    book = tiny.honest()
    tiny.cell(book, "spread").source = "import os\n\n\ndef spread(values):\n    os._exit(0)"
    hand_in(book, place)


def crash(place):
    hand_in(honest_with("import ctypes\nctypes.string_at(0)"), place)


def kills_everything_in_reach(place):
    kill = """
        import os
        for pid in (os.getppid(), 1, 0, -1):
            try:
                os.kill(pid, 9)
            except OSError:
                pass
    """
    hand_in(honest_with("\n".join(line[8:] for line in kill.splitlines())), place)


def daemon(place):
    """A grandchild with a session of its own, which is to be there when grading is over."""
    outlive = """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for name in os.listdir("/proc/self/fd"):
                    try:
                        os.close(int(name))
                    except OSError:
                        pass
                os.execvp("sleep", ["labkit-attack-daemon", "1234"])
            os._exit(0)
    """
    hand_in(honest_with("\n".join(line[8:] for line in outlive.splitlines())), place)


def work_at_exit(place):
    late = "import atexit, os\natexit.register(lambda: open('/tmp/labkit-attack', 'w').write('late'))"
    hand_in(honest_with(late, "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)"), place)


def stop_signals(place):
    hand_in(honest_with("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"), place)


def indented(lines):
    return "\n".join(line[8:] for line in lines.splitlines())


def fifty_five_spinning_processes(place):
    """All processors are taken: whoever measures by the clock on the wall finds the neighbours slow."""
    spin = """
        import os, time
        for _ in range(55):
            if os.fork() == 0:
                while True:
                    pass
        time.sleep(100)
    """
    hand_in(honest_with(indented(spin)), place)


def spinning_with_the_lowest_priority(place):
    spin = "import os\nos.nice(19)\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True:\n    pass"
    hand_in(honest_with(spin), place)


def six_children_of_700_megabytes(place):
    hoard = """
        import os, time
        for _ in range(6):
            if os.fork() == 0:
                hoard = bytearray(b'x') * (7 * 10**8)
                time.sleep(100)
        time.sleep(100)
    """
    hand_in(honest_with(indented(hoard)), place)


def memory_that_processes_share(place):
    hoard = """
        import mmap, os, time
        hoards = []
        while True:
            hoards.append(mmap.mmap(-1, 10**8))
            for offset in range(0, 10**8, 4096):
                hoards[-1][offset] = 1
    """
    hand_in(honest_with(indented(hoard)), place)


def buffers_of_sockets(place):
    hoard = """
        import os, socket, time
        for _ in range(40):
            if os.fork() == 0:
                break
        pairs = []
        try:
            while True:
                pairs.append(socket.socketpair())
                for end in pairs[-1]:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10**9)
                    end.setblocking(False)
                    try:
                        while True:
                            end.send(b"x" * 10**5)
                    except BlockingIOError:
                        pass
        except OSError:
            time.sleep(100)
    """
    hand_in(honest_with(indented(hoard)), place)


def buffers_of_pipes(place):
    hoard = """
        import fcntl, os, time
        pipes = []
        try:
            while True:
                pipes.append(os.pipe())
                fcntl.fcntl(pipes[-1][1], 1031, 2**20)
                os.set_blocking(pipes[-1][1], False)
                os.write(pipes[-1][1], b"x" * 2**20)
        except OSError:
            time.sleep(100)
    """
    hand_in(honest_with(indented(hoard)), place)


def three_places_in_memory(place):
    fill = "for place in /tmp /dev/shm ~; do head -c 500M /dev/zero > $place/hoard & done; wait; sleep 100"
    hand_in(honest_with(f"!{fill}"), place)


def a_million_empty_files(place):
    files = "n = 0\nwhile n < 10**6:\n    open(f'/tmp/{n}', 'w').close()\n    n += 1"
    hand_in(honest_with(files), place)


def ten_thousand_open_files(place):
    files = "def opened():\n    kept = []\n    while True:\n        kept.append(open('/dev/null'))\n\n\nopened()"
    hand_in(honest_with(files), place)


def zombies(place):
    rise = "import os\nfor _ in range(100):\n    if os.fork() == 0:\n        os._exit(0)"
    hand_in(honest_with(rise), place)


def a_stack_without_end(place):
    deep = "import sys\nsys.setrecursionlimit(10**9)\n\n\ndef f(x):\n    return f([x])\n\n\nf(0)"
    hand_in(
        honest_with(deep, "import functools\nf = print\nfor _ in range(10**6):\n    f = functools.partial(f)\nf()"),
        place,
    )


def the_first_process_is_attacked(place):
    attack = """
        import ctypes, os, signal
        for number in (signal.SIGSTOP, signal.SIGKILL, signal.SIGSEGV):
            try:
                os.kill(1, number)
            except OSError:
                pass
        for name in ("mem", "environ", "fd/1", "cwd", "root/etc/x"):
            try:
                with open(f"/proc/1/{name}", "r+b") as file:
                    file.seek(4096)
                    file.write(b"x" * 4096)
            except OSError:
                pass
    """
    hand_in(honest_with(indented(attack)), place)


def sockets_to_the_host(place):
    """To the hypervisor (AF_VSOCK), the kernel (netlink, AF_ALG) and the wire (AF_PACKET)."""
    knock = """
        import socket
        for family in range(3, 46):
            if family == 10:
                continue
            for kind in (1, 2, 3, 5):
                try:
                    with socket.socket(family, kind) as own:
                        opened = True
                        own.settimeout(0.1)
                        own.connect((2, 1024))
                except (OSError, TypeError, OverflowError):
                    pass
        if globals().get("opened"):
            temperature = 451
    """
    hand_in(honest_with(indented(knock)), place)


def an_alarm_that_is_ignored(place):
    deaf = "import signal\nreal = signal.signal\nsignal.signal = lambda *_: None\n"
    hand_in(honest_with(deaf + "real(signal.SIGALRM, signal.SIG_IGN)\nwhile True:\n    pass"), place)


def sleeping(place):
    hand_in(honest_with("import time\ntime.sleep(1000)"), place)


def sleeping_in_a_function(place):
    book = tiny.honest()
    tiny.cell(book, "spread").source = "import time\n\n\ndef spread(values):\n    time.sleep(1000)"
    hand_in(book, place)


def limits_that_are_lifted(place):
    lift = """
        import resource
        for name in dir(resource):
            if name.startswith("RLIMIT"):
                try:
                    resource.setrlimit(getattr(resource, name), (-1, -1))
                    lifted = name
                except (OSError, ValueError):
                    pass
        if resource.getrlimit(resource.RLIMIT_AS)[1] == -1:
            temperature = 451
        hoard = []
        while True:
            hoard.append(bytearray(b"x") * 10**8)
    """
    hand_in(honest_with(indented(lift)), place)


def threads_that_spin(place):
    spin = "import threading\n\n\ndef spin():\n    while True:\n        pass\n\n\n"
    hand_in(honest_with(spin + "for _ in range(30):\n    threading.Thread(target=spin, daemon=True).start()"), place)
