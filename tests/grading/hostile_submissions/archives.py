"""Archives that are more, or less, than a notebook in a zip."""

import io
import json
import os
import stat
import warnings
import zipfile

from tests.grading import tiny

LINK = stat.S_IFLNK | 0o777


def zipped(place, members):
    """members: name -> content; a name with "-> target" is a symbolic link."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place.with_name(f"{place.name}.zip"), "w", compresslevel=1) as archive:
        for name, content in members.items():
            name, _, target = name.partition(" -> ")
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if target:
                info.external_attr, content = LINK << 16, target
            archive.writestr(info, content)


def honest_notebook():
    return json.dumps(tiny.honest())


def zip_slip(place):
    """Paths that lead out of the folder the archive would be unpacked in: over a neighbour's work, the solution."""
    solved = json.dumps(tiny.solved())
    out = {"../solved/tiny.ipynb": "{}", "../../tiny/tiny.ipynb": solved, "/tmp/labkit-attack": "x"}
    zipped(place, {"tiny.ipynb": honest_notebook(), "..\\..\\labkit-attack": "x"} | out)


def link_in_a_zip(place):
    zipped(place, {f"tiny.ipynb -> {place.parent}/solved/tiny.ipynb": ""})


def folder_link_in_a_zip(place):
    zipped(place, {f"work -> {place.parent}/solved": "", "work/tiny.ipynb": honest_notebook()})


def zip_bomb(place):
    zipped(place, {"tiny.ipynb": b" " * (300 * 2**20)})


def zips_in_zips(place):
    content = honest_notebook().encode()
    for _ in range(5):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("more.zip" if content[:2] == b"PK" else "tiny.ipynb", content)
        content = file.getvalue()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.with_name(f"{place.name}.zip").write_bytes(content)


def broken_zip(place):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.with_name(f"{place.name}.zip").write_bytes(b"PK\x03\x04 and then nothing")


def two_notebooks(place):
    zipped(place, {"first.ipynb": honest_notebook(), "second.ipynb": json.dumps(tiny.honest())})


def written(place, content):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.with_name(f"{place.name}.zip").write_bytes(content)


def compressed(members, way=zipfile.ZIP_DEFLATED):
    """A zip as bytes, and where the first member's data begin in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", way) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    first = next(iter(members))
    return bytearray(file.getvalue()), 30 + len(first)


def flipped(way):
    content, begin = compressed({"tiny.ipynb": honest_notebook()}, way)
    for offset in range(begin + 20, begin + 220, 7):
        content[offset] ^= 0xFF
    return content


def flipped_bits_in_deflate(place):
    written(place, flipped(zipfile.ZIP_DEFLATED))


def flipped_bits_in_lzma(place):
    written(place, flipped(zipfile.ZIP_LZMA))


def flipped_bits_in_bzip2(place):
    written(place, flipped(zipfile.ZIP_BZIP2))


def flipped_bits_in_the_list_of_files(place):
    content, _ = compressed({"tiny.ipynb": honest_notebook()})
    place_of_list = content.rfind(b"PK\x01\x02")
    for offset in range(place_of_list + 6, place_of_list + 40, 3):
        content[offset] ^= 0x55
    written(place, content)


def a_wrong_checksum(place):
    content, begin = compressed({"tiny.ipynb": honest_notebook()}, zipfile.ZIP_STORED)
    content[begin + 50] ^= 1
    written(place, content)


def an_unknown_way_of_compression(place):
    content, _ = compressed({"tiny.ipynb": honest_notebook()})
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        where = content.find(mark) + offset
        content[where : where + 2] = b"\x5f\x00"
    written(place, content)


def a_dictionary_of_four_gigabytes(place):
    """LZMA, whose header asks for that much memory."""
    content, begin = compressed({"tiny.ipynb": honest_notebook()}, zipfile.ZIP_LZMA)
    content[begin + 5 : begin + 9] = b"\xff\xff\xff\xff"
    written(place, content)


def locked_with_a_password(place):
    content, _ = compressed({"tiny.ipynb": honest_notebook()})
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.find(mark) + offset] |= 1
    written(place, content)


def cut_off(place):
    content, _ = compressed({"tiny.ipynb": honest_notebook()})
    written(place, content[: len(content) // 2])


def something_before_the_archive(place):
    """Still a zip: self-extracting archives begin like that."""
    content, _ = compressed({"tiny.ipynb": honest_notebook()})
    written(place, b"#!/bin/sh\nrm -rf ~\n" + content)


def a_comment_that_is_an_archive(place):
    inner, _ = compressed({"tiny.ipynb": honest_notebook()})
    content, _ = compressed({"tiny.ipynb": honest_notebook()})
    where = content.rfind(b"PK\x05\x06") + 20
    content[where : where + 2] = len(inner).to_bytes(2, "little")
    written(place, content + inner)


def claims_of_four_gigabytes_and_more(place):
    content, _ = compressed({"tiny.ipynb": honest_notebook()})
    where = content.rfind(b"PK\x05\x06")
    content[where + 12 : where + 16] = b"\xff\xff\xff\xff"
    written(place, content)


def smaller_than_it_says(place):
    content, _ = compressed({"tiny.ipynb": b" " * (200 * 2**20)})
    where = content.rfind(b"PK\x01\x02") + 24
    content[where : where + 4] = (1000).to_bytes(4, "little")
    written(place, content)


def entries_that_share_one_file(place):
    """A thousand names for the same 60 megabytes of blanks, which take 60 kilobytes."""
    content, _ = compressed({"0.ipynb": b" " * (60 * 2**20)})
    begin, end = content.rfind(b"PK\x01\x02"), content.rfind(b"PK\x05\x06")
    entry, last = content[begin:end], content[end:]
    entries = b""
    for number in range(1000):
        name = f"{number:03}.ipynb".encode()
        entries += entry[:28] + len(name).to_bytes(2, "little") + entry[30:46] + name
    last[8:12] = (1000).to_bytes(2, "little") * 2
    last[12:16] = len(entries).to_bytes(4, "little")
    written(place, content[:begin] + entries + last)


def a_dozen_large_notebooks(place):
    zipped(place, {f"{number}.ipynb": b" " * (63 * 2**20) for number in range(12)})


def ten_thousand_files(place):
    zipped(place, {"tiny.ipynb": honest_notebook()} | {f"{number}.txt": "" for number in range(10_000)})


def a_list_of_files_of_ten_megabytes(place):
    zipped(place, {"tiny.ipynb": honest_notebook()} | {f"{number}{'x' * 5000}": "" for number in range(2000)})


def names_that_are_not_utf_8(place):
    content, _ = compressed({"tiny.ipynb": honest_notebook(), "aaaa.txt": "x"})
    written(place, content.replace(b"aaaa.txt", b"\xff\xfe\xe9\n.txt"))


def file_name_that_is_not_utf_8(place):
    folder = place.parent / os.fsdecode(b"\xff\xe9 " + place.name.encode())
    tiny.write(tiny.honest(), folder / "tiny.ipynb")


def name_with_lines_and_escapes(place):
    tiny.write(tiny.honest(), place.with_name(f"\x1b[31m\n {place.name}") / "tiny.ipynb")


def the_same_name_twice(place):
    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place.with_name(f"{place.name}.zip"), "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            archive.writestr("tiny.ipynb", honest_notebook())


def written_in_capitals(place):
    tiny.write(tiny.honest(), place / "TINY.IPYNB")


def archive_in_capitals(place):
    content, _ = compressed({"Tiny.Ipynb": honest_notebook()})
    place.parent.mkdir(parents=True, exist_ok=True)
    place.with_name(f"{place.name}.ZIP").write_bytes(content)


def folder_with_the_name_of_a_notebook(place):
    tiny.write(tiny.honest(), place / "tiny.ipynb" / "other.ipynb")


def pipe_with_the_name_of_a_notebook(place):
    """Who opens it waits for ever."""
    place.mkdir(parents=True)
    os.mkfifo(place / "tiny.ipynb")


def folders_without_end(place):
    path = place
    for _ in range(60):
        path = path / "d"
    tiny.write(tiny.honest(), path / "tiny.ipynb")
