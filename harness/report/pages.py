"""The template environment of both pages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import jinja2

from harness.core.text import outcomes_in_words
from harness.report import words


def render(template: str, values: Mapping[str, object]) -> str:
    """Render a template of `templates/`; every value is escaped, and an unknown one is an error."""
    return _environment().get_template(template).render(**values)


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
