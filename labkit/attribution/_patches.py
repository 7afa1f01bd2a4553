"""What a window changes in the activations of a layer: a patch for each of many positions, computed as one batch."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from labkit.layers import Pair

Interval = tuple[int, int]  # along one axis: the first, and how many


@dataclass(frozen=True, eq=False)
class Patches:
    """The parts of a layer's activations that differ from the clean ones, for windows at positions on a grid.

    The patch of the grid's row r and column c begins at start + (r, c) * step. What of it lies outside the layer means
    nothing.

    Attributes:
        clean: (1, C, H, W), the layer's activations of the clean image.
        values: (rows * columns, C, h, w), the patches, row after row.
        start: where the first patch begins, in the layer's rows and columns.
        step: from one patch to the next.
        rows: which rows of all positions these are.
        columns: likewise.
    """

    clean: Tensor
    values: Tensor
    start: Pair
    step: Pair
    rows: range
    columns: range

    @property
    def grid(self) -> Pair:
        return len(self.rows), len(self.columns)

    @property
    def size(self) -> Pair:
        return self.values.shape[2], self.values.shape[3]

    def at(self, rows: slice, columns: slice) -> "Patches":
        """The patches at some of the positions."""
        values = self.values.permute(0, 2, 3, 1).unflatten(0, self.grid)[rows, columns].flatten(0, 1)
        (top, _, down), (left, _, across) = rows.indices(self.grid[0]), columns.indices(self.grid[1])
        start = (self.start[0] + top * self.step[0], self.start[1] + left * self.step[1])
        step = (self.step[0] * down, self.step[1] * across)
        return Patches(self.clean, values.permute(0, 3, 1, 2), start, step, self.rows[rows], self.columns[columns])

    def alike(self, stride: Pair) -> "list[Patches]":
        """In groups whose distances are multiples of a stride: a layer with this stride treats a group alike."""
        every = [s // math.gcd(s, distance) for s, distance in zip(stride, self.step, strict=True)]
        if every == [1, 1]:
            return [self]
        tops, lefts = (range(min(n, size)) for n, size in zip(every, self.grid, strict=True))
        return [self.at(slice(top, None, every[0]), slice(left, None, every[1])) for top in tops for left in lefts]

    def pieces(self, limit: int) -> "Iterator[Patches]":
        """In blocks of at most `limit` positions."""
        rows, columns = self.grid
        if rows * columns <= limit:
            yield self
            return
        at_once = max(1, limit // columns)  # rows in a block
        bands = [slice(first, first + at_once) for first in range(0, rows, at_once)]
        sides = [slice(first, first + limit) for first in range(0, columns, limit)]
        yield from (self.at(band, side) for band in bands for side in sides)

    def cut(self, rows: Interval, columns: Interval, outside: float = 0.0) -> Tensor:
        """Other patches of the changed layer.

        Args:
            rows: the first row of the first position's new patch, and how many rows it has.
            columns: likewise.
            outside: the value of what lies around the layer.

        Returns:
            (positions, C, h, w).
        """
        (start, size) = zip(rows, columns, strict=True)
        low, margins = self._margins(start, size)
        clean = pad(self.clean, margins, value=outside)[0].permute(1, 2, 0)  # (H, W, C)
        clean = clean.contiguous()[start[0] + low[0] :, start[1] + low[1] :]
        patches = clean.unfold(0, size[0], self.step[0]).unfold(1, size[1], self.step[1])
        patches = patches[: self.grid[0], : self.grid[1]].permute(0, 1, 3, 4, 2)  # (rows, columns, h, w, C), a view
        patches = patches.clone(memory_format=torch.contiguous_format)
        (y, from_y), (x, from_x) = (_overlap(start[a], size[a], self.start[a], self.size[a]) for a in (0, 1))
        values = self.values.permute(0, 2, 3, 1).unflatten(0, self.grid)
        patches[:, :, y, x] = values[:, :, from_y, from_x]
        self._fill_outside(patches, start, outside)
        return patches.flatten(0, 1).permute(0, 3, 1, 2)

    def whole(self) -> Tensor:
        """(positions, C, H, W): the changed layer, all of it."""
        height, width = self.clean.shape[2:]
        low, margins = self._margins(self.start, self.size)
        canvas = pad(self.clean, margins)[0].permute(1, 2, 0)
        canvas = canvas.expand(*self.grid, *canvas.shape)  # (rows, columns, H, W, C) with margins
        canvas = canvas.clone(memory_format=torch.contiguous_format)
        row, column, y, x, channel = canvas.stride()
        patches = canvas.as_strided(  # (rows, columns, h, w, C), each where it belongs in its own canvas
            (*self.grid, *self.size, canvas.shape[-1]),
            (row + self.step[0] * y, column + self.step[1] * x, y, x, channel),
            (self.start[0] + low[0]) * y + (self.start[1] + low[1]) * x,
        )
        patches.copy_(self.values.permute(0, 2, 3, 1).unflatten(0, self.grid))
        canvas = canvas[:, :, low[0] : low[0] + height, low[1] : low[1] + width]
        return canvas.flatten(0, 1).permute(0, 3, 1, 2)

    def plus(self, other: "Patches", clean: Tensor) -> "Patches":
        """The sum with another branch's patches of the same positions; clean is the sum of the clean activations."""
        first = tuple(map(min, self.start, other.start))
        ends = [max(each.start[axis] + each.size[axis] for each in (self, other)) for axis in (0, 1)]
        rows, columns = ((start, end - start) for start, end in zip(first, ends, strict=True))
        values = self.cut(rows, columns) + other.cut(rows, columns)
        return Patches(clean, values, (rows[0], columns[0]), self.step, self.rows, self.columns)

    def _margins(self, start: Pair, size: Pair) -> tuple[Pair, tuple[int, int, int, int]]:
        """How far patches from start reach beyond the layer: above and left of it, and on all sides as `pad` wants."""
        low = (max(0, -start[0]), max(0, -start[1]))
        ends = [start[a] + (self.grid[a] - 1) * self.step[a] + size[a] for a in (0, 1)]
        high = [max(0, end - length) for end, length in zip(ends, self.clean.shape[2:], strict=True)]
        return low, (low[1], high[1], low[0], high[0])

    def _fill_outside(self, patches: Tensor, start: Pair, value: float) -> None:
        """Give what lies outside the layer a value, in patches (rows, columns, h, w, C) that begin at start."""
        for axis, length in enumerate(self.clean.shape[2:]):
            size = patches.shape[2 + axis]
            for index in range(self.grid[axis]):
                first = start[axis] + index * self.step[axis]
                if first < 0 or first + size > length:
                    here = patches.select(axis, index).movedim(1 + axis, 0)  # (h, ...) or (w, ...)
                    here[: max(0, -first)] = value
                    here[max(0, length - first) :] = value


def _overlap(start: int, size: int, other: int, other_size: int) -> tuple[slice, slice]:
    """What two intervals have in common, as a slice of the first and as a slice of the second; it may be nothing."""
    first = max(start, other)
    last = max(first, min(start + size, other + other_size))
    return slice(first - start, last - start), slice(first - other, last - other)
