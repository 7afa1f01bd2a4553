"""What a page is made of: sections with statements, and the tables, charts and pictures below them."""

from dataclasses import dataclass, field

from jaxtyping import UInt8
from torch import Tensor

from labkit.plot import Picture

# The chapters that explain what the page says: slug -> part of the book, title, what it is about.
CHAPTERS = {
    "02_network_as_a_table": (
        "basics",
        "A network as a table",
        "Shapes, parameters, neurons and receptive fields of every layer, and where they come from.",
    ),
    "04_training_cifar10": (
        "basics",
        "Training on CIFAR-10",
        "What accuracy and confidence mean, how they are measured on new images, and how sure one may be.",
    ),
    "07_neurons_and_clusters": (
        "features",
        "Neurons and clusters",
        "The images and patches that excite a unit most, and which images look alike to a layer.",
    ),
    "08_occlusion": (
        "attribution",
        "Occlusion",
        "Cover one part of an image after another and watch what the network says.",
    ),
    "11_which_map_to_trust": (
        "attribution",
        "Which map to trust",
        "Deletion, insertion and randomisation: how to find out whether a map shows what the network uses.",
    ),
    "12_the_ideal_class": (
        "synthesis",
        "The ideal class",
        "The image that a network finds most like a class or a unit, by gradient ascent.",
    ),
    "15_a_small_push": (
        "attacks",
        "A small push",
        "A change too small to be seen, along the gradient, that turns one class into another.",
    ),
    "18_a_network_that_resists": (
        "attacks",
        "A network that resists",
        "Accuracy against eps, how it is measured well, and the signs that an attack fails for the wrong reason.",
    ),
    "20_your_own_network": (
        "attacks",
        "Your own network",
        "A network that goes by a mark in a corner: how a swap between two images finds it, and how it is repaired.",
    ),
}


@dataclass(frozen=True)
class Statement:
    """Something that the page says in words, with what it rests on.

    Attributes:
        words: a sentence.
        chapter: the slug of the chapter that explains it.
        figure: the number, as text with its unit.
        interval: the ends of its 95% interval, as text; "" for what is counted and not estimated.
        images: how many it rests on; 0 where images do not matter.
        seed: of what is random; None where nothing is.
        headline: whether it belongs at the top of the page.
        alarm: whether it is bad news.
    """

    words: str
    chapter: str
    figure: str
    interval: str = ""
    images: int = 0
    seed: int | None = None
    headline: bool = False
    alarm: bool = False


@dataclass(frozen=True, eq=False)
class Tile:
    """A small picture.

    Attributes:
        pixels: (H, W, 3).
        caption: below it; several lines are possible.
        over: a picture of the same size that is laid over it, as strongly as the reader wants.
        tone: "good", "bad" or "".
    """

    pixels: UInt8[Tensor, "h w 3"]
    caption: str = ""
    over: UInt8[Tensor, "h w 3"] | None = None
    tone: str = ""


@dataclass(frozen=True, eq=False)
class Gallery:
    """Tiles side by side, as many in a row as there is room for; `title` stands above them."""

    tiles: list[Tile]
    title: str = ""


@dataclass(frozen=True, eq=False)
class Frames:
    """A slider over galleries, one of which is shown.

    Attributes:
        name: what the slider changes.
        values: what it is at each frame.
        galleries: one for each value.
        start: the frame that is shown at first.
    """

    name: str
    values: list[str]
    galleries: list[Gallery]
    start: int = 0


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure, and what it shows in words."""

    figure: Picture
    alt: str


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of text below a header; `folded` hides it until it is asked for. Numbers stand on the right."""

    header: list[str]
    rows: list[list[str]]
    caption: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Words:
    """A paragraph that says how to read what is beside it."""

    text: str


Block = Gallery | Frames | Chart | Table | Words


@dataclass
class Section:
    """A part of the page.

    Attributes:
        name: for its address.
        title: its heading.
        statements: what it says in words.
        blocks: what is below them.
        problems: what is missing, and why.
    """

    name: str
    title: str
    statements: list[Statement] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
