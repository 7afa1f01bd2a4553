"""Shapes are checked where the tests call: every function of labkit with a jaxtyping annotation is run by beartype.

A function may refuse bad input in words of its own, which the tests of its errors want to see. So only what it would
have accepted, against its own annotations, is a failure.
"""

import ast
import functools
import sys
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import decode_source

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeCallHintForwardRefException, BeartypeCallHintViolation
from jaxtyping import jaxtyped

KINDS = ("Bool[", "Float[", "Int64[", "Int[", "Num[", "Shaped[", "UInt8[")
by_beartype = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int will do where a float is asked for


def checked(function):
    """The function, its arguments and what it returns held to its annotations."""
    # One memory of shapes around a function that beartype checks. Binding the arguments to words for an error of
    # jaxtyping's own, as `jaxtyped(function, typechecker=by_beartype)` does, takes most of the time of a small call.
    strict = jaxtyped(by_beartype(function), typechecker=None)

    @functools.wraps(function)
    def call(*arguments, **options):
        try:
            return strict(*arguments, **options)
        except BeartypeCallHintForwardRefException:  # of an argument whose type is imported for type checkers only
            return function(*arguments, **options)
        except BeartypeCallHintViolation:
            with unchecked():
                function(*arguments, **options)  # raises an error of its own, if it refuses this
            raise

    return call


@contextmanager
def unchecked():
    """What refuses bad input may hand it to others first."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


class Loader(SourceFileLoader):
    """Puts `checked` around the functions of a module while it is imported; compiled code is not kept."""

    def get_code(self, fullname):
        path = self.get_filename(fullname)
        tree = ast.parse(decode_source(self.get_data(path)))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and any(kind in ast.unparse(signature(node)) for kind in KINDS):
                decorator = ast.parse("__import__('tests.shapes').shapes.checked", mode="eval").body
                node.decorator_list.append(ast.copy_location(decorator, node))
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


def signature(node):
    """A function without its body and decorators."""
    return ast.FunctionDef(node.name, node.args, [ast.Pass()], [], node.returns, lineno=0)


class Finder(MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        spec = PathFinder.find_spec(fullname, path, target) if fullname.split(".")[0] == "labkit" else None
        if spec and type(spec.loader) is SourceFileLoader:
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


def install():
    """From now on, modules of labkit are imported with their annotations checked."""
    if "labkit" in sys.modules:
        raise RuntimeError("labkit is imported already")
    sys.meta_path.insert(0, Finder())
