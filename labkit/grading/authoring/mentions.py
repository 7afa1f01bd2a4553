"""What a function's code mentions, to see whether it does its work itself or calls what was to be written.

A name that is imported is found in full too: "labkit.attribution.saliency.saliency" beside "saliency".
"""

import ast
import contextlib
import dis
import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

LONGEST_PARSED = 20_000  # characters; what is longer may take long to parse
# What a name stands for: a definition or an assigned value, the full name of an import, or what a cell that is no plain
# Python mentions.
Binding = ast.AST | str | frozenset[str]
Bindings = dict[str, list[Binding]]  # in the order of the notebook: the last one counts
FULL = re.compile(r"labkit(?:\.\w+)+")  # as text: importlib.import_module("labkit.core")
LONGEST_CHAIN = 8  # a.b.c...
MAGIC = re.compile(r"^([ \t]*)[%!].*$", re.MULTILINE)


def in_function(function: Any) -> set[str]:
    """The attributes and the functions of other modules that a function of this process mentions.

    Functions beside it that it calls are looked into as well.
    """
    found: set[str] = set()
    left, seen = [function], set()
    while left:
        each = inspect.unwrap(left.pop()) if callable(left[-1]) else left.pop()
        if not isinstance(each, FunctionType) or each in seen:
            continue
        seen.add(each)
        if (each.__module__ or "").startswith("labkit."):
            found |= _full_names(each)
            continue
        meant, package = None, ""
        for line in _instructions(each.__code__):
            if line.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                meant = each.__globals__.get(line.argval)
                if isinstance(meant, FunctionType) and inspect.unwrap(meant).__globals__ is each.__globals__:
                    left.append(meant)
                    continue
            elif line.opname == "IMPORT_NAME":
                package, meant = line.argval, None
            elif line.opname == "IMPORT_FROM":
                found.add(f"{package}.{line.argval}")
            elif line.opcode in dis.hasname:
                meant = getattr(meant, line.argval, None) if isinstance(meant, ModuleType) else None
            if line.opcode in dis.hasname:
                found |= {line.argval, getattr(meant, "__name__", line.argval)} | _full_names(meant)
    return found


def _full_names(meant: Any) -> set[str]:
    if isinstance(meant, ModuleType):
        return {meant.__name__}
    return {f"{meant.__module__}.{meant.__name__}"} if isinstance(meant, FunctionType | type) else set()


def _instructions(code: CodeType) -> Iterator[dis.Instruction]:
    yield from dis.get_instructions(code)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _instructions(inner)


def parsed(source: str) -> ast.Module | None:
    """The syntax tree, or None where it is not plain Python: magics, mistakes, or is too long to be looked at."""
    if len(source) > LONGEST_PARSED:
        return None
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def bindings(sources: Iterable[str]) -> Bindings:
    """What the names of a notebook stand for, from the text of its cells: nothing is run, so nothing can lie."""
    found: Bindings = {}
    for source in sources:
        tree = parsed(source) or parsed(MAGIC.sub(r"\1pass", source))
        for name, meant in _bound(tree.body) if tree else _guessed(source):
            found.setdefault(name, []).append(meant)
    return found


def answered(sources: Iterable[str]) -> set[str]:
    """The names that a notebook binds, but for functions that still end in `raise NotImplementedError`."""
    return {name for name, (*_, last) in bindings(sources).items() if _is_answer(last)}


def _is_answer(meant: Binding) -> bool:
    match meant:
        case frozenset():  # it may be a mistake of syntax
            return False
        case ast.FunctionDef(body=[*_, ast.Raise(exc=ast.expr() as error)]):
            return not ast.unparse(error).startswith("NotImplementedError")
    return True


def _guessed(source: str) -> Iterator[tuple[str, Binding]]:
    """The functions of a cell that is no plain Python, each with all that the cell mentions."""
    mentioned = frozenset(re.findall(r"\.\s*(\w+)", source)) | frozenset(FULL.findall(source))
    yield from ((name, mentioned) for name in re.findall(r"\bdef\s+(\w+)", source))


def _bound(body: Iterable[ast.AST]) -> Iterator[tuple[str, Binding]]:
    """The names that statements bind, those of an `if`, `try` or `with` too."""
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node
            case ast.Import() | ast.ImportFrom():
                yield from _imported(node)
            case ast.Assign(targets=targets, value=value):
                names = [each for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
                yield from ((each.id, value) for each in names)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.AST() as value):
                yield name, value
            case ast.stmt() | ast.excepthandler():
                yield from _bound(ast.iter_child_nodes(node))


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """The names that an import binds, and the full names of what they stand for."""
    module = f"{node.module or ''}." if isinstance(node, ast.ImportFrom) else ""
    for alias in node.names:
        if alias.name == "*":
            with contextlib.suppress(ImportError):
                names = vars(importlib.import_module(module[:-1])) if module.startswith("labkit.") else ()
                yield from ((name, module + name) for name in names if not name.startswith("_"))
        elif module or alias.asname:
            yield alias.asname or alias.name, module + alias.name
        else:
            yield alias.name.partition(".")[0], alias.name.partition(".")[0]


def in_sources(known: Bindings, function: str) -> set[str]:
    """The same as `in_function`, from the `bindings` of a notebook."""
    found: set[str] = set()
    left, seen = [function], set()
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        *before, last = known.get(name, [name])
        names, mentioned = _inside(last, known)
        if name in names and not isinstance(last, ast.FunctionDef):  # saliency = no_grad(saliency)
            for earlier in before:
                more, others = _inside(earlier, known)
                names, mentioned = names + more, mentioned | others
        found |= mentioned
        left += names
    return found


def _inside(meant: Binding, known: Bindings) -> tuple[list[str], set[str]]:
    """The names of the notebook that a binding uses; and what else it mentions: attributes, imports of its own."""
    if isinstance(meant, str):
        return [], {meant, meant.rpartition(".")[2]}
    if isinstance(meant, frozenset):
        return [], set(meant)
    nodes = list(ast.walk(meant))
    imported = dict(pair for each in nodes if isinstance(each, ast.Import | ast.ImportFrom) for pair in _imported(each))
    local = {each.id for each in nodes if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    local |= {each.arg for each in nodes if isinstance(each, ast.arg)}
    local |= {each.name for each in nodes[1:] if isinstance(each, ast.FunctionDef)}
    names: list[str] = []
    found: set[str] = set()
    for each in nodes:
        match each:
            case ast.Name(id=name) if name in imported:
                found |= {imported[name], imported[name].rpartition(".")[2]}
            case ast.Name(id=name) if name not in local:
                names.append(name)
            case ast.Attribute(attr=attribute):
                found.add(attribute)
                base, rest = _chain(each)
                full = imported.get(base) or (known[base][-1] if base in known and base not in local else None)
                found |= {f"{full}.{rest}"} if isinstance(full, str) else set()
            case ast.Constant(value=str(text)) if FULL.fullmatch(text):
                found.add(text)
    return names, found


def _chain(node: ast.expr) -> tuple[str, str]:
    """ "F" and "nn.relu" of F.nn.relu; nothing of what begins with no name, or is very long."""
    rest: list[str] = []
    while isinstance(node, ast.Attribute) and len(rest) < LONGEST_CHAIN:
        rest.insert(0, node.attr)
        node = node.value
    return (node.id, ".".join(rest)) if isinstance(node, ast.Name) else ("", "")
