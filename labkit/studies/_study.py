"""One mechanism for all studies: options, a card, what is kept and what is measured again.

A study is a list of parts. `plan` says which there are, `measure` finds the figures of one. After each part the card is
written anew, whole or not at all, so a run that was killed goes on where it stopped. A part is measured again where its
settings have changed, where a network that it was measured on has other weights now, or where a file of it is gone. A
part that was measured with other versions than the card names has them beside it.
"""

import argparse
import hashlib
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm.auto import tqdm

from labkit import models
from labkit.core import Progress
from labkit.files import cache_folder, read_json, replacing, write_bytes

RESULTS = Path(__file__).parent / "results"


class StudyError(ValueError):
    """A study cannot be run with these options."""


@dataclass(frozen=True)
class Option:
    """An option of a study on the command line, besides --output and --only.

    Attributes:
        name: with underscores where the command has hyphens.
        default: its type is that of the option; False makes a switch.
        help: one line.
        type: where the default is None.
    """

    name: str
    default: Any
    help: str
    type: Callable[[str], Any] | None = None


@dataclass(frozen=True)
class Part:
    """One thing to measure.

    Attributes:
        settings: what distinguishes it from other parts, ready for JSON.
        networks: those of labkit's own networks that it is measured on, by name.
        files: what it writes beside the card, by name.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All parts of a study in their order, and the settings that they share; a card made with others is refused."""

    parts: dict[str, Part]
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What `measure` is given: the part, what all parts share, where to write and where to keep what took long.

    Attributes:
        name: the part's.
        part: its settings, networks and files.
        shared: the plan's settings.
        options: the command's.
        output: the card; the part's files lie beside it.
        cache: for what a killed run should not do twice; the same as long as the shared settings and the weights of the
            part's networks are.
    """

    name: str
    part: Part
    shared: dict[str, Any]
    options: argparse.Namespace
    output: Path
    cache: Path

    def progress(self, unit: str = "step", total: int | None = None) -> Progress:
        """Wraps a loop in a bar with the part's name, on a terminal only."""
        return partial(tqdm, desc=self.name, unit=unit, total=total, disable=not sys.stderr.isatty())

    def kept(self, name: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """Tensors by name: from the cache, or made now and kept there."""
        path = self.cache / f"{name}.safetensors"
        if not path.exists():
            save_tensors(path, make())
        return load_file(path)


@dataclass(frozen=True)
class Study:
    """A study: its name and question, and its two functions.

    Attributes:
        name: of its module and of its card, results/NAME.json.
        title: the question, in a line.
        plan: options -> parts; raises ValueError for options that do not go together.
        measure: one part -> what was found, ready for JSON.
        options: its own.
        packages: whose versions belong on the card.
        line: (part, what was found) -> what to print.
    """

    name: str
    title: str
    plan: Callable[[argparse.Namespace], Plan]
    measure: Callable[[Run], dict[str, Any]]
    options: tuple[Option, ...] = ()
    packages: tuple[str, ...] = ("torch",)
    line: Callable[[str, dict[str, Any]], str] = lambda name, found: name

    @property
    def path(self) -> Path:
        """Where the card is that comes with labkit."""
        return RESULTS / f"{self.name}.json"

    def card(self, path: Path | str | None = None) -> dict[str, Any]:
        """What was measured, and how: command, versions, weights, settings, and under "parts" what was found.

        Args:
            path: another card than the one that comes with labkit.
        """
        return read_json(path or self.path)

    def found(self, path: Path | str | None = None) -> dict[str, dict[str, Any]]:
        """What was found, by the names of the parts."""
        return {name: part["found"] for name, part in self.card(path)["parts"].items()}

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the study's options."""
        parser.add_argument("--output", type=Path, default=self.path, help="the file to write or to go on with")
        parser.add_argument("--only", default="", metavar="TEXT", help="only the parts with this in their name")
        for option in self.options:
            flag, default = f"--{option.name.replace('_', '-')}", option.default
            if default is False:
                parser.add_argument(flag, action="store_true", help=option.help)
            else:
                parser.add_argument(flag, type=option.type or type(default), default=default, help=option.help)

    def run(self, options: argparse.Namespace) -> dict[str, Any]:
        """Measure what is missing, write the card after each part, and print a line a part.

        Returns:
            The card.

        Raises:
            StudyError: the options do not go together, or the card at --output was made with other settings.
            ModuleNotFoundError: a part needs an extra that is not installed; the message says which.
        """
        try:
            plan = self.plan(options)
        except ValueError as error:
            raise StudyError(str(error)) from error
        options.output.parent.mkdir(parents=True, exist_ok=True)
        card = self._begin(options, plan)
        for name, part in plan.parts.items():
            if name not in card["parts"] and options.only in name:
                start = time.perf_counter()
                found = self.measure(self._run(name, part, plan, options, card))
                seconds = round(time.perf_counter() - start, 1)
                measured = {"settings": part.settings, "seconds": seconds, "found": found}
                done = card["parts"] | {name: measured}
                card["parts"] = {each: done[each] for each in plan.parts if each in done}
                _write(options.output, card)
            if name in card["parts"]:
                print(self.line(name, card["parts"][name]["found"]), flush=True)
        return card

    def main(self, arguments: list[str] | None = None) -> None:
        """Run the study from the command line."""
        parser = argparse.ArgumentParser(prog=f"labkit study {self.name}", description=self.title)
        self.add_arguments(parser)
        try:
            self.run(parser.parse_args(arguments))
        except StudyError as error:
            parser.error(str(error))

    def _begin(self, options: argparse.Namespace, plan: Plan) -> dict[str, Any]:
        """A new card, with the parts of the old one that still hold."""
        networks = sorted({network for part in plan.parts.values() for network in part.networks})
        card = {
            "study": self.name,
            "command": " ".join([f"labkit study {self.name}", *self._changed(options)]),
            "versions": {"python": platform.python_version()} | _versions(self.packages),
            "weights": {network: models.card(network)["sha256"] for network in networks},
            "settings": _as_json(plan.settings),
            "parts": {},
        }
        if not options.output.exists():
            return card
        old = read_json(options.output)
        if old.get("settings") != card["settings"]:
            was, now = old.get("settings"), card["settings"]
            raise StudyError(f"{options.output} was made with {was}, not {now}; name another --output, or delete it")
        for name, part in plan.parts.items():
            measured = old["parts"].get(name)
            if (
                measured is not None
                and measured["settings"] == _as_json(part.settings)
                and all(old["weights"].get(network) == card["weights"][network] for network in part.networks)
                and all((options.output.parent / file).exists() for file in part.files)
            ):
                other = {} if old["versions"] == card["versions"] else {"versions": old["versions"]}
                card["parts"][name] = other | measured
        return card

    def _changed(self, options: argparse.Namespace) -> list[str]:
        """The options that were given, as on the command line; not --output, which may name a folder of one's own."""
        given = []
        for option in self.options:
            flag, value = f"--{option.name.replace('_', '-')}", getattr(options, option.name)
            if value != option.default:
                given.append(flag if value is True else f"{flag} {value}")
        return given

    def _run(self, name: str, part: Part, plan: Plan, options: argparse.Namespace, card: dict[str, Any]) -> Run:
        weights = {network: card["weights"][network] for network in part.networks}
        key = hashlib.sha256(json.dumps([card["settings"], weights]).encode()).hexdigest()[:12]
        cache = cache_folder() / "studies" / self.name / key
        return Run(name, part, plan.settings, options, options.output, cache)


def names() -> list[str]:
    """Every study that there is."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def find(name: str) -> Study:
    """A study by its name.

    Raises:
        ValueError: there is none; the message names those that there are.
    """
    if name not in names():
        raise ValueError(f"unknown study {name!r}; known studies: {', '.join(names())}")
    return import_module(f"labkit.studies.{name}").STUDY


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file whole or not at all."""
    with replacing(path) as partial_path:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial_path)


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # a part that cannot do without it will say so
    return found


def _as_json(value: Any) -> Any:
    """What comes back when a value is written as JSON and read again: lists for tuples, text for keys."""
    return json.loads(json.dumps(value))


def _write(path: Path, card: dict[str, Any]) -> None:
    """A line for each entry and each part, so that a change is a line of a diff."""
    head = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in card.items() if key != "parts"]
    parts = [f"  {json.dumps(name)}: {json.dumps(part)}" for name, part in card["parts"].items()]
    text = "{\n" + ",\n".join(head) + ',\n "parts": {\n' + ",\n".join(parts) + "\n }\n}\n"
    write_bytes(path, text.encode())
