"""Generate exercises/ from solutions/ with nbgrader: `make exercises` writes them, `make test` only compares.

`python -m tools.release_exercises NAME ...` writes only these; with `--check` it only compares.
"""

import filecmp
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from labkit.files import replacing_folder

ROOT = Path(__file__).parents[1]


def assignments() -> list[str]:
    """Names of the folders of solutions/ that hold a notebook."""
    return sorted({notebook.parent.name for notebook in (ROOT / "solutions").glob("*/*.ipynb")})


def release(target: Path, names: Sequence[str]) -> None:
    """Write the released version of the named assignments below target."""
    # Imported here: nbgrader takes a second, and who asks for the names has no use for it.
    from nbgrader.converters import GenerateAssignment
    from nbgrader.converters.base import NbGraderException
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config.loader import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT)).load_config()
    config.CourseDirectory.root = str(ROOT)
    config.CourseDirectory.release_directory = str(target)
    config.SaveCells.enabled = False
    for name in names:
        course = CourseDirectory(config=config)
        course.assignment_id = name
        generate = GenerateAssignment(coursedir=course, config=config, no_database=True)
        generate.force = True
        generate.log.setLevel("ERROR")
        try:
            generate.start()
        except NbGraderException as error:
            sys.exit(f"exercises: nbgrader could not generate {name}: {error}")


def differences() -> list[str]:
    """What in exercises/ is not what solutions/ generates now; the working tree is left alone."""
    with tempfile.TemporaryDirectory() as folder:
        release(Path(folder), assignments())
        fresh, committed = (files_of(Path(place)) for place in (folder, ROOT / "exercises"))
        lines = [f"exercises/{name} is missing" for name in sorted(fresh.keys() - committed.keys())]
        lines += [f"exercises/{name} comes from no solution" for name in sorted(committed.keys() - fresh.keys())]
        for name in sorted(fresh.keys() & committed.keys()):
            if not filecmp.cmp(fresh[name], committed[name], shallow=False):
                lines.append(f"exercises/{name} is not what solutions/{name} generates")
        return lines


def files_of(folder: Path) -> dict[str, Path]:
    ignored = {".ipynb_checkpoints", "__pycache__", ".gitkeep"}
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path for path in files if not ignored & set(path.relative_to(folder).parts)}


def main(names: Sequence[str]) -> None:
    if names == ["--check"]:
        sys.exit("\n".join(differences()) or None)
    unknown = sorted(set(names) - set(assignments()))
    if unknown:
        sys.exit(f"exercises: solutions/ holds no {', '.join(unknown)}; it holds {', '.join(assignments())}")
    names = names or assignments()
    with tempfile.TemporaryDirectory() as folder:
        release(Path(folder), names)
        for name in names:
            with replacing_folder(ROOT / "exercises" / name) as new:
                shutil.copytree(Path(folder) / name, new, dirs_exist_ok=True)
            print(f"exercises: {name}")


if __name__ == "__main__":
    main(sys.argv[1:])
