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
