"""Packs the live lab into the wheel, where `make book` has built it: `labkit lab` writes pages with it."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

BUILT = (Path("_build/static/lab/page"), Path("book/_assets/vendor/onnxruntime"))


class BuildWithLab(build_py):
    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "labkit/export/page"
        for file in (file for folder in BUILT if folder.is_dir() for file in folder.glob("[!.]*")):
            if file.suffix in (".js", ".css"):
                target.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target / file.name)


setup(cmdclass={"build_py": BuildWithLab})
