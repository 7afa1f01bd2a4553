"""Bytes of their own on the channel to the marking process, instead of what `transport` would write."""

from tests.grading import tiny
from tests.grading.hostile_submissions._hand_in import hand_in, honest_with
from tests.grading.hostile_submissions.lies import returning


def array(shape="[2]", kind="array"):
    """A tree that names the first array: Python."""
    return f'{{"{kind}": {{"place": 0, "dtype": "<f8", "shape": {shape}}}}}'


def forging(tree, *blobs, before=""):
    """The honest notebook, whose process answers every question with this tree (Python) and these bytes (Python)."""
    forge = f"""
        import io, json, os, struct, time
        from labkit.grading.sandbox import transport

        {before}

        def encode(value):
            tree = {tree}
            tree = tree if isinstance(tree, bytes) else json.dumps({{"dict": [["result", tree]]}}).encode()
            frame = struct.pack(">I", len(tree)) + tree
            for blob in [{", ".join(blobs)}]:
                frame += struct.pack(">Q", len(blob)) + blob
            return frame

        transport.encode = encode
    """
    return honest_with("\n".join(line[8:] for line in forge.splitlines()))


def answering(answer):
    """As `forging`, but the whole answer, which need not be one: a Python expression."""
    forge = "from labkit.grading.sandbox import transport\nreal = transport.encode\n"
    return honest_with(f"{forge}transport.encode = lambda value: real({answer})")


def one_large_array_named_sixty_times(place):
    hand_in(forging(f'{{"list": [{array("[7500000]")}] * 60}}', 'b"x" * 60_000_000'), place)


def eight_thousand_names_for_one_array(place):
    hand_in(forging(f'{{"list": [{array()}] * 8000}}', 'b"x" * 16'), place)


def headers_of_python_two(place):
    header = "b\"{'descr': '<f8', 'fortran_order': False, 'shape': (2L,)}\""
    blob = f'b"\\x93NUMPY\\x01\\x00v\\x00" + {header}.ljust(117) + b"\\n" + b"x" * 16'
    hand_in(forging('{"list": [{"array": place} for place in range(8000)]}', *[blob] * 3), place)


def header_that_is_no_python(place):
    hand_in(forging('{"array": 0}', 'b"\\x93NUMPY\\x01\\x00v\\x00" + b"{(" * 59'), place)


def header_of_sixty_megabytes(place):
    blob = 'b"\\x93NUMPY\\x02\\x00" + struct.pack("<I", 60_000_000) + b"(" * 60_000_000'
    hand_in(forging('{"array": 0}', blob), place)


def shape_of_nothing_times_everything(place):
    hand_in(forging(array("[0, 2**62, 2**62]"), 'b""'), place)


def shape_below_zero(place):
    hand_in(forging(array("[-1, -2]"), 'b"x" * 16'), place)


def shape_of_truths(place):
    hand_in(forging(array("[True, 2]"), 'b"x" * 16'), place)


def shape_that_is_not_a_number(place):
    hand_in(forging(array('[float("nan"), 2]'), 'b"x" * 16'), place)


def shape_of_a_thousand_dimensions(place):
    hand_in(forging(array("[1] * 999 + [2]", "tensor"), 'b"x" * 16'), place)


def kinds_that_do_not_travel(place):
    kinds = "[0, None, {}, [], 'O', '|V8', 'M8[s]', '<U4', '<f16', '<f8,<f8', 'object', '>f8', 'float64']"
    tree = '{"list": [{"array": {"place": 0, "dtype": kind, "shape": [2]}} for kind in KINDS]}'.replace("KINDS", kinds)
    hand_in(forging(tree, 'b"x" * 16'), place)


def arrays_that_nobody_names(place):
    hand_in(forging("None", *['b"x" * 7_000_000'] * 8), place)


def a_million_empty_arrays(place):
    hand_in(forging("None", '*[b""] * 1_000_000'), place)


def two_megabytes_of_brackets(place):
    hand_in(forging('b"[" * 2_000_000'), place)


def two_megabytes_of_empty_lists(place):
    hand_in(forging('{"list": [{"list": []}] * 140_000}'), place)


def a_number_of_a_million_digits(place):
    hand_in(forging('b"1" * 1_000_000'), place)


def numbers_that_overflow(place):
    hand_in(returning("", "10**4000 if len(values) == 3 else -10**400"), place)


def keys_that_cannot_be_keys(place):
    hand_in(forging(f'{{"dict": [[{{"list": []}}, 1], [{array()}, 2]]}}', 'b"x" * 16'), place)


def half_a_surrogate_pair_in_a_result(place):
    hand_in(returning("", '"\\ud800 half"'), place)


def half_a_surrogate_pair_in_an_error(place):
    book = tiny.honest()
    source = 'class Half(Exception):\n    pass\n\n\nHalf.__name__ = "Half\\ud800"\n\n\n'
    tiny.cell(book, "spread").source = source + 'def spread(values):\n    raise Half("\\udfff")'
    hand_in(book, place)


def an_error_with_a_name_of_a_megabyte(place):
    book = tiny.honest()
    source = 'class Long(Exception):\n    pass\n\n\nLong.__name__ = "x" * 10**6\n\n\n'
    tiny.cell(book, "spread").source = source + "def spread(values):\n    raise Long"
    hand_in(book, place)


def an_error_that_cannot_be_read(place):
    book = tiny.honest()
    source = "class Mute(Exception):\n    def __str__(self):\n        raise SystemExit\n\n    __repr__ = __str__\n\n\n"
    tiny.cell(book, "spread").source = source + "def spread(values):\n    raise Mute"
    hand_in(book, place)


def an_answer_that_is_a_list(place):
    hand_in(answering('["result", 451]'), place)


def an_answer_without_a_result(place):
    hand_in(answering('{"results": 451}'), place)


def an_answer_that_is_an_error_of_three_parts(place):
    hand_in(answering('{"raised": ["ValueError", "", "three"]}'), place)


def an_answer_that_is_an_error_of_numbers(place):
    hand_in(answering('{"raised": [1.5, np.zeros((1000, 1000))], "ended": 7}'), place)


def a_raised_exception_in_disguise(place):
    """The object that the marking process makes of an error, as a result."""
    source = "from labkit.grading.authoring.values import Raised"
    hand_in(returning(source, 'Raised("ValueError", "")'), place)


def sixty_million_bytes_for_a_number(place):
    hand_in(returning("", "np.zeros(62_000_000, np.int8)"), place)


def sixty_million_truths_for_a_number(place):
    hand_in(returning("", "np.zeros((1, 62_000_000), bool)"), place)


def a_hundred_thousand_numbers_for_one(place):
    hand_in(returning("", "list(range(100_000))"), place)


def text_of_two_megabytes(place):
    hand_in(returning("", '"\\x1b[31m\\u202e" + "x" * 1_900_000'), place)


def terminal_escapes_and_bidi_marks(place):
    hand_in(returning("", '"\\x1b]0;owned\\x07 \\u202etxt.exe \\x9b31m \\u2066"'), place)


def wide_and_complex_numbers(place):
    wide = "np.longdouble(2) if len(values) == 3 else np.complex256(1j) if len(values) == 5 else np.float16(7)"
    hand_in(returning("", wide), place)


def byte_by_byte(place):
    """One answer that takes for ever to come, though something always comes."""
    drip = """
        import struct, time
        from labkit.grading.sandbox import transport

        def send(channel, value, **_):
            channel.sendall(struct.pack(">Q", 60_000_000))
            while True:
                channel.sendall(b"x")
                time.sleep(0.001)

        transport.send = send
    """
    hand_in(honest_with("\n".join(line[8:] for line in drip.splitlines())), place)


def bytes_without_end(place):
    """More than was announced, as fast as they are taken."""
    flood = "from labkit.grading.sandbox import transport\nreal = transport.send\n"
    flood += "def send(channel, value, **_):\n    real(channel, value)\n"
    flood += "    while True:\n        channel.sendall(b'x' * 10**6)\n\n\ntransport.send = send"
    hand_in(honest_with(flood), place)


def a_channel_closed_halfway(place):
    close = "import struct\nfrom labkit.grading.sandbox import transport\n"
    close += "def send(channel, value, **_):\n    channel.sendall(struct.pack('>Q', 1000) + b'half')\n"
    hand_in(honest_with(close + "    channel.close()\n\n\ntransport.send = send"), place)


def descriptors_on_the_channel(place):
    """Open files sent along with an answer."""
    send = "import os, socket, struct\nfrom labkit.grading.sandbox import transport\n"
    send += "def send(channel, value, **_):\n    content = transport.encode(value)\n"
    send += "    frame = struct.pack('>Q', len(content)) + content\n"
    send += (
        "    socket.send_fds(channel, [frame], [os.open('/dev/zero', os.O_RDONLY)] * 200)\n\n\ntransport.send = send"
    )
    hand_in(honest_with(send), place)
