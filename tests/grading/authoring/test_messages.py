"""What a student reads where something goes wrong, in a kernel as Jupyter starts it."""

import nbformat
import pytest
import torch
from nbclient import NotebookClient

from labkit.grading.authoring import check, messages

NO_GRADIENT = """def saliency(model, images):
    score = model(images).sum()
    score.backward()
    return images.grad
"""


@pytest.fixture(scope="module")
def cell():
    """Runs a cell in one kernel; what a front end shows of an error."""
    book = nbformat.v4.new_notebook()
    client = NotebookClient(book, timeout=300, kernel_name="python3", allow_errors=True)

    def run(source):
        book.cells.append(nbformat.v4.new_code_cell(source))
        content = client.execute_cell(book.cells[-1], len(book.cells) - 1)
        errors = [output for output in content.outputs if output.output_type == "error"]
        return "\n".join(errors[0].traceback) if errors else ""

    with client.setup_kernel():
        assert run("import torch\nfrom labkit.grading.authoring import check") == ""
        yield run


@pytest.mark.slow
def test_a_check_speaks_one_sentence_and_then_a_hint(cell):
    source = "check.equal({}, 2.0, 'two numbers', 'And the mean?')"
    assert cell(source.format(3.5)) == "two numbers: 3.5, expected 2.\n(There is a hint if this fails again.)"
    assert cell(source.format(2.5)) == "two numbers: 2.5, expected 2.\nAnd the mean?"
    assert cell("check.that(False, 'shuffle them')") == "shuffle them"
    assert cell(source.format(2.0)) == ""
    assert "CheckFailed" in cell("%tb") or "Traceback" in cell("%tb")


@pytest.mark.slow
def test_a_forgotten_requires_grad_is_a_sentence_too(cell):
    assert cell(NO_GRADIENT) == ""
    call = "saliency(torch.nn.Flatten(), torch.zeros(1, 1, 2, 2))"
    first, second = cell(call), cell(call)
    where = "saliency, line 3: score.backward()\n"
    assert (
        first
        == f"{where}A gradient is asked for, and the tensor did not remember how it was computed.\n{messages.AGAIN}"
    )
    assert second.startswith(where)
    assert second.endswith("And no torch.no_grad() around it.")
    assert "requires_grad_()" in second


@pytest.mark.slow
def test_a_task_that_is_not_begun_is_said(cell):
    cell("def fit():\n    # YOUR CODE HERE\n    raise NotImplementedError()")
    assert cell("fit()") == "fit is not written yet."


@pytest.mark.slow
def test_other_errors_keep_their_traceback(cell):
    for source in ("1 / 0", "raise RuntimeError('else')", "torch.zeros(2) @ torch.zeros(3)"):
        assert "Traceback" in cell(source)


def test_outside_of_a_notebook_the_message_is_whole():
    with pytest.raises(check.CheckFailed, match=r"^two numbers: 3, expected 2. And the mean\?$"):
        check.equal(3.0, 2.0, "two numbers", "And the mean?")
    with pytest.raises(AssertionError, match=r"^your loss: a single number, expected shape 2 x 3.$"):
        check.shaped(torch.tensor(1.0), (2, 3), "your loss")
    with pytest.raises(AssertionError, match=r"^your loss: shape 2, expected a single number. The mean.$"):
        check.shaped(torch.zeros(2), (), "your loss", "The mean.")


@pytest.mark.parametrize(
    ("number", "words"), [("nan", "found nan .* 0 / 0"), ("-inf", "found inf .* logarithm of zero")]
)
def test_nan_and_infinity_are_told_apart(number, words):
    with pytest.raises(check.CheckFailed, match=words):
        check.shaped(torch.tensor([1.0, float(number)]), (2,), "your map")
