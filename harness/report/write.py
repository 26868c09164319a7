"""Both reports of a run, into its folder. Whoever writes none should not wait for what draws the plots."""

from __future__ import annotations

from collections.abc import Mapping

from harness.core.files import write_text
from harness.core.types import SetName
from harness.report.contestant import contestant_page
from harness.report.data import SetData
from harness.report.organiser import organiser_page
from harness.results.result import Result
from harness.results.run_folder import RunFolder


def write_reports(result: Result, data: Mapping[SetName, SetData], folder: RunFolder) -> None:
    """Write `report.html` and `contestant.html` into the run's folder.

    Args:
        result: The finished run.
        data: What the result does not hold, per set: rows, samples, logs, where the videos are. A set
            without it is reported without its plots.
        folder: The run's folder.
    """
    write_text(folder.report, organiser_page(result, data))
    public = data.get(SetName.PUBLIC)
    write_text(folder.contestant_report, contestant_page(result, public))
