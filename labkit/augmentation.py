"""Augmentation of a training batch: shifts, mirrored images, a square cut out. The caller draws, so runs can repeat."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import pad


def draw_moves(n: int, shift: int, flip: bool, rng: torch.Generator) -> Int64[Tensor, "n 3"]:
    """(N, 3) int64: how far down and right to look in the padded image, and whether to mirror it."""
    limits = torch.tensor([2 * shift + 1, 2 * shift + 1, 2 if flip else 1])
    return (torch.rand(n, 3, generator=rng) * limits).long()


def moved(images: Float[Tensor, "n c h w"], moves: Int64[Tensor, "n 3"], shift: int) -> Float[Tensor, "n c h w"]:
    """Each image (C, H, W) shifted and mirrored as its row of moves says: one lookup of rows and columns."""
    if not shift and not moves.any():
        return images
    n, c, h, w = images.shape
    device = images.device
    padded = pad(images, [shift] * 4, mode="reflect")
    rows = moves[:, 0, None] + torch.arange(h, device=device)  # (N, H)
    columns = moves[:, 1, None] + torch.arange(w, device=device)  # (N, W)
    columns = torch.where(moves[:, 2, None] == 1, columns.flip(1), columns)
    each, channel = torch.arange(n, device=device)[:, None, None, None], torch.arange(c, device=device)[:, None, None]
    return padded[each, channel, rows[:, None, :, None], columns[:, None, None, :]]  # (N, C, H, W)


def cut_out(images: Float[Tensor, "n c h w"], places: Float[Tensor, "n 2"], side: int) -> Float[Tensor, "n c h w"]:
    """Each image with a grey square, whose centre is at (down, right), (N, 2), as fractions of height and width."""

    def covered(length: int, fractions: Tensor) -> Tensor:  # (N, length) bool
        first = (fractions * length).floor() - side // 2
        place = torch.arange(length, device=images.device) - first[:, None]
        return (place >= 0) & (place < side)

    height, width = images.shape[2:]
    square = covered(height, places[:, 0])[:, :, None] & covered(width, places[:, 1])[:, None, :]
    return images.masked_fill(square[:, None], 0.5)
