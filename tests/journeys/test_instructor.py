"""An instructor's walk: every assignment that is shipped, through the command line, to the table and the pages.

Each class has five students: one with everything right, one who handed in the untouched exercise, and three who made a
typical mistake each (tests/wrong_answers lists them). The marks expected of these three are written down below: none
for a function that only calls labkit's own.
"""

import csv
import html
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.grading import tiny

ROOT = Path(__file__).parents[2]
# Assignment -> task, a piece of the mistake's code, and the points that are left of those of the task.
MISTAKES = {
    "activations_and_top_images": [
        ("activations", "    return images", 1.6),
        ("top-images", "[places % width, places // width]", 4),
        ("sleeping", "maps.sum((2, 3), keepdim=True) == 0", 1.5),
    ],
    "attacks": [
        ("iterate", "fgsm(model, images,", 1.2),
        ("iterate", "now.clamp(now - eps, now + eps)", 1.2),
        ("fgsm", "eps=eps, targeted=targeted", 0),
    ],
    "certificates": [
        ("dense-bounds", "weight @ low + bias", 1.25),
        ("margin-bounds", "image - eps, image + eps", 3),
        ("dense-bounds", "weight @ high + bias", 1.25),
    ],
    "class_models": [
        ("total-variation", "return across", 1.5),
        ("objective", "images.square().sum((1, 2, 3)).sqrt()", 1.6),
        ("class-model", ".mean(), x)", 0.75),
    ],
    "convolution": [
        ("output-size", "(w - f + 2 * p) // s + 1", 2.14),
        ("convolve2d", "right(i, k, padding)", 2.4),
        ("pool", "right(image, size, np.max)", 0.75),
    ],
    "fooling": [
        ("nearest", ".square().amin(1).mean(1)", 2),
        ("cost", "weight * nearest(images, reference)", 1),
        ("search", "x.detach() + step_size", 3.2),
    ],
    "layers": [
        ("output-shape", '/ layer["stride"] + 1', 3.57),
        ("count", "weights = parameters(out, layer)", 3.75),
        ("mnist-network", '"units": 128}', 1),
    ],
    "occlusion": [
        ("occluded", "image.shape[2] - window + 1, 1", 2.5),
        ("occlusion", ".view(columns, rows), probabilities", 3.75),
        ("average_over_windows", "= values", 1.6),
    ],
    "saliency_and_smoothgrad": [
        ("saliency", "from labkit.attribution.saliency import saliency", 0),
        ("smoothgrad", "model, noisy.clamp(0, 1),", 3),
        ("heatmap", "gradient.amax(1).abs()", 1.5),
    ],
    "shortcut": [
        ("with-window", "[\n        :, 0, top", 2),
        ("effect", "target, left, top, size):", 4),
        ("find-shortcut", "most, found = 0.0, None", 4.5),
    ],
    "training_loop": [
        ("cross-entropy", ".sum()", 1.33),
        ("fit", "    return model.eval()", 4),
        ("accuracy", "return hits / len(images[:batch_size])", 1),
    ],
}


pytestmark = pytest.mark.usefixtures("boxed")


def read(place: str, name: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / place / name / f"{name}.ipynb", as_version=4)


def solutions(name: str) -> dict[str, str]:
    """The right code of each task."""
    cells = [cell for cell in read("solutions", name).cells if cell.cell_type == "code"]
    return {cell.id: cell.source for cell in cells if cell.metadata.get("nbgrader", {}).get("solution")}


def points(name: str) -> dict[str, float]:
    """The points of each task."""
    marks = [cell.metadata.get("nbgrader", {}) for cell in read("solutions", name).cells if cell.cell_type == "code"]
    return {mark["grade_id"].removeprefix("check-"): mark["points"] for mark in marks if mark.get("grade")}


def mistaken(name: str, task: str, piece: str) -> str:
    """The code of the first typical mistake in this task that holds this piece."""
    known = runpy.run_path(str(ROOT / f"tests/wrong_answers/{name}.py"))["WRONG"][task]
    mistake = next(each for each in known if piece in (each[0] if len(each) == 2 else each[1]))
    right = solutions(name)[task]
    if len(mistake) == 2:
        return f"{right}\nright = {task.replace('-', '_')}\n{mistake[0]}"
    assert right.count(mistake[0]) == 1
    return right.replace(mistake[0], mistake[1])


def hand_in(folder: Path, name: str, student: str, answers: dict[str, str]) -> None:
    """The released exercise with these answers in it, as a student would save it."""
    book = read("exercises", name)
    for cell in book.cells:
        if cell.id in answers:
            cell.source = answers[cell.id]
    (folder / student).mkdir(parents=True)
    nbformat.write(book, folder / student / f"{name}.ipynb")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "solutions").glob("*/*.ipynb")))
def test_each_assignment_from_the_command_line_to_the_table_and_the_pages(name, tmp_path):
    assert name in MISTAKES, f"MISTAKES needs a few mistakes of {name}, each with the points that it leaves"
    submissions, out = tmp_path / "submissions", tmp_path / "out"
    right = solutions(name)
    hand_in(submissions, name, "solved", right)
    hand_in(submissions, name, "untouched", {})
    for place, (task, piece, _) in enumerate(MISTAKES[name]):
        hand_in(submissions, name, f"wrong{place}", right | {task: mistaken(name, task, piece)})
    command = [sys.executable, "-m", "labkit.grading", name, str(submissions), "--out", str(out), "--workers", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout

    rows = {row["student"]: row for row in csv.DictReader((out / "grades.csv").read_text("utf-8-sig").splitlines())}
    of = points(name)

    def marks(student: str) -> dict[str, float]:
        return {task: float(rows[student][f"{task} (of {of[task]:g})"]) for task in of}

    assert marks("solved") == of
    assert marks("untouched") == dict.fromkeys(of, 0.0)
    for place, (task, _, left) in enumerate(MISTAKES[name]):
        found, before = marks(f"wrong{place}"), list(of)[: list(of).index(task)]
        assert found[task] == left
        assert [found[earlier] for earlier in before] == [of[earlier] for earlier in before]  # later ones build on it
    pages = {
        path.stem.rpartition("-")[0]: html.unescape(path.read_text("utf-8")) for path in out.glob("feedback/*.html")
    }
    assert pages.keys() == rows.keys()
    for place, (_, _, left) in enumerate(MISTAKES[name]):
        assert f"{left:g}" in pages[f"wrong{place}"]
        assert ("it calls labkit's own" in pages[f"wrong{place}"]) == (left == 0)
    assert "5 of 5 submissions graded" in done.stdout


@pytest.mark.slow
def test_what_moodle_and_the_last_section_add_costs_nobody_points(tmp_path):
    """Online text and a picture beside the notebook, and the published mistake tried where the text invites to it."""
    submissions, out = tmp_path / "submissions", tmp_path / "out"
    student = "Ada Lovelace_412_assignsubmission_file_"
    hand_in(submissions, "fooling", student, solutions("fooling"))
    path = submissions / student / "fooling.ipynb"
    book = nbformat.read(path, as_version=4)
    book.cells.append(nbformat.v4.new_code_cell("def nearest(images, reference):\n    return images.sum() * 0"))
    nbformat.write(book, path)
    (submissions / student / "photo.png").write_bytes(b"a picture")
    text = submissions / "Ada Lovelace_412_assignsubmission_onlinetext_"
    text.mkdir()
    (text / "onlinetext.html").write_text("<p>Here it is.</p>", encoding="utf-8")
    command = [sys.executable, "-m", "labkit.grading", "fooling", str(submissions), "--out", str(out), "--workers", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    (row,) = csv.DictReader((out / "grades.csv").read_text("utf-8-sig").splitlines())
    assert row["student"] == "Ada Lovelace"
    assert {task: float(row[f"{task} (of {most:g})"]) for task, most in points("fooling").items()} == points("fooling")


@pytest.mark.slow
def test_the_command_of_the_readme_as_it_stands(tmp_path):
    """From a folder with solutions/ and the platform's archive: `labkit-grade NAME submissions.zip --out graded/`."""
    (command,) = re.findall(r"^    (labkit-grade .*)$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    _, name, archive, *rest = shlex.split(command)
    (tmp_path / "solutions").symlink_to(ROOT / "solutions")
    hand_in(tmp_path / "collected", name, "ada", solutions(name))
    shutil.make_archive(str(tmp_path / Path(archive).stem), "zip", tmp_path / "collected")
    words = [sys.executable, "-m", "labkit.grading", name, archive, *rest]
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr + done.stdout
    table = (tmp_path / "graded" / "grades.csv").read_text("utf-8-sig")
    assert [row["student"] for row in csv.DictReader(table.splitlines())] == ["ada"]
    assert (tmp_path / "graded" / "index.html").exists()


WORKSHEET = """Identifier,Full name,ID number,Email address,Grade,Last modified (submission),Feedback comments
Participant 412,Ada Lovelace,s1,ada@x.org,,"Friday, 20 November 2026, 5:55 PM",
Participant 413,Ada Lovelace,s2,ada2@x.org,,"Saturday, 21 November 2026, 9:00 AM",
"""


@pytest.mark.slow
def test_the_day_from_the_deadline_to_the_appeal(tmp_path):
    """Two students of the same name; marks by hand on the page and in the table; a mended check; the platform's table;
    a mark explained."""
    solution, out = tmp_path / "tiny.ipynb", tmp_path / "out"
    book = tiny.solution()
    tiny.write(book, solution)
    for number, notebook in {412: tiny.solved(), 413: tiny.honest()}.items():
        tiny.write(notebook, tmp_path / "submissions" / f"Ada Lovelace_{number}_assignsubmission_file_" / "tiny.ipynb")
    (tmp_path / "worksheet.csv").write_text(WORKSHEET)
    terms = ["--roster", "worksheet.csv", "--due", "2026-11-20 18:00", "--late", "10%/day"]

    def grade(*more):
        command = [sys.executable, "-m", "labkit.grading.cli", "tiny.ipynb", "submissions", "--out", "out", *more]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout + done.stderr

    def rows(path):
        return list(csv.DictReader((tmp_path / path).read_text("utf-8-sig").splitlines()))

    words = grade(*terms)
    assert "2 of 2 submissions graded" in words
    first, second = rows("out/grades.csv")
    assert [first["student"], second["student"]] == ["Ada Lovelace (412)", "Ada Lovelace (413)"]
    assert [first["e-mail"], second["e-mail"]] == ["ada@x.org", "ada2@x.org"]
    assert [row["Grade"] for row in rows("out/moodle.csv")] == ["", ""]  # nothing before somebody has read the answers

    given = {first["key"]: {"why": {"points": 4, "comment": "Clear."}}}
    (tmp_path / "page.json").write_text(json.dumps({"assignment": "tiny", "marks": given}))
    table = (out / "grades.csv").read_text("utf-8-sig")
    place = list(second).index("why (by hand, of 4)")
    lines = list(csv.reader(table.splitlines()))
    lines[2][place] = "2,5"
    with (out / "grades.csv").open("w", encoding="cp1252", newline="") as file:
        csv.writer(file, delimiter=";").writerows(lines)
    words = grade(*terms, "--merge", "page.json")
    assert "2 of 2 are graded already" in words
    assert [row["total (of 11)"] for row in rows("out/grades.csv")] == ["11", "4.95"]  # 3 + 2.5, less ten percent
    assert [row["Grade"] for row in rows("out/moodle.csv")] == ["11", "4.95"]
    assert rows("out/moodle.csv")[0]["Feedback comments"] == "why: Clear."

    cell = tiny.cell(book, "check-spread")
    cell.source = cell.source.replace("check.same(student.spread(values), reference.spread(values))", "None")
    tiny.write(book, solution)
    words = grade(*terms)
    assert "Ada Lovelace (413): 3 -> 6 (+3)" in words
    assert "    5 numbers: right now" in words
    assert "(412): " not in words
    assert [row["total (of 11)"] for row in rows("out/grades.csv")] == ["11", "7.65"]  # marks by hand are still there

    words = grade("--replay", "413", "mean")
    assert "3 of 3 points" in words
    assert "right: 5 numbers" in words
    assert "mean(np.array([" in words
    assert "tolerance  1e-05" in words
    changed = tiny.cell(book, "mean")
    changed.source = changed.source.replace("values.sum()", "7 + values.sum()")
    tiny.write(book, solution)
    assert grade("--replay", "413", "mean").splitlines() == [
        *words.splitlines()[:2],
        "The submission, the check, the solution or labkit has changed since: this is how it was marked then.",
        *words.splitlines()[2:],
    ]
    changed.source = changed.source.replace("7 + ", "")
    tiny.write(book, solution)
    words = grade("--task", "spread", "--student", "413")
    assert "1 of 2 are graded already" in words
