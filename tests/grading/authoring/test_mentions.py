import textwrap

import torch

from labkit.grading.authoring import mentions

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


def both(source, function="loss"):
    names = {}
    exec(source, names)
    return mentions.in_function(names.get(function)), mentions.in_sources([source], function)


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
    assert "cross_entropy" not in mentions.in_sources([CALLS["by its full name"], OWN], "loss")
    magic = "%time x = 1\n" + CALLS["by its full name"]
    assert "cross_entropy" in mentions.in_sources([magic], "loss")
    assert mentions.in_sources(["(", textwrap.indent(OWN, "  ")], "gone") == {"gone"}


def test_what_is_no_function_mentions_nothing():
    assert mentions.in_function(None) == mentions.in_function(torch.nn.ReLU()) == set()
