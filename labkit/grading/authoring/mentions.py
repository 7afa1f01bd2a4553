"""What a function's code mentions, to see whether it does its work itself or calls what was to be written."""

import ast
import dis
import re
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

from labkit.grading.authoring.assignments import parsed


def in_function(function: Any) -> set[str]:
    """The attributes and the functions of other modules that a function of this process mentions.

    Functions beside it that it calls are looked into as well.
    """
    found: set[str] = set()
    left, seen = [function], set()
    while left:
        each = left.pop()
        if not isinstance(each, FunctionType) or each in seen:
            continue
        seen.add(each)
        for line in _instructions(each.__code__):
            meant = each.__globals__.get(line.argval) if line.opname in ("LOAD_GLOBAL", "LOAD_NAME") else None
            if isinstance(meant, FunctionType) and meant.__globals__ is each.__globals__:
                left.append(meant)
            elif line.opcode in dis.hasname:
                found |= {line.argval, getattr(meant, "__name__", line.argval)}
    return found


def _instructions(code: CodeType) -> Iterator[dis.Instruction]:
    yield from dis.get_instructions(code)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _instructions(inner)


def in_sources(sources: Iterable[str], function: str) -> set[str]:
    """The same, from the text of a notebook's cells: nothing is run, so nothing can lie."""
    functions: dict[str, ast.AST] = {}
    imported: dict[str, str] = {}
    found: set[str] = set()
    for source in sources:
        tree = parsed(source)
        if tree is None:  # magics, for one
            found |= set(re.findall(r"\.\s*(\w+)", source)) if f"def {function}" in source else set()
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                functions[node.name] = node
            elif isinstance(node, ast.ImportFrom):
                imported |= {alias.asname or alias.name: alias.name for alias in node.names}
    left, seen = [function], set()
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        if name not in functions:
            found.add(imported.get(name, name))
            continue
        for node in ast.walk(functions[name]):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.Name):
                left.append(node.id)
    return found
