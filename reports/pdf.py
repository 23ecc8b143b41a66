"""What every PDF shares: its template, and that nothing outside the page is ever read."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from weasyprint.urls import URLFetcher  # type: ignore[import-untyped]


def only_enclosed() -> URLFetcher:
    """Reads pictures that are in the page itself and refuses every address, of the network and of the disk."""
    return URLFetcher(allowed_protocols=("data",), allow_redirects=False)


@cache
def template(name: str) -> Template:
    """A template of this folder; everything that is put into it is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string((files("reports") / name).read_text("utf-8"))
