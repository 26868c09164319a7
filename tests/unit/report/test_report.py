"""The pages: what each reader may see, and that nothing a package writes becomes more than text."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from example_run import example_data, example_run
from rich.console import Console

from harness.cli.views.scores import score_summary, terminal_summary
from harness.core.text import outcomes_in_words
from harness.core.types import FailureRule, OutcomeKind, SetName, Terms, Verdict
from harness.core.usage import GpuLevel
from harness.gateway.set_run import verdict_of
from harness.report import SetData, words
from harness.report.contestant import contestant_page
from harness.report.frames import frame_data_uri
from harness.report.organiser import organiser_page
from harness.results.result import Result, eligibility, read_result
from harness.scoring.intervals import Interval

pytestmark = pytest.mark.slow  # every page draws its plots
PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</pre></details><iframe src=//evil.example></iframe>",
    "</style><style>*{display:none}</style>",
    "{{ 7*7 }}{% raw %}",
    "</svg><svg onload=alert(1)>",
    "javascript:alert(1)",
    "' style='position:fixed;inset:0'",
)
HOSTILE = "\n".join(PAYLOADS)


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        if self.lasttag != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def run(
    finished_run: tuple[Path, Result, dict[SetName, SetData]],
) -> tuple[Result, dict[SetName, SetData]]:
    return finished_run[1:]


@pytest.fixture(scope="module")
def bare(run: tuple[Result, dict[SetName, SetData]]) -> Result:
    """The run without slices, and so almost without plots: for tests that are about words."""
    return without_slices(run[0])


@pytest.fixture(scope="module")
def pages(run: tuple[Result, dict[SetName, SetData]]) -> dict[str, str]:
    result, data = run
    return {which: page_of(which, result, data) for which in ("organiser", "contestant")}


def without_slices(result: Result) -> Result:
    sets = {
        name: one.model_copy(update={"score": replace(one.score, slices=())})
        for name, one in result.sets.items()
    }
    return result.model_copy(update={"sets": sets})


def page_of(which: str, result: Result, data: dict[SetName, SetData]) -> str:
    if which == "organiser":
        return organiser_page(result, data)
    return contestant_page(result, data.get(SetName.PUBLIC))


def hostile(result: Result, data: dict[SetName, SetData], text: str) -> tuple[Result, dict[SetName, SetData]]:
    """Put a text wherever a package can put one."""
    sets = {
        name: one.model_copy(
            update={
                "detail": text,
                "score": replace(one.score, reason=text, scored=False, metrics={}, slices=()),
            }
        )
        for name, one in result.sets.items()
    }
    shouting = {
        name: replace(
            one,
            log_tail=text,
            rows=tuple(replace(row, message=text, kind=OutcomeKind.RUNTIME_ERROR) for row in one.rows[:5]),
            videos={},
        )
        for name, one in data.items()
    }
    package = result.package.model_copy(update={"name": text})
    return result.model_copy(update={"sets": sets, "package": package}), shouting


# --- self-contained ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["organiser", "contestant"])
def test_a_page_asks_for_nothing(pages: dict[str, str], which: str) -> None:
    page = Page(pages[which])
    assert not {"iframe", "object", "embed", "form", "base"} & set(page.tags)
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in {"src", "href", "xlink:href", "action", "srcset", "data", "poster"}:
            assert value.startswith(("data:", "#")), (tag, name, value[:60])
    assert "@import" not in pages[which]
    assert all(target.startswith("#") for target in re.findall(r"url\(['\"]?([^)'\"]*)", pages[which]))


@pytest.mark.parametrize("which", ["organiser", "contestant"])
def test_a_page_forbids_itself_to_ask(pages: dict[str, str], which: str) -> None:
    policy = next(
        value
        for tag, name, value in Page(pages[which]).attributes
        if tag == "meta" and "default-src" in value
    )
    assert "default-src 'none'" in policy
    assert "http" not in policy
    scripts = re.findall(r"<script(.*?)>(.*?)</script>", pages[which], re.DOTALL)
    run = [text for attributes, text in scripts if "application/json" not in attributes]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run]
    assert len(run) == (which == "organiser")  # what a contestant sees runs nothing
    allowed = re.findall(r"script-src ([^;]*)", policy)
    assert allowed == [f"'sha256-{one}'" for one in hashes]


def test_no_id_is_used_twice(pages: dict[str, str]) -> None:
    ids = Counter(value for _, name, value in Page(pages["organiser"]).attributes if name == "id")
    assert [name for name, count in ids.items() if count > 1] == []
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", pages["organiser"]))
    assert used <= set(ids)


def test_no_placeholder_colour_is_left(pages: dict[str, str]) -> None:
    assert not re.search(r"#0000[0-9a-f]{2}\b", pages["organiser"].split("</style>", 1)[1])


def test_the_same_run_gives_the_same_bytes(
    pages: dict[str, str], run: tuple[Result, dict[SetName, SetData]]
) -> None:
    assert {which: page_of(which, *run) for which in pages} == pages


# --- what the organiser sees -------------------------------------------------------------------------------


def test_the_organiser_sees_both_scores_and_what_they_stand_against(
    pages: dict[str, str], run: tuple[Result, dict[SetName, SetData]]
) -> None:
    result, data = run
    text = Page(pages["organiser"]).text
    for one in result.sets.values():
        assert words.score(one.score.log_loss) in text
        interval = one.score.metrics["log_loss"].interval
        assert interval is not None
        assert words.score(interval.low) in text
    assert "0.6931" in text
    for gap in result.gaps:
        assert words.signed(gap.value) in text
    for digest in (result.package.sha256, result.image.digest, result.challenge.sha256):
        assert digest in text
    worst = max(data[SetName.PRIVATE].rows, key=lambda row: row.log_loss)
    assert worst.source_id in text


def test_a_frame_of_every_worst_video_is_inside(pages: dict[str, str]) -> None:
    pictures = [
        value for tag, name, value in Page(pages["organiser"]).attributes if (tag, name) == ("img", "src")
    ]
    assert len(pictures) == 3 * 6
    assert all(value.startswith("data:image/jpeg;base64,") for value in pictures)


def test_every_failure_is_explained(
    pages: dict[str, str], run: tuple[Result, dict[SetName, SetData]]
) -> None:
    text = Page(pages["organiser"]).text
    failed = [row for row in run[1][SetName.PRIVATE].rows if row.failed]
    assert len(failed) == 3
    for row in failed:
        assert row.video_id in text
        assert words.OUTCOME_WORDS[row.kind] in text
        assert row.message in text


def test_the_same_error_is_shown_once_with_its_count_its_limit_and_its_peak(
    run: tuple[Result, dict[SetName, SetData]],
) -> None:
    result, data = run
    one = result.sets[SetName.PUBLIC]
    rows = tuple(
        replace(row, kind=OutcomeKind.MEMORY_LIMIT, message="") if number < 12 else row
        for number, row in enumerate(data[SetName.PUBLIC].rows)
    )
    used = one.model_copy(update={"resources": replace(one.resources, peak_memory_bytes=12_900_000_000)})
    changed = result.model_copy(update={"sets": result.sets | {SetName.PUBLIC: used}})
    changed = changed.model_copy(update={"limits": result.limits | {"memory_bytes": 11e9}})
    for page in (
        organiser_page(changed, {SetName.PUBLIC: replace(data[SetName.PUBLIC], rows=rows)}),
        contestant_page(changed, replace(data[SetName.PUBLIC], rows=rows)),
    ):
        text = Page(page).text
        assert text.count("The limit is 11 GB") == 1
        assert "12.9 GB" in text


def test_a_challenge_without_a_private_set_is_practice_and_not_a_failure(
    run: tuple[Result, dict[SetName, SetData]],
) -> None:
    result, data = run
    practice = result.model_copy(update={"sets": {SetName.PUBLIC: result.sets[SetName.PUBLIC]}, "gaps": ()})
    public = {SetName.PUBLIC: data[SetName.PUBLIC]}
    whole, own = organiser_page(practice, public), contestant_page(practice, public[SetName.PUBLIC])
    assert "practice: there is no private set" in whole
    assert "not a valid run" not in whole
    assert "Private set" not in own
    assert practice.practice
    assert not practice.valid  # and it enters no leaderboard


def test_a_run_that_was_stopped_early_says_so_and_is_no_practice(
    run: tuple[Result, dict[SetName, SetData]],
) -> None:
    result, data = run
    sets = {SetName.PUBLIC: result.sets[SetName.PUBLIC]}
    why = "after 4 of 9 private videos, by the certain rule"
    stopped = result.model_copy(update={"sets": sets, "gaps": (), "stopped_early": why})
    public = {SetName.PUBLIC: data[SetName.PUBLIC]}
    page = contestant_page(stopped, public[SetName.PUBLIC])
    assert "stopped early" in Page(page).text
    card = page[: page.index("Private set</h3>")].rpartition('<div class="')[2]
    assert "good" not in card  # it counts, but nothing came of it that is green or red
    assert "bad" not in card
    assert "practice" not in Page(organiser_page(stopped, public)).text
    assert not stopped.practice
    assert stopped.valid


def test_a_run_that_was_not_scored_says_why(run: tuple[Result, dict[SetName, SetData]]) -> None:
    result, data = run
    one = result.sets[SetName.PRIVATE]
    reason = "strict: any failure spoils the run"
    score = replace(one.score, scored=False, reason=reason, rule=FailureRule.STRICT, metrics={}, slices=())
    private = one.model_copy(update={"score": score, "verdict": Verdict.TIME_LIMIT})
    sets = {**without_slices(result).sets}
    sets[SetName.PRIVATE] = private
    changed = result.model_copy(update={"sets": sets, "gaps": ()})
    text = Page(organiser_page(changed, {SetName.PRIVATE: data[SetName.PRIVATE]})).text
    assert "strict: any failure spoils the run" in text
    assert words.VERDICT_WORDS[Verdict.TIME_LIMIT] in text
    assert "not a valid run" in text


def test_no_isolation_is_said_on_both_pages(bare: Result) -> None:
    for which in ("organiser", "contestant"):
        page = page_of(which, bare.model_copy(update={"isolation": "none"}), {})
        assert "No isolation" in Page(page).text


def test_pages_are_made_of_the_result_alone_too(run: tuple[Result, dict[SetName, SetData]]) -> None:
    result, _ = run
    assert words.score(result.sets[SetName.PRIVATE].score.log_loss) in organiser_page(result, {})
    assert "Public log loss" in contestant_page(result, None)


def test_every_verdict_and_outcome_has_words() -> None:
    assert set(words.VERDICT_WORDS) == set(Verdict)
    assert set(words.OUTCOME_WORDS) == set(OutcomeKind)
    assert set(words.SET_WORDS) == set(SetName)


def test_the_gpu_level_is_not_overstated(bare: Result) -> None:
    for level in GpuLevel:
        page = organiser_page(bare.model_copy(update={"gpu_level": level}), {})
        assert f"memory limit {level.value}" in Page(page).text


# --- what the contestant sees ------------------------------------------------------------------------------


def test_of_the_hidden_sets_the_contestant_learns_one_bit(
    pages: dict[str, str], run: tuple[Result, dict[SetName, SetData]]
) -> None:
    """Whatever happens to the private and control sets, the page is the same, but for valid or not."""
    result, data = run
    private = result.sets[SetName.PRIVATE]
    best = replace(private.score.metrics["log_loss"], value=0.0001, interval=None)
    other = private.model_copy(
        update={
            "verdict": Verdict.MEMORY_LIMIT,
            "detail": "secret detail",
            "videos": 7,
            "outcomes": {OutcomeKind.PREDICTED: 1, OutcomeKind.MEMORY_LIMIT: 6},
            "clocks": private.clocks.model_copy(update={"video_mean_seconds": 55.5, "startup_seconds": 99.0}),
            "resources": replace(private.resources, peak_memory_bytes=12_345_678_901),
            "score": replace(private.score, failed=6, videos=70, metrics={"log_loss": best}, slices=()),
        }
    )
    sets = {SetName.PUBLIC: result.sets[SetName.PUBLIC], SetName.PRIVATE: other}
    changed = result.model_copy(update={"sets": sets, "gaps": (), "seeds": {"order": 12}})
    assert contestant_page(changed, data[SetName.PUBLIC]) == pages["contestant"]
    spoiled = other.model_copy(update={"score": replace(other.score, scored=False, reason="secret reason")})
    sets[SetName.PRIVATE] = other.model_copy(update={"score": replace(other.score, failed=8)})
    over = contestant_page(result.model_copy(update={"sets": sets}), data[SetName.PUBLIC])
    sets[SetName.PRIVATE] = spoiled
    page = contestant_page(result.model_copy(update={"sets": sets}), data[SetName.PUBLIC])
    assert page != pages["contestant"]
    assert page == over  # too many failures and no score look alike
    assert "secret" not in page
    assert "not valid" in Page(page).text


def words_of(page: str) -> str:
    """All that a page says and links to, without the numbers that drawings and styles are made of."""
    found = Page(page)
    drawn = {"d", "transform", "x", "y", "points", "viewBox", "style", "x1", "x2", "y1", "y2"}
    values = [value for _, name, value in found.attributes if name not in drawn and value]
    return "\n".join([found.text, *values])


def test_nothing_of_the_hidden_sets_is_in_the_contestants_page(
    pages: dict[str, str], run: tuple[Result, dict[SetName, SetData]]
) -> None:
    result, data = run
    page = words_of(pages["contestant"])
    for name in (SetName.PRIVATE, SetName.CONTROL):
        for row in data[name].rows:
            assert row.video_id not in page
            assert row.source_id not in page
            assert f"{row.probability:.4f}" not in page
        loss = result.sets[name].score.log_loss
        assert loss is not None
        assert all(f"{loss:.{digits}f}" not in page for digits in (2, 3, 4))
    assert "control" not in Page(pages["contestant"]).text.lower()
    assert "hidden" not in Page(pages["contestant"]).text


def test_the_public_score_is_rounded_and_alone(
    pages: dict[str, str], run: tuple[Result, dict[SetName, SetData]]
) -> None:
    result, data = run
    score = result.sets[SetName.PUBLIC].score
    page = words_of(pages["contestant"])
    assert score.log_loss is not None
    assert f"{score.log_loss:.3f}" in page  # as the challenge has it
    assert f"{score.log_loss:.4f}" not in page
    auc = score.metrics["roc_auc"].value
    assert auc is not None
    assert f"{auc:.2f}" in page
    assert f"{auc:.3f}" not in page
    interval = score.metrics["log_loss"].interval
    assert interval is not None
    assert f"{interval.low:.3f} to {interval.high:.3f}" in page
    assert f"{interval.low:.4f}" not in page
    for row in data[SetName.PUBLIC].rows:
        assert row.source_id not in page
        assert row.video_id not in page
        assert not row.label.method or row.label.method not in page


def test_the_contestant_reads_their_own_public_words(tmp_path: Path) -> None:
    result = example_run(tmp_path / "run", log="hello from the package")
    assert "hello from the package" in (tmp_path / "run" / "contestant.html").read_text(encoding="utf-8")
    assert read_result(tmp_path / "run" / "result.json") == result


# --- true words --------------------------------------------------------------------------------------------


def failing(result: Result, failed: int) -> Result:
    """The same run, in which so many videos of each of the two sets failed."""
    kinds = [OutcomeKind.RUNTIME_ERROR] * failed + [OutcomeKind.PREDICTED] * (60 - failed)
    sets = {
        name: one.model_copy(
            update={
                "verdict": verdict_of(kinds, terms=Terms()),
                "detail": outcomes_in_words(kinds),
                "outcomes": Counter(kinds),
                "score": replace(
                    one.score,
                    failed=failed,
                    scored=failed < 60,
                    reason="" if failed < 60 else "not one video was predicted",
                    metrics=one.score.metrics if failed < 60 else {},
                ),
            }
        )
        for name, one in result.sets.items()
    }
    return result.model_copy(
        update={"sets": sets, "gaps": (), "leaderboard": eligibility(sets, isolation="docker")}
    )


@pytest.mark.parametrize("failed", [0, 6, 7, 59, 60])
def test_nothing_is_green_that_is_not(bare: Result, failed: int) -> None:
    result, counts = failing(bare, failed), failed <= 6
    contestant, organiser = contestant_page(result, None), organiser_page(result, {})
    for page in (contestant, organiser, printed(result, 100)):
        assert (f"{60 - failed} of 60 answered" in page) or not failed
        assert ("RUNTIME_ERROR" in page) is bool(failed)
    assert result.valid is result.leaderboard.eligible is counts
    assert ('class="pill good">OK' in contestant) is counts
    assert ('class="card score bad"' in contestant) is not counts
    assert ('class="number valid">valid' in contestant) is counts
    assert ('class="pill good">valid run' in organiser) is counts
    assert ("does not count" in Page(contestant).text) is not counts
    if counts and failed:
        assert "The run counts: up to 10.0% of the videos may fail" in contestant


def test_a_card_of_the_contestants_page_has_the_colour_of_its_fate_and_of_nothing_else() -> None:
    style = (Path(words.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
    colours = re.findall(r"--(good|bad|private|public|control): (#\w+);", style)
    assert len(set(colours)) == len({colour for _, colour in colours}) == 10


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.60, 0.69, "better than a constant 0.5"),
        (0.60, 0.70, "not distinguishable from a constant 0.5"),
        (0.70, 0.80, "worse than a constant 0.5"),
        (None, None, "not distinguishable from a constant 0.5"),
    ],
)
def test_a_comparison_says_no_more_than_its_interval(
    bare: Result, low: float | None, high: float | None, said: str
) -> None:
    interval = None if low is None or high is None else Interval(low=low, high=high)
    sets = {
        name: one.model_copy(
            update={
                "score": replace(
                    one.score,
                    metrics={
                        **one.score.metrics,
                        "log_loss": replace(one.score.metrics["log_loss"], interval=interval),
                    },
                )
            }
        )
        for name, one in bare.sets.items()
    }
    changed = bare.model_copy(update={"sets": sets})
    others = {"better than a constant", "worse than a constant", "not distinguishable from a constant"}
    others -= {said.removesuffix(" 0.5")}
    for page in (contestant_page(changed, None), organiser_page(changed, {}), printed(changed, 100)):
        flat = " ".join(page.split())
        assert said in flat
        assert not [
            other
            for other in others
            if other in flat.replace("wholly left of the dashed line is better than a constant ½", "")
        ]


# --- hostile text ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["organiser", "contestant"])
def test_hostile_text_stays_text(run: tuple[Result, dict[SetName, SetData]], which: str) -> None:
    plain = Page(page_of(which, *hostile(*run, "harmless")))
    attacked = Page(page_of(which, *hostile(*run, HOSTILE)))
    assert attacked.tags == plain.tags
    assert [(tag, name) for tag, name, _ in attacked.attributes] == [(t, n) for t, n, _ in plain.attributes]
    for payload in PAYLOADS:
        assert payload in attacked.text


@pytest.mark.parametrize("which", ["organiser", "contestant"])
def test_a_flood_is_capped(run: tuple[Result, dict[SetName, SetData]], which: str) -> None:
    plain = page_of(which, *hostile(*run, "x"))
    flooded = page_of(which, *hostile(*run, "x" * 1_000_000))
    assert len(flooded) - len(plain) < 200_000


@pytest.mark.parametrize(
    "character", ["\x00", "\x1b", "\u202e", "\u2066", "\u200b", "\ufeff", "\x9b", "\r", "\u2028"]
)
def test_characters_that_hide_others_are_shown_as_such(character: str) -> None:
    assert words.clean(f"a{character}b") == "a\ufffdb"


def test_lines_and_scripts_of_the_world_stay() -> None:
    assert words.clean("a\n\tb — Größe 面 😀") == "a\n\tb — Größe 面 😀"


def test_a_cap_says_how_much_it_left_out() -> None:
    assert words.clean("a" * 30, characters=10) == "a" * 10 + " [20 characters left out]"
    assert (
        words.clean("a" * 20 + "b" * 10, characters=10, keep_end=True)
        == "[20 characters left out]\n" + "b" * 10
    )


# --- the terminal ------------------------------------------------------------------------------------------


def printed(result: Result, width: int) -> str:
    console = Console(file=StringIO(), width=width, color_system=None, force_terminal=False)
    console.print(terminal_summary(result))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_the_summary_fits_and_says_what_matters(
    run: tuple[Result, dict[SetName, SetData]], width: int
) -> None:
    result, _ = run
    text = printed(result, width)
    assert all(len(line) <= width for line in text.splitlines())
    flat = " ".join(text.replace("│", " ").split())
    for one in result.sets.values():
        assert words.score(one.score.log_loss) in flat
        assert one.verdict.value in flat
    assert "0.6931" in flat
    assert "VIDEO_TIMEOUT" in flat
    for gap in result.gaps:
        assert words.signed(gap.value) in flat


def test_the_summary_prints_hostile_text_as_it_is(run: tuple[Result, dict[SetName, SetData]]) -> None:
    text = printed(hostile(*run, "\x1b[2J[bold red]owned[/] [link=file:///]x")[0], 120)
    assert "\x1b" not in text
    assert "[bold red]owned[/]" in text


def test_the_summary_warns_of_no_isolation(run: tuple[Result, dict[SetName, SetData]]) -> None:
    assert "No isolation" in printed(run[0].model_copy(update={"isolation": "none"}), 80)


@pytest.mark.parametrize("width", [50, 100])
def test_the_scores_of_a_table_of_predictions(run: tuple[Result, dict[SetName, SetData]], width: int) -> None:
    score = run[0].sets[SetName.PUBLIC].score
    console = Console(file=StringIO(), width=width, color_system=None, force_terminal=False)
    console.print(score_summary(score))
    console.print(score_summary(replace(score, scored=False, reason="[bold]strict", metrics={})))
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    for found in score.metrics.values():
        assert words.score(found.value) in text
    assert "0.6931" in text
    assert "no score: [bold]strict" in text


# --- frames ------------------------------------------------------------------------------------------------


def test_a_video_that_cannot_be_decoded_has_no_frame(tmp_path: Path) -> None:
    (tmp_path / "garbage.mp4").write_bytes(b"\x00\x00\x00\x18ftypmp42" + b"\xff" * 5000)
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert [frame_data_uri(tmp_path / name) for name in ("garbage.mp4", "empty.mp4", "none.mp4")] == [
        None
    ] * 3


def test_a_truncated_video_still_has_a_frame_or_none_but_no_exception(tmp_path: Path) -> None:
    example_data(tmp_path)
    whole = (tmp_path / "0.mp4").read_bytes()
    assert frame_data_uri(tmp_path / "0.mp4")
    for share in (0.2, 0.5, 0.9):
        (tmp_path / "cut.mp4").write_bytes(whole[: int(len(whole) * share)])
        found = frame_data_uri(tmp_path / "cut.mp4")
        assert found is None or found.startswith("data:image/jpeg")
