"""The command line: its commands, each loaded when it is used, and how an exception ends it.

Exit codes: 0 all is well · 1 what was looked at is not well: a verdict other than OK, an error found ·
2 wrong usage, or the organiser's files are wrong · 3 our fault or the host's (HARNESS_ERROR): nothing was
counted, run it again · 130 interrupted; what was done is kept.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from harness import __version__
from harness.cli.exit_codes import INTERRUPTED, NOT_WELL, OK, OUR_FAULT, USAGE
from harness.cli.lazy import Later, lazy_group
from harness.cli.streams import make_streams_safe
from harness.core.errors import ConfigError, HarnessError, SubmissionError
from harness.core.types import Verdict

COMMANDS = {
    "run": Later(
        target="harness.cli.run:run",
        help="Score a package on the public and the private set of a challenge, and write its reports.",
    ),
    "check": Later(
        target="harness.cli.check:check",
        help="Find everything that would keep a package from running, and try it on sample videos.",
    ),
    "predict": Later(
        target="harness.cli.debug:predict",
        help="Ask a package about any videos, and show answers, times and all that it prints.",
    ),
    "shell": Later(
        target="harness.cli.debug:shell",
        help="Open a shell in the runtime image with the package mounted. It is not the sandbox.",
    ),
    "environment": Later(
        target="harness.cli.debug:environment",
        help="Make the image's packages a virtual environment, for `predict` and `run --sandbox process`.",
    ),
    "new": Later(
        target="harness.cli.start:new",
        help="Write a small package that passes `check` and scores, to begin from.",
    ),
    "new-challenge": Later(
        target="harness.cli.start:new_challenge_command",
        help="Write a challenge from a folder with real/ and fake/; without a private set, for practice.",
    ),
    "score-folder": Later(
        target="harness.cli.start:score_folder",
        help="Score a package on your own clips as they are: log loss, AUC, and the worst videos.",
    ),
    "pack": Later(
        target="harness.cli.check:pack_command",
        help="Make a zip of a package; the same files give the same bytes, on any machine.",
    ),
    "image": Later(
        target="harness.cli.run:image",
        help="Find or build the runtime image that packages run in, starting an engine if none runs.",
    ),
    "limits": Later(
        target="harness.cli.check:limits",
        help="Print every limit, its key in challenge.toml and its default, as a Markdown table.",
    ),
    "score": Later(
        target="harness.cli.organiser:score",
        help="Score a table of predictions against labels; missing, extra and repeated rows are refused.",
    ),
    "audit": Later(
        target="harness.cli.organiser:audit",
        help="Ask whether anything but the picture predicts the label, and whether footage is in two sets.",
    ),
    "submit": Later(target="harness.cli.organiser:submit", help="Enter a finished run under a team's name."),
    "leaderboard": Later(
        target="harness.cli.organiser:leaderboard",
        help="Rank the teams that submitted to a challenge, by rounded log loss.",
    ),
    "board": Later(
        target="harness.cli.board:board",
        help="Rank the entered runs of a challenge, say which can be told apart, and write board.html.",
    ),
    "plan": Later(
        target="harness.cli.board:plan",
        help="Say how many videos and people a set needs to tell two entries apart.",
    ),
    "rebuild": Later(
        target="harness.cli.organiser:rebuild",
        help="Rebuild the index from the run folders, which are the truth.",
    ),
    "reap": Later(
        target="harness.cli.organiser:reap",
        help="Remove the containers and staged videos that dead harnesses of this machine left; only those.",
    ),
    "doctor": Later(
        target="harness.cli.machine:doctor",
        help="Check whether this machine is fit: engine, walls, limits, disk, memory, clock, GPU. Changes "
        "nothing.",
    ),
    "verify": Later(
        target="harness.cli.machine:verify_command",
        help="Tell whether a result is as the organiser sealed it, and its outcomes as they were scored.",
    ),
    "calibrate": Later(
        target="harness.cli.machine:calibrate_command",
        help="Measure this machine, so that `check` and `run` can say what the organiser's would need.",
    ),
    "self-check": Later(
        target="harness.cli.security:self_check",
        help="Attack this machine's own sandbox with hostile packages, and show what stopped each.",
    ),
    "regrade": Later(
        target="harness.cli.regrade:regrade",
        help="Score recorded outcomes again, under other labels or rules, without running a model.",
    ),
    "contest": Later(
        target="harness.cli.contest:app",
        help="Run a contest: teams, quotas, phases, finals, and the log of every decision.",
    ),
    "serve": Later(
        target="harness.cli.portal:serve",
        help="Serve the portal: hand in, watch, compare and release contests in a browser, or by a REST API.",
    ),
    "access": Later(
        target="harness.cli.portal:access_app",
        help="Say who may enter the portal: links for people, tokens for programs.",
    ),
    "backup": Later(
        target="harness.cli.backup:app",
        help="Keep database, packages and run folders somewhere else, and bring them back.",
    ),
    "remote": Later(
        target="harness.cli.remote:app",
        help="Hand in to a portal, watch, choose finals and see the board, from a shell or from CI.",
    ),
    "perturb": Later(
        target="harness.cli.perturb:app",
        help="Perturb videos: list the kinds, look at them, render a set.",
    ),
}

app = typer.Typer(
    name="harness",
    cls=lazy_group(COMMANDS),
    help="Run, perturb and score entries to a black-box video challenge.",
    epilog="Exit codes: 0 well, 1 a verdict other than OK, 2 wrong usage or files, 3 our own fault, "
    "130 interrupted.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        sys.stdout.write(f"{__version__}\n")
        raise typer.Exit(OK)


def main() -> None:
    """Run the command line, and turn our exceptions into their exit codes."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    make_streams_safe()
    try:
        code = app(arguments, standalone_mode=False, prog_name="harness")
    except TyperException as error:
        _complain("error", error, "`harness --help` lists the commands; each has its own --help.")
        return USAGE
    except (ConfigError, SubmissionError) as error:
        _complain("error", error)
        return NOT_WELL if isinstance(error, SubmissionError) else USAGE
    except HarnessError as error:
        advice = "This is not a verdict on the package. What was done is kept; run the same command again."
        _complain(Verdict.HARNESS_ERROR, error, advice)
        return OUR_FAULT
    if code == INTERRUPTED:
        sys.stderr.write("interrupted; what was done is kept, and the same command goes on from there\n")
    return code if isinstance(code, int) else OK


def _complain(title: str, error: Exception, advice: str = "") -> None:
    from rich.text import Text  # what ends well and says nothing has no need of it

    from harness.cli.terminal import printer

    console = printer(errors=True)
    text = error.format_message() if isinstance(error, TyperException) else str(error)
    console.print(Text.assemble((f"{title}:", "bold red"), f" {text}"))
    if advice:
        console.print(advice)
