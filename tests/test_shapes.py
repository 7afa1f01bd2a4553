"""The check of shapes finds what contradicts an annotation, and lets functions refuse in their own words."""

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float, Int64
from torch import Tensor

from labkit.attribution.saliency import saliency
from tests.shapes import checked


@checked
def classified(images: Float[Tensor, "n c h w"], *, scale: float = 1) -> Int64[Tensor, " n"]:
    if images.ndim == 2:
        raise ValueError("images must have four dimensions")
    return (images.flatten(1).sum(1) * scale).long()[: 1 if scale < 0 else None]


def test_what_fits_passes():
    assert classified(torch.ones(2, 1, 2, 2), scale=2).tolist() == [8, 8]


@pytest.mark.parametrize("images", [torch.ones(2, 2, 2), torch.ones(2, 1, 2, 2).long()])
def test_what_is_accepted_against_the_annotation_is_found(images):
    with pytest.raises(BeartypeCallHintViolation):
        classified(images)


def test_a_result_of_another_shape_is_found():
    with pytest.raises(BeartypeCallHintViolation):
        classified(torch.ones(2, 1, 2, 2), scale=-1)


def test_a_function_refuses_in_its_own_words():
    with pytest.raises(ValueError, match="four dimensions"):
        classified(torch.ones(2, 2))


def test_labkit_is_imported_with_the_check():
    assert saliency.__wrapped__.__code__ is not saliency.__code__
