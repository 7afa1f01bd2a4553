"""What one submission may use."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes; times in seconds that a submission takes itself (see `watcher`), not those it waits for others.

    Raises:
        ValueError: a limit is not above zero.
    """

    cell: float = 120  # for one cell of the notebook
    call: float = 60  # for one call of a function
    total: float = 900  # for everything, from the first cell to the last answer
    memory: int = 4 * 2**30  # of all its processes together, with files in memory and buffers
    processes: int = 64  # and threads

    @property
    def files(self) -> int:
        """Bytes in its home, again in /tmp, again in /dev/shm, and in one file at most.

        All three, full, take less than half of the memory: a notebook that filled them still has room to answer.
        """
        return self.memory // 8

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"{field.name} must be above 0, got {value:g}")
