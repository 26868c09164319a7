"""What can be found in a package before it runs: a table of codes, and the value that names one case.

The table is the whole list: `docs/contestants.md` prints it, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from harness.core.text import printable


class Severity(StrEnum):
    """How bad a finding is, the worst first."""

    ERROR = "error"  # the package will not be run
    WARNING = "warning"  # it may run; the author should check
    NOTE = "note"  # for the author's information


@dataclass(frozen=True, kw_only=True)
class FindingRule:
    """One row of the table."""

    severity: Severity
    title: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One case of a rule. Its text may be shown to the contestant and holds no control characters."""

    code: str
    severity: Severity
    message: str
    place: str = ""
    remedy: str = ""
    reached: bool = True  # by the entry's own imports; what nothing imports matters less

    @property
    def in_a_line(self) -> str:
        """Its code, its place if it has one, and its message."""
        return f"{self.code} {self.place}: {self.message}" if self.place else f"{self.code} {self.message}"


def found(
    code: str,
    message: str = "",
    *,
    place: str = "",
    severity: Severity | None = None,
    remedy: str = "",
) -> Finding:
    """Make a finding of a known code.

    Args:
        code: A key of `RULES`.
        message: What is wrong here; the rule's title if nothing more is known.
        place: The file (and line) in the package.
        severity: Another severity than the rule's, if the challenge decides it.
        remedy: A remedy that fits better than the rule's.
    """
    rule = RULES[code]
    return Finding(
        code=code,
        severity=severity or rule.severity,
        message=message or rule.title,
        place=printable(place),
        remedy=remedy or rule.remedy,
    )


def _rows(severity: Severity, rows: Mapping[str, tuple[str, str]]) -> dict[str, FindingRule]:
    return {
        code: FindingRule(severity=severity, title=title, remedy=remedy)
        for code, (title, remedy) in rows.items()
    }


_REPACK = "Make the zip with `harness pack FOLDER`."

RULES: Mapping[str, FindingRule] = {
    **_rows(
        Severity.ERROR,
        {
            # P1: the files
            "P101": ("cannot be read", "Give the path of a folder or zip with submission.toml at its root."),
            "P102": ("is not a zip", _REPACK),
            "P103": ("is a damaged or ambiguous zip", _REPACK),
            "P104": ("is encrypted", "Packages are handed in without a password. " + _REPACK),
            "P105": ("unpacks to far more than it holds (zip bomb)", _REPACK),
            "P106": ("an unsafe path", "Use relative names of printable characters, without `..` and `\\`."),
            "P107": ("a link", "Replace the link by the file itself, or exclude it in submission.toml."),
            "P108": ("is neither a file nor a folder", "Remove it, or exclude it in submission.toml."),
            "P109": (
                "two names that are the same on some systems",
                "Rename one: names must differ in more than case or the encoding of accents.",
            ),
            "P110": ("folders within folders too deep", "Flatten the tree to 32 levels or exclude it."),
            "P111": ("too many files", "Put many small files into one, or exclude them in submission.toml."),
            "P112": ("too large", "Make the weights smaller, or exclude what is not needed for prediction."),
            "P132": ("wheels too large for the temporary disk", "Use fewer or smaller wheels."),
            # P2: the manifest
            "P201": ("no submission.toml at the root", 'Add one; at least `name = "…"` and `entry = "…"`.'),
            "P202": ("submission.toml is not TOML", "Fix the syntax at that line."),
            "P203": (
                "a wrong key in submission.toml",
                "Correct it; docs/contestants.md lists all keys.",
            ),
            "P204": (
                "the challenge does not allow this mode",
                "Hand in a package of the mode that the challenge allows.",
            ),
            # P3: the code
            "P301": ("is not valid Python 3.11", "Fix the syntax; the runtime image has Python 3.11."),
            "P302": ("the module of `entry` is missing", "Name it relative to the package's root."),
            "P303": ("the class of `entry` is missing", "Define or import it at the top of that module."),
            "P304": (
                "the class does not fit the contract",
                "It needs `__init__(self, package)` and `predict(self, video)`; see docs/contestants.md.",
            ),
            "P305": ("the command's file is missing", "Name a file of the package."),
            # P4: what the weights come from
            "P401": (
                "weights that do not say what they were trained on",
                "Add [[external_data]] with name, licence and consent for each source to submission.toml.",
            ),
            # P6: inside the container
            "P601": ("does not start", "Read the traceback; `--sandbox process` lets you debug it."),
            "P602": ("fails on a sample video", "Read the traceback; `--sandbox process` lets you debug it."),
            "P603": (
                "answers, but not with a probability",
                "Return a float between 0 and 1: the probability that the video is fake.",
            ),
        },
    ),
    **_rows(
        Severity.WARNING,
        {
            "P114": ("a hidden file", "Exclude it in submission.toml unless the package needs it."),
            "P115": ("a very large file that is not weights", "Exclude it if prediction does not need it."),
            "P311": (
                "imports what the runtime image lacks",
                "Put the module into the package, as a folder or as a wheel in `wheels/`, or do without it.",
            ),
            "P312": ("hides a module of Python or of the image", "Rename the file or folder."),
            "P313": ("too large to check", "Keep data out of Python files."),
            "P314": (
                "runs a file of the package directly",
                "Start it through its interpreter: no file is executable.",
            ),
            "P315": (
                "a name that the image's releases have dropped",
                "Use what replaced it; in the package's own copy of a library, too.",
            ),
            "P316": (
                "an `except` that answers with a constant",
                "Let the error out: it is then counted and shown with its line, and scores the same.",
            ),
            "P317": (
                "needs a GPU, but the challenge gives none",
                'Choose: `device = "cuda" if torch.cuda.is_available() else "cpu"`.',
            ),
            "P318": (
                "waits for a person",
                "Remove it, and use `harness predict PACKAGE VIDEO --pdb`: a real debugger.",
            ),
            "P402": ("pickled weights", "Save weights as safetensors: safe to open, and faster to load."),
            "P501": ("reaches for the network", "There is no network: put every file into the package."),
            "P502": (
                "a path that does not exist here",
                "Build paths from `package`, which the harness gives.",
            ),
            "P131": (
                "a wheel that the image's Python cannot use",
                "Fetch one: pip download --only-binary=:all: --python-version 3.11 --platform "
                "manylinux_2_28_x86_64",
            ),
            "P611": (
                "slower than the challenge allows on average",
                "Look at fewer frames or use a smaller model.",
            ),
            "P612": (
                "gives the same answer for every video",
                "It scores as a constant does. Look for a caught exception, no face found, or "
                "weights not loaded.",
            ),
            "P613": (
                "gives another answer when asked again",
                "Call `model.eval()`, seed every random choice, and keep nothing from one video to the next.",
            ),
        },
    ),
    **_rows(
        Severity.NOTE,
        {
            "P121": ("left out", "Nothing to do: these are never part of a package."),
            "P411": ("no [[external_data]]", "Declare what any weights were trained on."),
            "P133": (
                "has its own wheels",
                "They are unpacked at each start and imported before the image's.",
            ),
            "P122": (
                "everything is in one folder of the zip",
                "Nothing to do: that folder is the package.",
            ),
            "P614": (
                "one answer takes far longer than the others",
                "Compiling and warming up is paid in each container: do it in `__init__`, within start-up.",
            ),
            "P620": ("ran on the sample videos", ""),
            "P621": (
                "was not run",
                "If a container engine answers, `harness check` also runs the package.",
            ),
        },
    ),
}
