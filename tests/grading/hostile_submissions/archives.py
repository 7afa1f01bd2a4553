"""Archives that are more, or less, than a notebook in a zip."""

import io
import json
import stat
import zipfile

from tests.grading import tiny

LINK = stat.S_IFLNK | 0o777


def zipped(place, members):
    """members: name -> content; a name with "-> target" is a symbolic link."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place.with_name(f"{place.name}.zip"), "w", zipfile.ZIP_DEFLATED) as archive:
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
