import re
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from labkit import (
    _torchvision,  # noqa: F401  mends torchvision where it needs it
    data,
    training,
)
from labkit.attacks.pgd import pgd
from labkit.training import evaluate, fit, one_cycle, predict
from tests.shapes import unchecked


@pytest.fixture
def digits() -> tuple[data.ImageSet, data.ImageSet]:
    sample = data.sample("mnist", "train")
    return sample.subset(slice(400)), sample.subset(slice(400, 600))


ATTACK = {"attack": {"eps": 0.1, "steps": 2}}
BOUNDS = {"bounds": {"eps": 0.1, "ramp": 0.5, "kappa": 0.5}, "clip": 1.0}


def small_network(seed: int = 0) -> nn.Sequential:
    """Everything that could spoil repeatability: convolution, batch norm, dropout."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Flatten(),
            nn.Linear(1352, 10),
        )


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([tensor.flatten().double() for tensor in model.state_dict().values()])


@pytest.mark.slow
def test_it_learns(digits):
    train, test = digits
    model = small_network()
    history = fit(model, train, test, epochs=8, batch_size=20, learning_rate=5e-3)
    assert history.test_accuracy[-1] > 0.8
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]
    assert len(history.seconds) == 8
    assert not any(module.training for module in model.modules())
    assert history.test_accuracy[-1] == evaluate(model, test).accuracy


@pytest.mark.slow
def test_outliers_are_taken_for_every_class_alike(digits):
    train, test = digits
    noise = torch.rand(200, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    sure, unsure = (small_network(), small_network())
    fit(sure, train, test, epochs=8, learning_rate=5e-3)
    history = fit(unsure, train, test, epochs=8, learning_rate=5e-3, outliers=noise[:100])
    assert predict(sure, noise[100:]).softmax(1).amax(1).mean() > 0.5
    assert predict(unsure, noise[100:]).softmax(1).amax(1).mean() < 0.3
    assert history.test_accuracy[-1] > 0.6
    with pytest.raises(ValueError, match=r"got shape \(200, 784\)"):
        fit(small_network(), train, test, epochs=1, outliers=noise.flatten(1))


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 3])
def test_adversarial_training_makes_a_network_harder_to_fool(digits, steps):
    train, test = digits
    attack = {"eps": 0.1, "steps": steps, "step_size": 0.125 if steps == 1 else 0.05}
    left = []
    for options in ({}, {"attack": attack}):
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
        model[1].weight.data.zero_(), model[1].bias.data.zero_()
        fit(model, train, test, epochs=10, batch_size=20, learning_rate=5e-3, **options)
        hit = predict(model, pgd(model, test.images, test.labels, eps=0.1, steps=10)).argmax(1) == test.labels
        left.append(hit.float().mean().item())
    assert left[1] > left[0] + 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "sgd", "learning_rate": 0.05},
        {"shift": 2, "flip": True},
        {"average": 0.9, "flip": "alternating"},
        ATTACK,
        ATTACK | {"trades": 2.0},
        BOUNDS,
    ],
)
def test_the_same_seed_gives_the_same_weights_bit_for_bit(digits, options):
    runs = []
    for seed in (3, 3, 4):
        torch.rand(1)  # what is drawn elsewhere does not matter
        model = small_network()
        fit(model, *digits, epochs=2, batch_size=50, seed=seed, **options)
        runs.append(weights(model))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_it_leaves_the_global_generator_alone(digits):
    before = torch.get_rng_state()
    fit(small_network(), *digits, epochs=1)
    assert torch.equal(torch.get_rng_state(), before)


class Interrupted(Exception):
    pass


def stop_at(epoch: int):
    """A progress option that breaks the run off in the middle of an epoch."""
    epochs = iter(range(1, 100))

    def wrap(steps):
        for step, indices in enumerate(steps):
            if step == 3 and now == epoch:
                raise Interrupted
            yield indices

    def progress(steps):
        nonlocal now
        now = next(epochs)
        return wrap(steps)

    now = 0
    return progress


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, BOUNDS, {"average": 0.95, "flip": "alternating", "cutout": 8}])
def test_a_resumed_run_ends_as_if_it_had_not_been_broken_off(digits, tmp_path, more):
    options = {"epochs": 4, "batch_size": 50, "weight_decay": 0.01, "shift": 1, "checkpoint": tmp_path / "a.checkpoint"}
    options |= more
    broken = small_network()
    with pytest.raises(Interrupted):
        fit(broken, *digits, **options, progress=stop_at(3))
    resumed, whole = small_network(seed=99), small_network()
    history = fit(resumed, *digits, **options)
    uninterrupted = fit(whole, *digits, **options | {"checkpoint": None})
    assert torch.equal(weights(resumed), weights(whole))
    assert history.train_loss == uninterrupted.train_loss
    assert len(history.seconds) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["a.checkpoint"]


def test_a_run_that_began_on_a_gpu_goes_on_without_one(digits, tmp_path, monkeypatch):
    options = {"epochs": 2, "checkpoint": tmp_path / "a.checkpoint"}
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")  # as a GPU's tensors are marked
        with pytest.raises(Interrupted):
            fit(small_network(), *digits, **options, progress=stop_at(2))
    assert len(fit(small_network(seed=99), *digits, **options).seconds) == 2


def test_a_checkpoint_of_another_run_is_refused(digits, tmp_path):
    path = tmp_path / "a.checkpoint"
    fit(small_network(), *digits, epochs=1, seed=1, checkpoint=path)
    with pytest.raises(
        ValueError, match=re.escape("was made with {'epochs': 1, 'seed': 1}, not {'epochs': 2, 'seed': 0}")
    ):
        fit(small_network(), *digits, epochs=2, checkpoint=path)


@pytest.mark.parametrize("name", ["run", "run.checkpoint"])
def test_a_checkpoint_may_have_any_name(digits, tmp_path, name):
    fit(small_network(), *digits, epochs=1, checkpoint=tmp_path / name)
    resumed = small_network(seed=99)
    fit(resumed, *digits, epochs=1, checkpoint=tmp_path / name)
    assert resumed[0].weight.equal(torch.load(tmp_path / name)["model"]["0.weight"])


@pytest.mark.parametrize("content", [b"", b"garbage", {"model": {}}, [1]])
def test_a_file_that_is_no_checkpoint_is_refused(digits, tmp_path, content):
    path = tmp_path / "a.checkpoint"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(ValueError, match=r"a\.checkpoint is not a checkpoint that can be read"):
        fit(small_network(), *digits, epochs=1, checkpoint=path)


def test_a_checkpoint_of_another_network_is_refused_and_changes_nothing(digits, tmp_path):
    path, model = (
        tmp_path / "a.checkpoint",
        nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.Flatten(), nn.Linear(1352, 10)),
    )
    before = weights(model)
    fit(small_network(), *digits, epochs=1, checkpoint=path)
    with pytest.raises(ValueError, match=r"a\.checkpoint is that of another network"):
        fit(model, *digits, epochs=1, checkpoint=path)
    assert torch.equal(weights(model), before)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": 0}, "epochs must be a whole number from 1 up, got 0"),
        ({"epochs": 1.5}, "got 1.5"),
        ({"epochs": True}, "got True"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1 up, got 0"),
        ({"batch_size": 401}, "images must be a whole number from 401 up, got 400"),
        ({"optimizer": "adamw"}, "optimizer must be one of ['adam', 'sgd'], got 'adamw'"),
        ({"learning_rate": 0}, "learning_rate must be a number above 0, got 0"),
        ({"learning_rate": float("nan")}, "got nan"),
        ({"label_smoothing": 1}, "label_smoothing must lie in [0, 0.99], got 1"),
        ({"warmup": -0.1}, "got -0.1"),
        ({"shift": -1}, "got -1"),
        ({"shift": 28}, "shift must be a whole number from 0 to 27, got 28"),
        ({"cutout": -1}, "cutout must be a whole number from 0 up, got -1"),
        ({"attack": {"steps": 3}}, "with eps at least, got {'steps': 3}"),
        ({"attack": 0.3}, "attack must be options of labkit.attacks.pgd but its seed, with eps at least, got 0.3"),
        ({"attack": {"eps": 0.1, "seed": 3}}, "but its seed, with eps at least, got {'eps': 0.1, 'seed': 3}"),
        ({"attack": {"eps": 0.1, "size": 3}}, "got {'eps': 0.1, 'size': 3}"),
        ({"clip": 0}, "clip must be a number above 0, got 0"),
        ({"bounds": {"eps": 0.1}}, "must have eps, ramp and kappa, got {'eps': 0.1}"),
        ({"bounds": 0.3}, "bounds must have eps, ramp and kappa, got 0.3"),
        ({"flip": 1}, "flip must be True, False or 'alternating', got 1"),
        ({"flip": "sometimes"}, "flip must be True, False or 'alternating', got 'sometimes'"),
        ({"average": 1}, "average must lie in [0, 1), got 1"),
        ({"trades": 2.0}, "trades=2.0 needs an attack"),
        (ATTACK | {"trades": 0}, "trades must be a number above 0, got 0"),
        (BOUNDS | {"label_smoothing": 0.1}, "training with bounds knows no label_smoothing, got 0.1"),
        (BOUNDS | ATTACK | {"trades": 1.0}, "training with bounds knows no trades, got 1.0"),
    ],
)
def test_bad_options_are_refused(digits, options, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        fit(small_network(), *digits, **{"epochs": 1} | options)


def test_a_negative_label_is_no_outlier(digits):
    train, test = digits
    with pytest.raises(ValueError, match="classes must not be negative, got -1"):
        fit(small_network(), replace(train, labels=train.labels - 1), test, epochs=1)


def test_a_gradient_that_is_clipped_moves_the_weights_less(digits):
    moved = []
    for clip in (None, 1e-3):
        model = small_network()
        before = weights(model)
        fit(model, *digits, epochs=1, batch_size=200, optimizer="sgd", learning_rate=0.1, warmup=0, clip=clip)
        parameters = [name for name, _ in model.named_parameters()]
        after = torch.cat([model.state_dict()[name].flatten().double() for name in parameters])
        start = torch.cat([tensor.flatten().double() for tensor in small_network().parameters()])
        assert not torch.equal(weights(model), before)
        moved.append((after - start).norm().item())
    assert moved[1] < 0.01 * moved[0]


def test_a_run_that_explodes_says_so_and_leaves_the_model_as_any_other(digits):
    model = small_network()
    with pytest.raises(ValueError, match=r"the loss became \w+ in epoch \d; learning_rate=1e\+20 is too high"):
        fit(model, *digits, epochs=3, optimizer="sgd", learning_rate=1e20)
    assert not any(module.training for module in model.modules())
    assert model[0].weight.stride() == small_network()[0].weight.stride()


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing():
    assert [one_cycle(progress, 0.2) for progress in (0, 0.1, 0.2, 0.6, 1)] == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert one_cycle(0, 0) == 1


def test_an_alternating_flip_shows_each_image_once_either_way_in_two_epochs(digits):
    train, _ = digits
    options = {"seed": 5, "batch_size": 50, "shift": 0, "flip": "alternating", "cutout": 0}
    seen = []  # of each epoch: image -> whether it was mirrored
    for epoch in range(3):
        mirrored = {}
        for _, images, labels in training._batches(train, epoch, options, training.single_process(), iter):
            for image, label in zip(images, labels, strict=True):
                own = (train.labels == label).nonzero()[:, 0]
                straight, flipped = ((train.images[own] == each).all((1, 2, 3)) for each in (image, image.flip(2)))
                assert straight.any() != flipped.any()  # no digit here is its own mirror image
                mirrored[int(own[straight | flipped][0])] = bool(flipped.any())
        seen.append(mirrored)
    assert len(seen[0]) == len(train)
    assert 0.4 < sum(seen[0].values()) / len(train) < 0.6
    assert all(seen[1][place] != seen[0][place] == seen[2][place] for place in seen[0])


def test_the_average_lies_between_the_weights_that_it_has_seen():
    kept, now = nn.Linear(2, 1), nn.Linear(2, 1)
    nn.init.zeros_(kept.weight)
    nn.init.ones_(now.weight)
    training._follow(kept, now, 0.9, step=0)
    assert kept.weight.tolist() == [[pytest.approx(0.9)] * 2]  # a first step moves it by 9 tenths
    training._follow(kept, now, 0.9, step=10_000)
    assert kept.weight.tolist() == [[pytest.approx(0.91)] * 2]  # a late one by a tenth of what is left


def test_evaluate_counts(digits):
    class Seven(nn.Module):
        def forward(self, images):
            return torch.eye(10)[7].expand(len(images), 10)

    _, test = digits
    measured = evaluate(Seven(), test, batch_size=7)
    share = (test.labels == 7).float().mean().item()
    assert measured.accuracy == pytest.approx(share)
    log_sum = torch.logsumexp(torch.eye(10)[7], 0).item()
    assert measured.loss == pytest.approx(log_sum - share, rel=1e-5)
    with pytest.raises(ValueError, match="0 images"):
        evaluate(Seven(), test.subset(slice(0)))


def test_predict_leaves_the_mode_and_needs_no_gradient(digits):
    model = small_network().train()
    logits = predict(model, digits[1].images, batch_size=64)
    assert model.training
    assert not logits.requires_grad
    assert torch.allclose(logits, model.eval()(digits[1].images), atol=1e-5)


def test_logits_of_predict_may_go_into_a_loss_with_gradients(digits):
    _, test = digits
    temperature = torch.ones((), requires_grad=True)
    cross_entropy(predict(small_network(), test.images) / temperature, test.labels).backward()
    assert temperature.grad is not None


@pytest.mark.parametrize("size", [0, 2.5, True])
def test_predict_and_evaluate_take_whole_batches(digits, size):
    for call, images in ((predict, digits[1].images), (evaluate, digits[1])):
        with unchecked(), pytest.raises(ValueError, match=f"batch_size must be a whole number from 1 up, got {size}"):
            call(small_network(), images, batch_size=size)
