"""The summary that the command line prints: the verdict, both scores, and what they stand against."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from harness.core.text import outcomes_in_words
from harness.core.types import SetName, Verdict
from harness.report import words
from harness.results.result import NO_ISOLATION, Result, SetResult
from harness.scoring.comparison import Comparison
from harness.scoring.intervals import Gap
from harness.scoring.metrics import all_metrics
from harness.scoring.repeatability import Steadiness, in_words
from harness.scoring.score import SetScore

_ORDER = (SetName.PUBLIC, SetName.PRIVATE, SetName.CONTROL)


def terminal_summary(result: Result) -> RenderableType:
    """Return something that rich prints well from 40 columns on.

    All text is `Text`, never markup: what a package wrote can neither colour nor move anything.
    """
    sets = [result.sets[name] for name in _ORDER if name in result.sets]
    parts: list[RenderableType] = [_head(result), *(_set(one) for one in sets)]
    parts += [_gap(gap) for gap in result.gaps]
    if result.isolation == NO_ISOLATION:
        parts.append(
            Text("No isolation: for debugging only. This run never enters a leaderboard.", "bold red")
        )
    border = "green" if result.valid else "blue" if result.practice else "red"
    return Panel(Group(*parts), title="result", border_style=border, expand=False)


def score_line(one: SetResult) -> Text:
    """Return a set's verdict and log loss on a line: what is shown while other sets are still to come."""
    good = one.verdict is Verdict.OK
    text = Text.assemble(
        f"{one.set_name.value}: ", (one.verdict.value, "bold green" if good else "bold red"), ", "
    )
    if not good or one.score.failed:
        text.append(f"{outcomes_in_words(one.outcomes)}, ")
    found = one.score.metrics.get("log_loss")
    if found is None or found.value is None:
        return text.append(f"no score: {words.one_line(one.score.reason, characters=400)}")
    text.append("log loss ").append(words.score(found.value), _STYLES[one.score.comparison])
    if found.interval is not None:
        text.append(f" (95% {words.score(found.interval.low)} to {words.score(found.interval.high)})")
    return text.append(f", {words.against_half(one.score)}")


def score_summary(score: SetScore) -> RenderableType:
    """Return the scores of one set as a table: for a table of predictions that no run made."""
    if not score.scored:
        return Text(f"no score: {words.one_line(score.reason, characters=400)}", "red")
    table = Table(
        title=f"{score.videos} videos, {score.fakes} fake; ε = {score.epsilon:g}", title_justify="left"
    )
    for title in ("metric", "value", "95%"):
        table.add_column(title, justify="left" if title == "metric" else "right")
    for name, metric in all_metrics().items():
        found = score.metrics[name]
        interval = found.interval
        between = f"{words.score(interval.low)} – {words.score(interval.high)}" if interval else ""
        value = found.reason if found.value is None else words.score(found.value)
        table.add_row(f"{metric.title} ({metric.direction} is better)", value, between)
    table.add_section()
    table.add_row("constant 0.5, log loss", words.score(score.anchors.constant_half), "")
    table.add_row("uniform random, expected", words.score(score.anchors.uniform_random), "")
    return Group(table, Text(f"log loss {words.against_half(score)}"))


def _head(result: Result) -> Text:
    name = words.one_line(result.package.name)
    return Text(f"{name} on {words.one_line(result.challenge.name)}\n", style="bold")


def _set(one: SetResult) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    good = one.verdict is Verdict.OK
    table.add_row(
        Text(one.set_name.value, "bold"), Text(one.verdict.value, "bold green" if good else "bold red")
    )
    if not good or one.score.failed:
        table.add_row("", Text(words.verdict_in_words(one)))
    answered = outcomes_in_words(one.outcomes)
    table.add_row("videos", Text(answered, "yellow" if one.score.failed else ""))
    more = one.detail.removeprefix(answered).lstrip("; ")
    if more:
        table.add_row("detail", Text(words.one_line(more, characters=400)))
    table.add_row("log loss", _loss(one))
    if one.score.scored and not one.score.counts:
        table.add_row("", Text(f"It does not count: {one.score.why_not}.", "bold red"))
    for key, title in (("roc_auc", "ROC AUC"), ("accuracy", "accuracy")):
        found = one.score.metrics.get(key)
        if found is not None:
            table.add_row(title, Text(words.score(found.value) if found.value is not None else found.reason))
    if one.left_out:
        table.add_row("left out", Text(f"{one.left_out} sources that cannot be read as videos", "yellow"))
    table.add_row("time", _time(one))
    table.add_row("CPU time", Text(words.cpu(one.resources)))
    if one.resources.peak_gpu_memory_bytes is not None:
        table.add_row("GPU", _gpu(one))
    if one.repeat is not None:
        steady = one.repeat.steadiness is Steadiness.DETERMINISTIC
        table.add_row("repeated", Text(in_words(one.repeat), "" if steady else "bold yellow"))
    return Group(table, Text(""))


def _loss(one: SetResult) -> Text:
    found = one.score.metrics.get("log_loss")
    if found is None or found.value is None:
        return Text(f"none: {words.one_line(one.score.reason, characters=400)}", "red")
    stands = one.score.comparison
    text = Text(words.score(found.value), _STYLES[stands])
    if found.interval is not None:
        text.append(f"  95% {words.score(found.interval.low)} to {words.score(found.interval.high)}", "dim")
    return text.append(f"\n{words.against_half(one.score)}", "dim")


_STYLES = {
    Comparison.BETTER: "bold green",
    Comparison.UNDECIDED: "bold yellow",
    Comparison.WORSE: "bold yellow",
}


def _time(one: SetResult) -> Text:
    clocks = one.clocks
    return Text(
        f"{words.seconds(clocks.video_mean_seconds)} per video,"
        f" longest {words.seconds(clocks.video_longest_seconds)};"
        f" {words.seconds(clocks.billed_seconds)} of {words.seconds(clocks.budget_seconds)};"
        f" start {words.seconds(clocks.startup_seconds)}"
    )


def _gpu(one: SetResult) -> Text:
    used = one.resources
    return Text(
        f"{words.size(used.peak_gpu_memory_bytes)} at most; busy {words.seconds(used.gpu_seconds)};"
        f" memory limit: {used.gpu_level}"
    )


def _gap(gap: Gap) -> Text:
    text = Text(f"gap {gap.first} → {gap.second}  {words.signed(gap.value)}")
    if gap.interval is not None:
        text.append(f"  95% {words.signed(gap.interval.low)} to {words.signed(gap.interval.high)}", "dim")
    return text.append(f"\n{words.gap_in_words(gap)}", "dim")
