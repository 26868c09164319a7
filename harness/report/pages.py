"""The template environment of both pages."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup

from harness.core.text import outcomes_in_words
from harness.report import words


def render(template: str, values: Mapping[str, object]) -> str:
    """Render a template of `templates/`; every value is escaped, and an unknown one is an error."""
    return _environment().get_template(template).render(**values)


@dataclass(frozen=True, kw_only=True)
class Script:
    """Return our own script, which the page's policy names by its hash: no other script runs."""

    text: Markup
    hash: str


@cache
def own_script(name: str) -> Script:
    """Return a script of `templates/`."""
    text = files("harness.report").joinpath("templates", name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Script(text=Markup(text), hash=f"sha256-{digest}")  # noqa: S704 (our own file)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (
        *(words.score, words.signed, words.percent, words.seconds, words.size, words.one_line),
        *(words.cpu, words.against_half, words.gap_in_words),
    ):
        environment.filters[function.__name__] = function
    environment.filters["outcomes"] = outcomes_in_words
    return environment
