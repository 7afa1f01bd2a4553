"""The page of a report: one file with its pictures, style and script inside."""

import base64
import html
import io
from importlib import metadata, resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image
from torch import Tensor

from labkit import plot
from labkit.report.sections import CHAPTERS, Chart, Frames, Gallery, Section, Table, Words
from labkit.report.subject import Subject

SMALL = 64  # pixels of a side; larger pictures are compressed with loss


def render(subject: Subject, sections: list[Section], seconds: float, passes: float, book: str) -> str:
    """The page as HTML."""
    loader = PackageLoader("labkit.report")
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    pictures = _Pictures()
    pages.globals["zip"] = zip
    pages.filters |= {"source": pictures.source, "chart": _chart, "kind": _kind, "enlarged": _enlarged}
    statements = [each for section in sections for each in section.statements]
    named = {each.chapter for each in statements}
    return pages.get_template("page.html").render(
        subject=subject,
        sections=sections,
        headlines=[each for each in statements if each.headline],
        chapters={slug: CHAPTERS[slug] for slug in CHAPTERS if slug in named},
        titles={slug: title for slug, (_, title, _) in CHAPTERS.items()},
        style=_text("page.css"),
        script=_text("page.js"),
        pictures=pictures,
        book=book.rstrip("/"),
        seconds=seconds,
        passes=passes,
        version=metadata.version("labkit"),
    )


def _text(name: str) -> str:
    return resources.files("labkit.report").joinpath("templates", name).read_text("utf-8")


class _Pictures:
    """The small pictures of a page. One that several tiles share is written once, as a rule of the page's style."""

    def __init__(self) -> None:
        self.known: dict[bytes, str] = {}

    def source(self, pixels: Tensor) -> str:
        """The address of a picture."""
        return _address("webp", _encoded(pixels))

    def shared(self, pixels: Tensor) -> str:
        """The class of an element that has this picture as its ground."""
        return self.known.setdefault(_encoded(pixels), f"ground-{len(self.known)}")

    def rules(self) -> str:
        """The rules for all that is shared; asked for when everything else has been written."""
        rule = ".{}{{background-image:url({})}}"
        return "\n".join(rule.format(name, _address("webp", data)) for data, name in self.known.items())


def _encoded(pixels: Tensor) -> bytes:
    file = io.BytesIO()
    options: dict[str, Any] = {"lossless": True} if max(pixels.shape) <= SMALL else {"quality": 85}
    Image.fromarray(pixels.numpy()).save(file, format="WebP", **options)
    return file.getvalue()


def _address(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _chart(chart: Chart) -> str:
    """A figure with the glass that darkens it on a dark page."""
    data, glass = plot.webp_and_glass(chart.figure)
    width, height = (round(100 * inches) for inches in chart.figure.get_size_inches())
    source, alt = _address("webp", data), html.escape(chart.alt)
    return f'<img src="{source}" alt="{alt}" width="{width}" height="{height}">{glass}'


def _kind(block: object) -> str:
    names = {Gallery: "gallery", Frames: "frames", Chart: "chart", Table: "table", Words: "words"}
    return names[type(block)]


def _enlarged(pixels: Tensor) -> bool:
    """Whether a picture is so small that its pixels are to be seen as squares."""
    return max(pixels.shape) <= SMALL
