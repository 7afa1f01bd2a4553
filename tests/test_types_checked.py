"""That types and shapes are checked in every test: what passes, what is refused, what fails."""

import pytest
import torch
from jaxtyping import Float, jaxtyped
from torch import Tensor

from labkit.attacks.pgd import pgd_steps
from labkit.core import value_and_grad
from tests.types_checked import checker


@jaxtyped(typechecker=checker)
def row_sums(table: Float[Tensor, "n k"], *, scale: float = 1.0, result: Tensor | None = None) -> Float[Tensor, " n"]:
    if table.ndim != 2:
        raise ValueError("a table has two dimensions")
    return scale * table.sum(1) if result is None else result


def test_what_is_as_annotated_passes():
    assert row_sums(torch.ones(2, 3), scale=2).tolist() == [6, 6]  # an int is a float


def test_what_the_function_refuses_is_refused_in_its_own_words():
    with pytest.raises(ValueError, match="two dimensions"):
        row_sums(torch.ones(2))


@pytest.mark.parametrize(
    ("table", "options"),
    [
        (torch.ones(2, 3, dtype=torch.int64), {}),
        (torch.ones(2, 3), {"scale": torch.tensor(2.0)}),
        (torch.ones(2, 3), {"result": torch.ones(2, 3)}),
        (torch.ones(2, 3), {"result": torch.ones(3)}),  # the same letter is the same number
    ],
)
def test_what_is_not_as_annotated_and_not_refused_fails_the_test(table, options):
    with pytest.raises(pytest.fail.Exception, match="not as annotated"):
        row_sums(table, **options)


def test_labkit_is_checked():
    assert hasattr(pgd_steps, "__wrapped__")
    with pytest.raises(pytest.fail.Exception, match="has_aux=1 violates"):
        value_and_grad(lambda x: (x, "rest"), torch.ones(2), has_aux=1)
