"""A report on several machines: its units on the workers of a Dask cluster."""

import pickle
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache, partial
from itertools import islice
from typing import Any

from torch import Tensor

from labkit.extras import needs
from labkit.report.measuring import Figures, Measure, Unit, attempted
from labkit.report.subject import Subject

PATIENCE = 30  # seconds until a scheduler must have answered
IN_FLIGHT = 3  # units that each worker has at once


def on_cluster(scheduler: str) -> Callable[[Subject, Iterator[Unit]], Iterator[tuple[Unit, Figures | Exception]]]:
    """Measure on the workers of a Dask cluster, which need labkit. A unit whose worker dies is done by another one.

    Args:
        scheduler: its address, "tcp://host:8786".

    Returns:
        What `measure_all` takes as `run`.

    Raises:
        ModuleNotFoundError: distributed is not installed.
    """
    return partial(_measured, scheduler)


def _measured(scheduler: str, subject: Subject, units: Iterator[Unit]) -> Iterator[tuple[Unit, Figures | Exception]]:
    with needs("grade"):
        from distributed import Client, as_completed

    try:
        client: Any = Client(scheduler, timeout=PATIENCE)
    except OSError as error:
        raise ValueError(f"no scheduler answers at {scheduler}") from error
    with client:
        packed = _packed(subject)
        (shared,) = client.scatter([packed], broadcast=True)  # to every worker, so that the death of one loses nothing
        running: dict[Any, Unit] = {}

        def submit(unit: Unit) -> Any:
            key = f"labkit-report-{id(subject)}-{unit.name}"
            future = client.submit(measured_on_worker, shared, unit.task.measure, unit.chosen, key=key, pure=False)
            running[future] = unit
            return future

        count = IN_FLIGHT * max(len(client.scheduler_info()["workers"]), 1)
        completed = as_completed([submit(unit) for unit in islice(units, count)])
        try:
            for future in completed:
                unit = running.pop(future)
                error = future.exception()
                yield unit, future.result() if error is None else _as_exception(error)
                for another in islice(units, 1):
                    completed.add(submit(another))
        finally:
            client.cancel(list(running))


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(str(error))


def measured_on_worker(packed: bytes, measure: Measure, chosen: Tensor) -> Figures | Exception:
    """On a worker: measure one unit. The subject is unpacked once, and keeps what units share."""
    return attempted(_unpacked(packed), measure, chosen)


@lru_cache(maxsize=1)
def _unpacked(packed: bytes) -> Subject:
    return pickle.loads(packed)  # from whoever may run code on this worker anyway


def _packed(subject: Subject) -> bytes:
    """The subject, with the code of modules that workers cannot import, such as the file that a network comes from.

    A worker need not have the device that the network is on here.
    """
    with needs("grade"):
        import cloudpickle

    for module in subject.model.modules():
        home = sys.modules.get(type(module).__module__)
        if home is not None and "." not in home.__name__ and home.__name__ != "__main__":
            cloudpickle.register_pickle_by_value(home)
    labels = None if subject.labels is None else subject.labels.cpu()
    tensors = {"images": subject.images.cpu(), "labels": labels, "logits": subject.logits.cpu()}
    model = subject.model if subject.images.device.type == "cpu" else deepcopy(subject.model).cpu()
    return cloudpickle.dumps(replace(subject, model=model, **tensors))
