import re
import textwrap

import pytest
import torch

from labkit.grading.authoring import check, mentions

OWN = "def loss(x, y):\n    return (x.exp().sum(1).log() - x[:, 0]).mean()"
CALLS = {
    "by its full name": """
        import torch

        def loss(x, y):
            return torch.nn.functional.cross_entropy(x, y)
    """,
    "under another name": """
        from torch.nn.functional import cross_entropy as own

        def loss(x, y):
            return own(x, y)
    """,
    "from a helper": """
        import torch.nn.functional as F

        def help(x, y):
            return F.cross_entropy(x, y)

        def loss(x, y):
            return help(x, y)
    """,
    "in a comprehension": """
        from torch import nn

        def loss(x, y):
            return [nn.functional.cross_entropy(each, y) for each in x]
    """,
    "imported inside": """
        def loss(x, y):
            from torch.nn.functional import cross_entropy as own
            return own(x, y)
    """,
}
CALLS = {what: textwrap.dedent(source) for what, source in CALLS.items()}


def from_text(sources, function):
    return mentions.in_sources(mentions.bindings(sources), function)


def both(source, function="loss"):
    names = {}
    exec(source, names)
    return mentions.in_function(names.get(function)), from_text([source], function)


def test_what_is_called_is_found_in_the_process_and_in_the_text():
    for what, source in CALLS.items():
        running, text = both(source)
        assert "cross_entropy" in running, what
        assert "cross_entropy" in text, what


def test_a_comparison_elsewhere_is_no_call():
    """A careful student holds the own function against PyTorch's."""
    source = f"import torch\n{OWN}\n\ndef test():\n    assert loss(1, 2) == torch.nn.functional.cross_entropy(1, 2)"
    for found in both(source):
        assert "cross_entropy" not in found
        assert "exp" in found


def test_a_function_of_the_same_name_is_not_what_it_calls():
    source = OWN.replace("loss", "cross_entropy") + "\n\ndef fit(x, y):\n    return cross_entropy(x, y)"
    for function in ("cross_entropy", "fit"):
        for found in both(source, function):
            assert "cross_entropy" not in found


def test_the_last_definition_counts_and_cells_with_magics_are_read_too():
    assert "cross_entropy" not in from_text([CALLS["by its full name"], OWN], "loss")
    magic = "%time x = 1\n" + CALLS["by its full name"]
    assert "cross_entropy" in from_text([magic], "loss")
    assert from_text(["(", textwrap.indent(OWN, "  ")], "gone") == {"gone"}


def test_what_is_no_function_mentions_nothing():
    assert mentions.in_function(None) == mentions.in_function(torch.nn.ReLU()) == set()


BORROWED = {
    "imported under its name": """
        from labkit.attribution.saliency import saliency
    """,
    "imported under another name": """
        from labkit.attribution.saliency import saliency as ready

        def saliency(*given):
            return ready(*given)
    """,
    "imported inside": """
        def saliency(*given):
            from labkit.attribution.saliency import saliency as ready

            return ready(*given)
    """,
    "the module": """
        import labkit.attribution.saliency

        def saliency(*given):
            return labkit.attribution.saliency.saliency(*given)
    """,
    "the module under another name": """
        from labkit.attribution import saliency as module

        def saliency(*given):
            return module.saliency(*given)
    """,
    "everything": """
        from labkit.attribution.saliency import *
    """,
    "what does the work for it": """
        from labkit import core

        def saliency(*given):
            return core.input_gradient(*given)
    """,
    "assigned": """
        from labkit.attribution import saliency as module

        saliency = module.saliency
    """,
    "assigned over the own one": """
        from labkit.attribution.saliency import saliency as ready

        def saliency(*given):
            return 0

        saliency = ready
    """,
    "imported over the own one": """
        def saliency(*given):
            return 0

        from labkit.attribution.saliency import saliency
    """,
    "decorated": """
        import torch
        from labkit.attribution.saliency import saliency as ready

        @torch.no_grad()
        def saliency(*given):
            return ready(*given)
    """,
    "wrapped afterwards": """
        import torch
        from labkit.attribution.saliency import saliency as ready

        def saliency(*given):
            return ready(*given)

        saliency = torch.no_grad()(saliency)
    """,
    "where the own one fails": """
        def own(*given):
            raise NotImplementedError

        try:
            own()
        except NotImplementedError:
            from labkit.attribution.saliency import saliency
    """,
}
OWN_WORK = {
    "a comparison in another function": """
        from labkit.attribution.saliency import saliency as ready

        def saliency(*given):
            return 0

        def compare(*given):
            return saliency(*given) - ready(*given)
    """,
    "an import that the own one replaces": """
        from labkit.attribution.saliency import saliency

        def saliency(*given):
            return 0
    """,
    "what everybody may use": """
        import labkit
        from labkit import data, models, plot

        def saliency(*given):
            return labkit.data.CLASSES, models.load, plot.images, data
    """,
    "a variable of its own with an imported name": """
        from labkit.attribution.saliency import saliency as x

        def saliency(model, images, classes):
            x = images.clone()
            return x
    """,
    "a lambda": """
        saliency = lambda model, images, classes: images
    """,
    "a class": """
        class Saliency:
            def __call__(self, model, images, classes):
                return images

        saliency = Saliency()
    """,
    "an annotation": """
        from collections.abc import Callable

        saliency: Callable = lambda *given: 0
    """,
}


def words(source):
    """What is said of a function in its process, and of its text."""
    names = {"__name__": "__main__"}
    exec(textwrap.dedent(source), names)
    running = check.borrowed(check.Here(names), "saliency")
    known = mentions.bindings([textwrap.dedent(source)])

    class Text:
        names_in = staticmethod(lambda function: mentions.in_sources(known, function))

    return running, check.borrowed(Text, "saliency")


@pytest.mark.parametrize("what", BORROWED)
def test_what_is_borrowed_from_labkit(what):
    for told in words(BORROWED[what]):
        assert re.fullmatch("it calls labkit's own (saliency|core|input_gradient), and .*", told or ""), what


@pytest.mark.parametrize("what", OWN_WORK)
def test_what_is_work_of_its_own(what):
    assert words(OWN_WORK[what]) == (None, None)


def test_what_the_solution_imports_is_lent():
    source = textwrap.dedent(BORROWED["imported inside"])
    names = {}
    exec(source, names)
    assert check.borrowed(check.Here(names), "saliency", lent=["labkit.attribution.saliency"]) is None
    assert check.borrowed(check.Here(names), "saliency", lent=["labkit.attribution.sal"])


def test_a_module_that_is_named_as_text():
    source = "import importlib\n\ndef f():\n    return importlib.import_module('labkit.core').input_gradient()"
    assert "labkit.core" in from_text([source], "f")
    assert "labkit.core" in from_text(["%%time\n" + source], "f"), "a cell with a magic is read too"
    assert "labkit.core" in from_text([source + "\n\nx = %time f()"], "f"), "and one that is no Python"


def test_a_long_chain_of_attributes_takes_no_time():
    source = "def f():\n    return x" + ".y" * 400
    assert from_text([source], "f") == {"x", "y"}


def test_a_visible_check_says_what_is_called():
    names = {"__name__": "__main__"}
    exec(textwrap.dedent(BORROWED["imported inside"]), names)
    with pytest.raises(check.CheckFailed, match="gives what is wanted, but it calls labkit's own saliency, and that"):
        check.own(names["saliency"])
    check.own(lambda: 0)
    with pytest.raises(check.CheckFailed, match="it calls relu, and that"):
        check.own(lambda x: torch.relu(x), "relu")
