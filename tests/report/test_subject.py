"""What a report's measurements depend on."""

from dataclasses import replace

import torch

from labkit.report import subject as subjects
from labkit.report.measuring import Task, measure_all
from labkit.report.subject import Subject, subject_of


def subject(network, images, **options) -> Subject:
    given = {"name": "it", "classes": (), "files": (), "layer": None, "methods": ("saliency",), "examples": 2}
    return subject_of(network, images, None, **given | {"batch_size": 3, "seed": 0} | options)


def test_the_key_tells_apart_all_that_is_kept_differently(network, images, monkeypatch):
    one = subject(network, images)
    assert subject(network, images.clone()).key() == one.key()
    keys = {one.key(), subject(network, images, classes=("ant", "bee", "cat", "dog")).key()}
    keys |= {
        replace(one, **change).key() for change in ({"batch_size": 1}, {"examples": 3}, {"seed": 1}, {"layer": "0"})
    }
    monkeypatch.setattr(subjects, "version", lambda _name: "another")
    assert len(keys | {one.key()}) == 7


def test_what_was_kept_of_other_units_is_not_mixed_with_these(network, images, tmp_path):
    """As a report that ran out of memory goes on with a smaller batch."""
    for size in (3, 1):
        found = subject(network, images, batch_size=size)
        task = Task("rows", "rows", lambda _, chosen: {"rows": chosen.double()}, torch.arange(5), 1, at_once=size)
        measured, _ = measure_all(found, [task], folder=tmp_path / found.key())
        assert measured["rows"].figures["rows"].tolist() == [0, 1, 2, 3, 4]
