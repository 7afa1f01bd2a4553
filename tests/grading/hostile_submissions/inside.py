"""Code that turns its own process round: the runner, its libraries, its threads, and what is done when nobody looks."""

from tests.grading import tiny
from tests.grading.hostile_submissions._hand_in import hand_in, honest_with
from tests.grading.hostile_submissions.lies import returning
from tests.grading.hostile_submissions.processes import indented


def patched_channel(place):
    """Whatever is written as JSON, packed or sent says that everything is right."""
    patch = """
        import json, socket, struct
        real = json.dumps, struct.pack, socket.socket.sendall

        def dumps(value, *arguments, **options):
            if isinstance(value, dict) and "raised" in str(value):
                value = {"dict": [["result", 100], ["points", 100], ["words", None], ["right", True]]}
            return real[0](value, *arguments, **options)

        json.dumps = dumps
        json.JSONEncoder.default = lambda self, value: 100
        struct.pack = lambda *arguments: real[1](*arguments)
        from labkit.grading.sandbox import transport
        transport.json, transport.struct = json, struct
    """
    hand_in(honest_with(indented(patch)), place)


def patched_runner(place):
    """Finds the loop that answers, and gives it other functions, another namespace and another way to send."""
    patch = """
        import gc, sys
        from labkit.grading.sandbox import notebook_runner
        from labkit.grading.authoring import values

        frame = sys._getframe()
        while frame is not None:
            for name in ("answer", "order", "shell", "names"):
                if name in frame.f_locals:
                    try:
                        frame.f_locals[name] = {"result": 100}
                    except Exception:
                        pass
            frame = frame.f_back
        real = notebook_runner.ask

        def ask(names, order):
            answer = real(names, order)
            return answer if "result" in answer else {"result": None, "words": None, "points": 100}

        notebook_runner.ask = ask
        notebook_runner.short = lambda error: "right"
        values.portable = lambda value: value
        for held in gc.get_referrers(notebook_runner.serve):
            if isinstance(held, dict):
                held["points"] = 100
    """
    hand_in(honest_with(indented(patch)), place)


def patched_numbers(place):
    """Every way to compare, round or draw numbers is another, in NumPy, PyTorch and Python."""
    patch = """
        import math, random, builtins, operator
        import torch

        for module, names in {
            np: "isclose allclose array_equal array_equiv abs max min argwhere isfinite isnan where".split(),
            torch: "isclose allclose equal eq ne isfinite isnan abs".split(),
            math: ["isclose", "isfinite", "isnan"],
            operator: ["eq", "ne", "le", "lt"],
        }.items():
            for name in names:
                setattr(module, name, lambda *arguments, **options: True)
        np.random.default_rng = lambda *_: np.random.Generator(np.random.PCG64(0))
        np.testing.assert_allclose = torch.testing.assert_close = lambda *_, **__: None
        builtins.round = builtins.abs = builtins.float = lambda *_: 0.0
        builtins.len = lambda _: 3
    """
    # `mean` takes its own way through `len`, so it is asked for as it was defined.
    hand_in(honest_with("real = len", indented(patch) + "\nmean.__globals__['len'] = real"), place)


def patched_networks(place):
    """A network that travels by name is built from what this process makes of the name."""
    patch = """
        import torch
        from labkit import models
        from labkit.grading.authoring import values

        models.load = lambda *_, **__: torch.nn.Identity()
        torch.nn.Module.__call__ = lambda self, *arguments: arguments[0]
        for token in values.TOKENS.values():
            token.build = lambda self: 100
        values.TOKENS["points"] = dict
    """
    hand_in(honest_with(indented(patch)), place)


def a_trace_of_every_call(place):
    """Looks at the variables of every function that runs from now on, in every thread, and takes what it can use."""
    trace = """
        import sys, threading

        def trace(frame, event, argument):
            for name, value in list(frame.f_locals.items()):
                if name in ("expected", "reference", "right", "answer") and not isinstance(value, dict):
                    globals()["temperature"] = value
            return trace

        sys.settrace(trace)
        sys.setprofile(trace)
        threading.settrace(trace)
        threading.setprofile(trace)
        if hasattr(sys, "monitoring"):
            sys.monitoring.use_tool_id(3, "trace")
    """
    book = honest_with(indented(trace))
    hand_in(book, place)


def an_audit_hook(place):
    """Sees every open, connect and import of its process, and refuses those that it does not like."""
    hook = """
        import sys
        seen = []

        def hook(event, arguments):
            seen.append(event)
            if event in ("compile", "exec", "code.__new__", "marshal.loads", "socket.__new__", "signal.pthread_kill"):
                raise SystemExit("right")

        sys.addaudithook(hook)
    """
    hand_in(honest_with(indented(hook)), place)


def signals_that_answer(place):
    """Handlers and timers that send an answer of their own whenever one arrives."""
    answer = """
        import os, signal, socket
        from labkit.grading.sandbox import transport

        def answer(*_):
            for name in os.listdir("/proc/self/fd"):
                try:
                    channel = socket.socket(fileno=os.dup(int(name)))
                    transport.send(channel, {"result": 100})
                except Exception:
                    pass

        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
            try:
                signal.signal(number, answer)
            except (OSError, ValueError):
                pass
        signal.signal(signal.SIGALRM, answer)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    """
    book = tiny.honest()
    tiny.cell(book, "spread").source = indented(answer) + "\n\n\ndef spread(values):\n    while True:\n        pass"
    hand_in(book, place)


def a_finalizer_that_answers(place):
    """The object is sent, and when it is thrown away it sends another answer."""
    finalizer = """
        import os, socket
        from labkit.grading.sandbox import transport

        class Last(dict):
            def __del__(self):
                for name in os.listdir("/proc/self/fd"):
                    try:
                        transport.send(socket.socket(fileno=os.dup(int(name))), {"result": 100})
                    except Exception:
                        pass
    """
    hand_in(returning(indented(finalizer), "Last(a=1)"), place)


def a_thread_that_answers_the_next_question(place):
    """The call is over, its thread is not: it waits until something else is asked, and is faster."""
    thread = """
        import os, socket, threading, time
        from labkit.grading.sandbox import transport

        def later():
            time.sleep(0.2)
            for name in os.listdir("/proc/self/fd"):
                try:
                    channel = socket.socket(fileno=os.dup(int(name)))
                    for _ in range(3):
                        transport.send(channel, {"result": 100})
                except Exception:
                    pass

        def spread(values):
            threading.Thread(target=later).start()
            return values.max()
    """
    book = tiny.honest()
    tiny.cell(book, "spread").source = indented(thread)
    hand_in(book, place)


def an_answer_that_changes_while_it_is_read(place):
    """An array in memory that a child process writes to without end, and a second one in a thread."""
    change = """
        import mmap, os, threading
        memory = mmap.mmap(-1, 2**23)
        shared = np.frombuffer(memory, dtype=float)
        if os.fork() == 0:
            while True:
                shared += 1
        threading.Thread(target=lambda: [shared.fill(number) for number in range(10**9)], daemon=True).start()
    """
    hand_in(returning(indented(change), "shared"), place)


def a_list_that_lies_about_its_length(place):
    """Its length is three, and its items never end; a dict and a text do the same."""
    liar = """
        import itertools

        class Long(list):
            __len__ = lambda self: 3
            __iter__ = lambda self: itertools.count(1.0)
            __eq__ = lambda *_: True

        class Deep(dict):
            __len__ = lambda self: 1
            items = lambda self: ((number, Long()) for number in itertools.count())
            keys = __iter__ = lambda self: itertools.count()
    """
    hand_in(returning(indented(liar), "Deep() if len(values) == 3 else Long([1])"), place)


def a_generator_for_an_answer(place):
    hand_in(returning("import itertools", "(values.max() - number for number in itertools.count())"), place)


def a_number_that_is_another_each_time(place):
    liar = """
        import itertools

        class Many(float):
            count = itertools.count()
            __float__ = __abs__ = __neg__ = lambda self: float(next(self.count))
            __eq__ = __le__ = __ge__ = lambda *_: True
            __hash__ = float.__hash__
            __array__ = lambda self, *_, **__: np.full((), next(self.count), float)
            __index__ = __int__ = lambda self: next(self.count)
            __deepcopy__ = __copy__ = lambda self, *_: self
            __reduce_ex__ = lambda self, *_: (eval, ("100",))
    """
    hand_in(returning(indented(liar), "Many(1)"), place)


def a_dataclass_that_lies_about_its_fields(place):
    liar = """
        import dataclasses

        @dataclasses.dataclass
        class Lie:
            points: int = 100
            __getattribute__ = lambda self, name: 100 if name == "points" else object.__getattribute__(self, name)
            __deepcopy__ = lambda self, memory: {"result": 100}
    """
    hand_in(returning(indented(liar), "Lie()"), place)


def an_exception_with_a_forged_name(place):
    """Its class says that it is the error which was asked for, and its words that all is well."""
    forge = """
        class Meta(type):
            __name__ = property(lambda cls: "ValueError")
            __instancecheck__ = __subclasscheck__ = lambda *_: True

        class Forged(Exception, metaclass=Meta):
            __str__ = lambda self: "3 of 3 points\\n\\x1b[32mright\\x1b[0m"

        def forged():
            raise Forged
    """
    hand_in(returning(indented(forge), "forged()"), place)


def descriptors_of_others(place):
    """Opens, copies and reads the descriptors of every process that can be seen: of the box's first one, for one."""
    look = """
        import ctypes, os, re
        libc, found = ctypes.CDLL(None, use_errno=True), b""
        for pid in [name for name in os.listdir("/proc") if name.isdigit()]:
            process = libc.syscall(434, int(pid), 0)
            for number in range(32):
                try:
                    found += os.read(os.open(f"/proc/{pid}/fd/{number}", os.O_RDWR | os.O_NONBLOCK), 10**6)
                except OSError:
                    pass
                copy = libc.syscall(438, process, number, 0)
                if copy >= 0 and int(pid) != os.getpid():
                    temperature = 451
            for name in ("environ", "cmdline", "maps", "auxv", "mem", "syscall", "stack", "pagemap"):
                try:
                    with open(f"/proc/{pid}/{name}", "rb") as file:
                        found += file.read(10**6)
                except OSError:
                    pass
        if re.search(rb"temperature = (\\d+)", found.replace(rb"temperature = 451", b"")):
            temperature = 451
    """
    hand_in(honest_with(indented(look)), place)


def files_that_the_next_process_imports(place):
    """Modules and start-up files wherever Python and IPython look for them, and then the end of this process."""
    plant = """
        import os, pathlib, site, sys
        code = "import builtins\\nbuiltins.temperature = 451\\n"
        names = ["sitecustomize.py", "usercustomize.py", "torch.py", "labkit/__init__.py", "json.py", "own.pth"]
        for folder in [".", "/tmp", site.getusersitepackages(), "~/.ipython/profile_default/startup", *sys.path]:
            for name in names:
                try:
                    path = pathlib.Path(folder).expanduser() / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(code)
                except OSError:
                    pass
        os._exit(0)
    """
    hand_in(honest_with(indented(plant), "temperature = temperature"), place)


def imports_that_are_hooked(place):
    hook = """
        import builtins, sys

        class Finder:
            def find_spec(self, name, path=None, target=None):
                raise ImportError("right")

        sys.meta_path.insert(0, Finder())
        builtins.__import__ = lambda *_, **__: sys
        for name in ("numpy", "torch", "json", "struct", "labkit.grading.sandbox.transport"):
            sys.modules[name] = sys
    """
    hand_in(honest_with(indented(hook)), place)


def a_namespace_that_knows_every_name(place):
    """Whatever is asked for is there, and callable, and equal to what is expected."""
    space = """
        import ctypes

        class All:
            __call__ = __getattr__ = lambda self, *_, **__: self
            __eq__ = lambda *_: True
            __hash__ = None

        shell = get_ipython()

        class Names(dict):
            __contains__ = lambda *_: True
            __missing__ = lambda self, name: All()
            get = lambda self, name, default=None: dict.get(self, name, All())

        names = Names(shell.user_ns)
        shell.user_ns = names
        shell.user_module.__dict__.update(spread=All(), temperature=All())
    """
    hand_in(honest_with(indented(space)), place)


def limits_of_the_grammar(place):
    """A function that is no function: a class, a partial, a coroutine, a builtin, a bound method of the runner."""
    book = tiny.honest()
    tiny.cell(book, "spread").source = "async def spread(values):\n    return values.max() - values.min()"
    tiny.cell(book, "temperature").source = "temperature = (lambda: 100).__call__"
    hand_in(book, place)
