"""What the documentation site takes from the code and from pages outside `docs/`, when it is built.

The reference of commands and the tables of messages are made from the code each time, so that neither can say
what the code does not do. Pages such as `SECURITY.md` stay where people look for them and are shown here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import typer
from mkdocs.structure.files import File, Files

from harness.cli.app import app
from harness.cli.documents import DOCUMENTS, document_type, schema_name
from harness.core.types import Verdict
from harness.package.findings import RULES
from harness.report.words import VERDICT_WORDS

ROOT = Path(__file__).parents[1]
# Shown in the site, kept elsewhere.
BORROWED = {
    "SECURITY.md": ROOT / "SECURITY.md",
    "CHANGELOG.md": ROOT / "CHANGELOG.md",
    "CONTRIBUTING.md": ROOT / "CONTRIBUTING.md",
    "MODEL_CARD.md": ROOT / "submission" / "MODEL_CARD.md",
}
COMMANDS_PAGE = "commands.md"
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made or borrowed."""
    for name, path in BORROWED.items():
        files.append(File.generated(config, name, content=path.read_text(encoding="utf-8")))
    files.append(File.generated(config, COMMANDS_PAGE, content=commands_page()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Fill in tables, and point links at where their targets are in the site."""
    for mark, table in (
        ("findings", findings_table),
        ("verdict-words", verdicts_table),
        ("documents", documents_table),
    ):
        place = f"<!-- table: {mark} -->"
        if place in markdown:
            markdown = markdown.replace(place, table())
    known = {file.src_uri for file in files}
    source = BORROWED.get(page.file.src_uri, ROOT / "docs" / page.file.src_uri)

    def repoint(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        here = (source.parent / target).resolve()
        for name, path in BORROWED.items():
            if here == path:
                return f"]({name}{anchor})"
        inside = here.relative_to(ROOT / "docs").as_posix() if here.is_relative_to(ROOT / "docs") else ""
        if inside in known:
            return f"]({inside}{anchor})"
        # A file of the repository that is not a page: name it, without a link that would lead nowhere.
        return f"] (`{here.relative_to(ROOT).as_posix()}`)" if here.is_relative_to(ROOT) else match[0]

    return _LINK.sub(repoint, markdown)


def findings_table() -> str:
    """Return what `harness check` can find, as a Markdown table."""
    rows = [
        f"| `{code}` | {rule.severity} | {rule.title} | {rule.remedy} |"
        for code, rule in sorted(RULES.items())
    ]
    return "\n".join(["| code | severity | what was found | remedy |", "|---|---|---|---|", *rows])


def verdicts_table() -> str:
    """Return every verdict with its meaning, as a Markdown table."""
    rows = [f"| `{verdict}` | {VERDICT_WORDS[verdict]} |" for verdict in Verdict]
    return "\n".join(["| verdict | what it means |", "|---|---|", *rows])


def documents_table() -> str:
    """Return what each command prints as JSON, as a Markdown table."""
    rows = [
        f"| `harness {command} --json` | {(document_type(command).__doc__ or '').splitlines()[0]} "
        f"| `docs/schemas/{schema_name(command)}` |"
        for command in DOCUMENTS
    ]
    return "\n".join(["| command | what it has | schema |", "|---|---|---|", *rows])


def commands_page() -> str:
    """Return the reference of every command, from the command line's own definitions."""
    root = typer.main.get_command(app)
    parts = ["# Commands", "", "`harness COMMAND --help` shows the same in a terminal.", ""]
    for name, command in _commands(root, "harness"):
        parts += _described(name, command)
    return "\n".join(parts)


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    context = click.Context(command, info_name=name)
    if not hasattr(command, "list_commands"):
        yield name, command
        return
    for inner in command.list_commands(context):
        yield from _commands(command.get_command(context, inner), f"{name} {inner}")


def _described(name: str, command: Any) -> list[str]:
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    text = (command.help or command.short_help or "").replace("\b", "").strip()
    parts = [f"## `{name}`", "", text, "", "```console", usage, "```", ""]
    rows = [
        f"| {_cell(record[0], code=True)} | {_cell(record[1])} |"
        for parameter in command.get_params(context)
        if (record := parameter.get_help_record(context)) is not None
    ]
    return [*parts, *(["| option | meaning |", "|---|---|", *rows, ""] if rows else [])]


def _cell(text: str, *, code: bool = False) -> str:
    plain = " ".join(click.unstyle(text).split()).replace("|", "\\|")
    return f"`{plain}`" if code else plain.replace("<", "&lt;").replace("[", "\\[")
