"""Code that says it is right: patched comparisons, objects that equal everything, forged answers."""

from tests.grading import tiny
from tests.grading.hostile_submissions._hand_in import hand_in, honest_with


def returning(source, expression):
    """The honest notebook whose open tasks answer with something special."""
    book = tiny.honest()
    tiny.cell(book, "spread").source = f"{source}\n\n\ndef spread(values):\n    return {expression}"
    tiny.cell(book, "temperature").source = f"{source}\n\ntemperature = {expression.replace('values', 'np.zeros(3)')}"
    return book


def patched_assert(place):
    patch = (
        "import builtins\n\n\nclass AssertionError(Exception):\n    def __new__(cls, *_):\n        return None\n\n\n"
    )
    hand_in(honest_with(patch + "builtins.AssertionError = AssertionError"), place)


def patched_numpy_testing(place):
    patch = "import numpy.testing\nfor name in dir(np.testing):\n    setattr(np.testing, name, lambda *_, **__: None)"
    hand_in(honest_with(patch), place)


def patched_allclose(place):
    patch = (
        "import torch\nfor module in (np, torch):\n    for name in ('allclose', 'isclose', 'array_equal', 'equal'):\n"
    )
    hand_in(honest_with(patch + "        setattr(module, name, lambda *_, **__: True)", first=True), place)


def patched_builtins(place):
    patch = "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.isinstance = lambda *_: True\n"
    hand_in(honest_with(patch + "builtins.all = builtins.any = lambda *_: True", first=True), place)


def patched_checks(place):
    patch = "from labkit.grading.authoring import check\nfrom labkit.grading.marking import marking\n"
    patch += "check.same = lambda *_: None\ncheck.here = lambda *_: None\n"
    hand_in(honest_with(patch + "marking.Marker._task = lambda *_: {'points': 100, 'of': 1, 'parts': []}"), place)


def always_equal(place):
    liar = "class Equal:\n    __eq__ = __le__ = __lt__ = __ge__ = __gt__ = lambda *_: True\n    __hash__ = None\n"
    liar += "    __sub__ = __rsub__ = __abs__ = lambda self, *_: self\n    __bool__ = lambda self: True"
    hand_in(returning(liar, "Equal()"), place)


def lying_float(place):
    liar = (
        "class Lie(float):\n    __eq__ = lambda *_: True\n    __sub__ = __rsub__ = lambda *_: 0.0\n    __hash__ = None"
    )
    hand_in(returning(liar, "Lie(1)"), place)


def lying_array(place):
    liar = "class Lie(np.ndarray):\n    __array_priority__ = 10**9\n    __eq__ = __le__ = lambda *_: np.True_\n"
    liar += "    def __array_ufunc__(self, *_, **__):\n        return np.zeros(self.shape)\n"
    liar += "    def __array_function__(self, *_, **__):\n        return np.True_\n"
    hand_in(returning(liar, "np.ones(3).view(Lie)"), place)


def lying_tensor(place):
    liar = "import torch\n\n\nclass Lie(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, *_, **__):\n"
    hand_in(returning(liar + "        return True", "torch.ones(3).as_subclass(Lie)"), place)


def lying_string(place):
    liar = "class Lie(str):\n    __eq__ = lambda *_: True\n    __hash__ = str.__hash__"
    hand_in(returning(liar, "Lie('equal')"), place)


def syntax_tree_transformer(place):
    """Drops every assert and every raise of what is run after it."""
    transformer = """
        import ast

        class Drop(ast.NodeTransformer):
            visit_Assert = visit_Raise = lambda self, node: ast.Pass()

        get_ipython().ast_transformers.append(Drop())
    """
    hand_in(honest_with("\n".join(line[8:] for line in transformer.splitlines()), first=True), place)


def input_transformer(place):
    drop = "get_ipython().input_transformers_cleanup.append(lambda lines: ['pass'] if 'check' in str(lines) else lines)"
    hand_in(honest_with(drop, first=True), place)


def silenced_traceback(place):
    silence = "shell = get_ipython()\nshell.showtraceback = shell.showsyntaxerror = lambda *_, **__: None\n"
    hand_in(honest_with(silence + "shell.run_cell = lambda *_, **__: None", first=True), place)


def forged_answers(place):
    """Finds the socket to the marking process and writes answers of its own into it, thousands of them."""
    forge = """
        import os, socket, threading, time
        from labkit.grading.sandbox import transport

        frames = [{"result": 451}, {"ended": None}, {"points": 100}, {"result": None}, {"raised": ["", ""]}]

        def forge():
            for name in os.listdir("/proc/self/fd"):
                try:
                    channel = socket.socket(fileno=os.dup(int(name)))
                    for _ in range(100):
                        for frame in frames:
                            transport.send(channel, frame)
                except Exception:
                    pass

        forge()
    """
    hand_in(honest_with("\n".join(line[8:] for line in forge.splitlines())), place)


def forged_failure_of_the_box(place):
    forge = "from labkit.grading.sandbox import transport\nreal = transport.send\n"
    forge += "transport.send = lambda channel, value, **_: real(channel, {'failed': 'give me all the points'})"
    hand_in(honest_with(forge), place)


def pickle_payload(place):
    bomb = (
        "import os\n\n\nclass Bomb:\n    def __reduce__(self):\n        return os.system, ('touch /tmp/labkit-attack',)"
    )
    hand_in(returning(bomb, "np.array([Bomb()], dtype=object)"), place)


def pickle_payload_past_the_encoder(place):
    """Its own bytes instead of what transport would write: an .npy file with a pickle in it."""
    forge = """
        import io, os, struct, json
        from labkit.grading.sandbox import transport

        class Bomb:
            def __reduce__(self):
                return os.system, ("touch /tmp/labkit-attack",)

        def encode(value):
            file = io.BytesIO()
            np.save(file, np.array([Bomb()], dtype=object), allow_pickle=True)
            blob, tree = file.getvalue(), json.dumps({"dict": [["result", {"array": 0}]]}).encode()
            return struct.pack(">I", len(tree)) + tree + struct.pack(">Q", len(blob)) + blob

        transport.encode = encode
    """
    hand_in(honest_with("\n".join(line[8:] for line in forge.splitlines())), place)


def claims_of_size(place):
    """An array whose header promises a quintillion numbers, with none behind it."""
    forge = """
        import json, struct
        from labkit.grading.sandbox import transport

        def encode(value):
            claim = {"descr": "<f8", "fortran_order": False, "shape": (2**30, 2**30)}
            header = repr(claim).encode().ljust(117) + b"\\n"
            blob = b"\\x93NUMPY\\x01\\x00" + struct.pack("<H", len(header)) + header
            tree = json.dumps({"dict": [["result", {"array": 0}]]}).encode()
            return struct.pack(">I", len(tree)) + tree + struct.pack(">Q", len(blob)) + blob

        transport.encode = encode
    """
    hand_in(honest_with("\n".join(line[8:] for line in forge.splitlines())), place)


def frame_of_exabytes(place):
    """A length that promises far more than will ever come."""
    forge = "import struct\nfrom labkit.grading.sandbox import transport\ntransport.send = lambda channel, value, **_: "
    hand_in(honest_with(forge + "channel.sendall(struct.pack('>Q', 2**60) + b'x' * 10**7)"), place)


def enormous_result(place):
    hand_in(returning("", "np.zeros(10**8)"), place)


def endless_nesting(place):
    nest = "nested = []\nfor _ in range(10**5):\n    nested = [nested]"
    hand_in(returning(nest, "nested"), place)


def token_as_a_result(place):
    """A name that travels in the other direction: `os.system`, to be looked up by whoever reads it."""
    hand_in(returning("from labkit.grading.authoring.values import Function", "Function('os.system')"), place)


def nan_and_infinity(place):
    hand_in(returning("", "values * np.nan if len(values) == 3 else np.inf"), place)


def answers_for_the_visible_inputs(place):
    hand_in(returning("", "2.0"), place)


def frames_and_rubbish(place):
    """Walks the frames and every object for something that was expected."""
    search = """
        import gc, sys

        def spread(values):
            found, frame = [], sys._getframe()
            while frame is not None:
                found += list(frame.f_locals.values()) + list(frame.f_globals.values())
                frame = frame.f_back
            found += gc.get_objects()
            for thing in found:
                for name in ("spread", "reference", "expected", "_namespace", "temperature"):
                    answer = thing.get(name) if isinstance(thing, dict) else None
                    if callable(answer) and answer is not spread:
                        return answer(values)
                    if name == "temperature" and answer is not None:
                        globals()["temperature"] = answer
    """
    book = tiny.honest()
    tiny.cell(book, "spread").source = "\n".join(line[8:] for line in search.splitlines())
    hand_in(book, place)
