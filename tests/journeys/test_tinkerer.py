"""A tinkerer's walk: the wheel in an environment that holds only what it asks for, a photo and a network of their own.

The environment is a folder of links to the packages that the wheel requires, and to what these require, with one extra
or with none; Python is started without any other packages. So a package that is imported but not declared is missed.
"""

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from PIL import Image
from skimage import data as skimage_data

ROOT = Path(__file__).parents[2]
EXTRAS = ("export", "grade", "imagenet", "segment", "studies", "train")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """labkit as its wheel unpacks, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if name.startswith("labkit/") or "/" not in name:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(folder / "installed"), str(source)], check=True, capture_output=True)
    return folder / "installed"


def required(name: str, extras: frozenset[str], found: dict[str, set[str]]) -> None:
    """Add to `found` every distribution that this one requires, with the extras that it is asked for."""
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        environments = [{"extra": extra} for extra in extras or {""}]
        if requirement.marker and not any(requirement.marker.evaluate(each) for each in environments):
            continue
        known = found.setdefault(requirement.name.lower(), set())
        if found[requirement.name.lower()] and requirement.extras <= known:
            continue
        known |= {"", *requirement.extras}
        try:
            required(requirement.name, frozenset(requirement.extras), found)
        except PackageNotFoundError:
            del found[requirement.name.lower()]  # optional on this platform, and not here


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A function: with these extras -> the folders for PYTHONPATH."""
    made: dict[str, Path] = {}

    def make(extra: str = "") -> list[Path]:
        if extra not in made:
            folder = made[extra] = tmp_path_factory.mktemp(f"environment-{extra or 'core'}")
            sys.path.insert(0, str(wheel))
            try:
                found: dict[str, set[str]] = {}
                required("labkit", frozenset({extra} if extra else ()), found)
            finally:
                sys.path.remove(str(wheel))
            for name in found.keys() - {"labkit"}:
                for top, place in tops(name):
                    if not (folder / top).exists():
                        (folder / top).symlink_to(place)
        return [wheel, made[extra]]

    return make


def tops(name: str) -> Iterator[tuple[str, Path]]:
    """The files and folders that a distribution adds to site-packages."""
    seen = set()
    for file in distribution(name).files or ():
        top = file.parts[0]
        if top not in ("..", "__pycache__") and top not in seen:
            seen.add(top)
            yield top, Path(str(distribution(name).locate_file(top)))


# Importing PyTorch takes longer than most of what is tried, and all environments link to the same. It is imported once,
# from the environment without extras, and each run is a fork of that process with folders of its own.
FORKS = """
import json, os, sys
core = json.loads(sys.stdin.readline())
sys.path.insert(0, core)
import torch
sys.path.remove(core)
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child == 0:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
for number, file in enumerate((os.devnull, order["out"], order["err"])):
    os.dup2(os.open(file, os.O_RDWR | os.O_CREAT), number)
os.chdir(order["cwd"])
sys.path[:0], sys.argv[1:] = order["folders"], order["arguments"]
exec(order["code"])
"""


@pytest.fixture(scope="module")
def forks(environment) -> Iterator[subprocess.Popen]:
    """The process of which each run is a fork: Python without any packages but those of the wheel without extras."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LABKIT_CACHE") if name in os.environ}
    command, settings = [sys.executable, "-I", "-S", "-c", FORKS], {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, bufsize=1, env=kept | settings, **pipes) as process:
        process.stdin.write(json.dumps(str(environment()[1])) + "\n")
        yield process
        process.stdin.close()


@pytest.fixture
def run(forks, tmp_path_factory):
    """A function: run Python code with nothing but the standard library and these folders."""

    def run(folders: list[Path], code: str, cwd: Path, *arguments: str) -> subprocess.CompletedProcess:
        said = tmp_path_factory.mktemp("said")
        out, err = said / "out", said / "err"
        order = {"folders": [*map(str, folders)], "code": code, "cwd": str(cwd), "arguments": arguments}
        forks.stdin.write(json.dumps(order | {"out": str(out), "err": str(err)}) + "\n")
        code = int(forks.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, out.read_text("utf-8"), err.read_text("utf-8"))

    return run


@pytest.fixture
def labkit(run):
    """A function: run the installed command as its entry point does."""

    def labkit(folders: list[Path], cwd: Path, command: str) -> subprocess.CompletedProcess:
        return run(folders, "from labkit.cli import main; sys.exit(main())", cwd, *shlex.split(command)[1:])

    return labkit


@pytest.fixture
def photo(tmp_path):
    """A photograph that is none of labkit's: grey, wide, and as a camera writes it."""
    Image.fromarray(skimage_data.camera()[100:400]).save(tmp_path / "photo.jpg", quality=90)
    return tmp_path


def test_the_command_is_installed(wheel):
    entry = next(wheel.glob("labkit-*.dist-info")) / "entry_points.txt"
    assert "labkit = labkit.cli:main" in entry.read_text()
    assert (wheel / "labkit" / "py.typed").exists()


def test_without_extras_what_needs_none_works_and_the_rest_says_what_to_install(environment, labkit, photo):
    core = environment()
    for command in ("explain photo.jpg --network cifar10 -o map.png", "attack photo.jpg --network cifar10 -o new.png"):
        done = labkit(core, photo, f"labkit {command}")
        assert done.returncode == 0, done.stderr
    for extra, command in {
        "imagenet": "explain photo.jpg",
        "train": "train mnist --images 100 --folder new",
        "export": "export mnist",
        "grade": "grade convolution . --out graded",
        "studies": "study ideal_classes --output here",
    }.items():
        done = labkit(core, photo, f"labkit {command}")
        assert done.returncode == 1, (command, done.stdout)
        assert f"pip install -e '.[{extra}]'" in done.stderr.strip().splitlines()[-1], (command, done.stderr)
        assert "Traceback" not in done.stderr


def test_every_module_imports_without_extras(environment, run, photo):
    """What an extra brings is imported where it is used; only grading's tools and the export of graphs need theirs."""
    code = """
import importlib, pkgutil, labkit
for module in pkgutil.walk_packages(labkit.__path__, "labkit."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            print(module.name, error)
"""
    done = run(environment(), code, photo)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if "pip install -e '.[" not in line] == []


USES = {
    "export": "labkit export mnist",
    "grade": "labkit grade --help",
    "imagenet": "labkit explain photo.jpg --method saliency -o map.png",
    "studies": "labkit study robustness --help",
    "train": "labkit train mnist --images 200 --epochs 1 --folder here",
}


SEGMENT = """
from labkit import data, models
from labkit.attribution.segment import segment

model = models.load("cifar10")
image = data.picture("photo.jpg", image_shape=(3, 32, 32))
assert segment(model, image, model(image).argmax(1)).shape == (1, 32, 32)
"""


@pytest.mark.parametrize("extra", EXTRAS)
def test_each_extra_alone_is_enough_for_its_part(extra, environment, run, labkit, photo):
    if extra == "segment":
        done = run(environment(extra), SEGMENT, photo)
    else:
        done = labkit(environment(extra), photo, USES[extra])
    assert done.returncode == 0, done.stdout + done.stderr


OWN = """
import torch
from torch import nn
from labkit import data
from labkit.attacks.fgsm import fgsm
from labkit.attribution.grad_cam import grad_cam
from labkit.attribution.saliency import saliency
from labkit.features.receptive_field import receptive_field
from labkit.summary import summary


class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, images):
        return self.head(self.body(2 * images - 1).mean((2, 3)))


torch.manual_seed(0)
model = Mine().eval()
images = data.picture("photo.jpg", image_shape=(3, 48, 64))
classes = model(images).argmax(1)
assert saliency(model, images, classes).shape == images.shape
assert grad_cam(model, images, classes, layer="body.2").shape == images.shape[:1] + images.shape[2:]
assert (fgsm(model, images, classes, eps=0.1) - images).abs().max() <= 0.1 + 1e-6
print(summary(model, (3, 48, 64)))
"""


def test_a_photo_and_a_network_that_are_not_ours(environment, run, photo):
    done = run(environment(), OWN, photo)
    assert done.returncode == 0, done.stderr
    assert "Conv2d" in done.stdout


def test_a_network_under_the_microscope_from_nothing_but_the_wheel(environment, labkit, photo):
    """Random weights, since a machine that tests may have no network; the page is one file that asks for nothing."""
    (photo / "photos").mkdir()
    (photo / "photo.jpg").rename(photo / "photos" / "camera.jpg")
    (photo / "photos" / "notes.txt").write_text("not a photo")
    command = "labkit report torchvision:resnet18 photos/ --untrained --budget 20s -o report.html"
    done = labkit(environment(), photo, command)
    assert done.returncode == 0, done.stderr
    page = (photo / "report.html").read_text("utf-8")
    assert "torchvision:resnet18 under the microscope" in page
    assert "camera.jpg" in page
    assert "11,689,512 parameters" in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)


ROBUST = """
import torch
from torch import nn
from labkit import data
from labkit.attacks.minimum_norm import minimum_norm
from labkit.certification.certified_eps import certified_eps
from labkit.certification.crown import crown
from labkit.evaluation.audit import audit

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 4, 5, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10))
images, labels = data.examples("mnist", 200)
adam = torch.optim.Adam(model.parameters(), 1e-2)
for _ in range(20):
    adam.zero_grad()
    nn.functional.cross_entropy(model(images), labels).backward()
    adam.step()
model.eval()
images, labels = images[:10], labels[:10]
proved = certified_eps(model, images, labels, bounds=crown, steps=6)
attacked = minimum_norm(model, images, labels, steps=10, tolerance=0.1).distances
assert (proved <= attacked).all()
assert (proved > 0).any()
print(audit(model, images, labels, eps=0.05, steps=8, restarts=2, queries=20))
"""


def test_a_network_of_ones_own_is_proved_attacked_and_audited(environment, run, tmp_path):
    done = run(environment(), ROBUST, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ok") == 8, done.stdout


HARDENED = """
import torch
from torch import nn
from labkit import data
from labkit.attacks.pgd import pgd
from labkit.certification.interval_bounds import interval_bounds
from labkit.certified_training import interval_init
from labkit.training import fit, predict

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 8, 5, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10))
interval_init(model)
digits = data.sample("mnist", "train").subset(slice(1000))
test = data.sample("mnist", "test").subset(slice(300))
fit(
    model, digits, test, epochs=8, batch_size=20, learning_rate=5e-3, clip=10.0,
    bounds={"eps": 0.05, "ramp": 0.5, "kappa": 0.5}, attack={"eps": 0.05, "steps": 3},
)
proved = (interval_bounds(model, test.images, test.labels, eps=0.05) > 0).all(1)
attacked = pgd(model, test.images, test.labels, eps=0.05, steps=20)
withstands = predict(model, attacked).argmax(1) == test.labels
assert not (proved & ~withstands).any()
print(int(100 * proved.float().mean()), int(100 * withstands.float().mean()))
"""


def test_a_network_of_ones_own_is_trained_with_bounds_and_attacks(environment, run, tmp_path):
    """Half of the test digits are proved, and more withstand the attack."""
    done = run(environment("train"), HARDENED, tmp_path)
    assert done.returncode == 0, done.stderr
    proved, withstands = map(int, done.stdout.split())
    assert 50 < proved < withstands, done.stdout


SHARED = """
import torch
from torch import nn
from labkit import data
from labkit.attribution.occlusion import occlusion
from labkit.certification.crown import crown
from labkit.certification.interval_bounds import interval_bounds
from labkit.features.receptive_field import receptive_field
from labkit.summary import summary

torch.manual_seed(0)
relu = nn.ReLU()  # one for all places, as many networks have it
model = nn.Sequential(
    nn.Conv2d(1, 4, 3), relu, nn.Conv2d(4, 4, 3), relu, nn.Flatten(), nn.Linear(4 * 24 * 24, 10)
).eval()
images, labels = data.examples("mnist", 4)
with torch.no_grad():
    logits = model(images)
margins = logits.gather(1, labels[:, None]) - logits
other = torch.arange(10) != labels[:, None]
for bounds in (interval_bounds, crown):
    least = bounds(model, images, labels, eps=0.0)
    assert (least <= margins + 1e-6)[other].all()
    assert torch.allclose(least[other].float(), margins[other], atol=1e-4)
found = occlusion(model, images[:1], labels[:1], window=7, stride=7, fill=0.0)
covered = images[:1].clone()
covered[..., :7, 7:14] = 0
with torch.no_grad():
    assert torch.allclose(found.logits[0, 0, 1], model(covered)[0], atol=1e-5)
print(receptive_field(model, "3", unit=(5, 5), image_size=(28, 28)).tolist(), summary(model, (1, 28, 28)).parameters)
"""


def test_a_network_of_ones_own_may_use_a_layer_twice(environment, run, tmp_path):
    done = run(environment(), SHARED, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("] ")[1].strip() == str(4 * 10 + 4 * 37 + 10 * (4 * 24 * 24 + 1))


def blocks(document: str, language: str) -> list[str]:
    """The fenced code blocks of a document in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("document", [path.name for path in ROOT.glob("*.md") if blocks(path.name, "python")])
def test_the_python_of_the_documents_runs_as_it_stands(document, environment, run, photo):
    code = "\n".join(blocks(document, "python"))
    done = run(environment(), code, photo)
    assert done.returncode == 0, done.stderr


def test_the_commands_of_the_readme_run_as_they_stand(environment, labkit, photo):
    """Those that take seconds; the tests and the studies themselves run the others."""
    commands = re.findall(r"labkit (?:explain|attack) photo\.jpg[^`\n]*", (ROOT / "README.md").read_text("utf-8"))
    assert len(commands) >= 2
    for command in commands:
        done = labkit(environment("imagenet"), photo, command)
        assert done.returncode == 0, (command, done.stderr)


def commands(document: str) -> list[str]:
    """Every command line of a document: in blocks, and the short ones inside a sentence."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.findall(r"^ *((?:make|labkit|labkit-grade|\.venv/bin/\S+|conda|jupyter-book)\b.*)$", text, re.M)
    found += re.findall(r"`((?:make|labkit|labkit-grade|python -m|fabric run) [^`\n]+)`", text)
    return [re.split(r" +#", line)[0].strip() for line in found]


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_command_of_the_documents_names_what_is_there(document):
    """A target that make knows, a command of labkit, a module, a file: what takes minutes is not run here."""
    from labkit.cli import COMMANDS

    known = commands(document)
    assert len(known) > 5
    for command in known:
        first, *rest = shlex.split(command)
        if first == "make" and rest[0].islower():
            dry = subprocess.run(["make", "-n", *rest], cwd=ROOT, capture_output=True, text=True)
            assert dry.returncode == 0, (command, dry.stderr)
        elif first == "labkit" and rest[0].islower():
            assert rest[0] in (*COMMANDS, "--help"), command
        elif first.endswith("python") and rest[0] == "-m" and rest[1].islower():
            assert importlib.util.find_spec(rest[1]), command
            if "--only" in rest:
                assert rest[rest.index("--only") + 1] in importlib.import_module(rest[1]).SECTIONS, command
        for word in rest:
            if "/" in word and word.startswith(("tests/", "labkit/", "solutions/", "book/")) and word.islower():
                assert (ROOT / word).exists(), (command, word)
