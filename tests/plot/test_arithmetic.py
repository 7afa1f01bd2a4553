import torch

from labkit import plot

KERNEL = torch.tensor([[1.0, 0, -1]] * 3)


def test_sliding_frames_the_window_and_writes_outputs_up_to_the_step():
    image = torch.arange(36.0).reshape(6, 6) / 36
    output = torch.nn.functional.conv2d(image[None, None], KERNEL[None, None])[0, 0]
    figure = plot.sliding(image, KERNEL, output, 6)
    first, *_, last = figure.axes
    assert first.patches[-1].get_xy() == (1.5, 0.5)  # the step 6 is row 1, column 2
    assert first.patches[-1].get_width() == 3
    assert len(last.texts) == 7
    assert figure.axes[2].get_xlabel() == "sum −0.17"
