"""How pages and tables call things, and the templates that pages are made of."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def title(grade_id: str) -> str:
    """check-output-size -> output-size."""
    return grade_id.removeprefix("check-")


def number(value: float) -> str:
    """2.0 -> 2, 2.25 -> 2.25."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def first_name_first(name: str) -> str:
    """Lovelace, Ada -> Ada Lovelace."""
    last, comma, first = name.partition(",")
    return f"{first.strip()} {last.strip()}" if comma and "," not in first else name.replace(",", "")


def environment() -> Environment:
    """The templates. What a student wrote is escaped in them, without exception."""
    loader = PackageLoader("labkit.grading.reporting")
    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    found.filters |= {"title_of": title, "number": number}
    return found
