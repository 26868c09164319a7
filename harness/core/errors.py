"""Every exception the harness raises on purpose.

The fate of a package is never an exception: it is a value (`Outcome`, `Verdict`). What is raised is about
the harness, the host, the organiser's files, or a package that cannot even be opened::

    HarnessError
    ├── ConfigError (ValueError)             the organiser's own files or options
    │   ├── ChallengeError                   challenge.toml
    │   ├── LabelsError                      labels.csv
    │   ├── RecipeError                      a recipe, or an unknown perturbation
    │   ├── ScoreInputError                  predictions that cannot be scored; all of what is wrong
    │   └── ResultError                      a result.json or run folder that cannot be used
    ├── SubmissionError (ValueError)         the package; the text may be shown to the contestant
    │   └── PackageError                     unsafe, unreadable or too large; or its manifest is wrong
    ├── InfrastructureError (RuntimeError)   our fault or the host's; never scored
    │   ├── EngineUnavailableError (ConnectionError)   no container engine answers
    │   ├── ImageError                       the runtime image cannot be built or found
    │   ├── SandboxError                     a container could not be started, watched or removed
    │   ├── VideoError (OSError)             a video that the harness itself cannot read or render
    │   ├── StoreError                       the index of runs cannot be read or written
    │   │   └── StoreAwayError               its server does not answer just now
    │   └── PortalError (ConnectionError)    the portal does not answer, or not as a portal does
    └── SandboxSignal                        how `SandboxProcess.receive` ends without a frame
        ├── ReceiveTimeout (TimeoutError)    nothing arrived in time
        ├── ProcessEnded (EOFError)          the process is gone or has closed its pipe
        └── ProtocolViolation (ValueError)   bytes that no honest runner sends
"""

from __future__ import annotations

from pathlib import Path


class HarnessError(Exception):
    """The root of the tree.

    Args:
        message: What is wrong, naming the thing.
        place: Where: a file, a key, a video.
        remedy: What the reader can do about it.
    """

    def __init__(self, message: str, *, place: str | Path | None = None, remedy: str | None = None) -> None:
        self.message = message
        self.place = None if place is None else str(place)
        self.remedy = remedy
        text = message if self.place is None else f"{self.place}: {message}"
        super().__init__(text if remedy is None else f"{text}\n  Remedy: {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the way back from a worker process, keyword arguments included."""
        return _rebuild, (type(self), self.message, self.place, self.remedy)


def _rebuild(kind: type[HarnessError], message: str, place: str | None, remedy: str | None) -> HarnessError:
    return kind(message, place=place, remedy=remedy)


class ConfigError(HarnessError, ValueError):
    """The organiser's files or options are wrong."""


class ChallengeError(ConfigError):
    """`challenge.toml` is wrong."""


class LabelsError(ConfigError):
    """A labels file is wrong, or does not fit its videos."""


class RecipeError(ConfigError):
    """A recipe is wrong, or names an unknown perturbation."""


class ScoreInputError(ConfigError):
    """Predictions that do not fit their videos and labels; the message lists everything that is wrong."""


class ResultError(ConfigError):
    """A result or run folder cannot be used."""


class SubmissionError(HarnessError, ValueError):
    """The package is at fault; the text may be shown to the contestant."""


class PackageError(SubmissionError):
    """The package cannot be opened safely, or its manifest is wrong."""


class InfrastructureError(HarnessError, RuntimeError):
    """Our own or the host's fault: never scored, never counted against a contestant."""


class EngineUnavailableError(InfrastructureError, ConnectionError):
    """No container engine answers."""


class ImageError(InfrastructureError):
    """The runtime image cannot be built or found."""


class SandboxError(InfrastructureError):
    """A sandbox could not be started, watched or removed."""


class VideoError(InfrastructureError, OSError):
    """A video that the harness itself cannot read or render."""


class StoreError(InfrastructureError):
    """The index of runs cannot be read or written."""


class StoreAwayError(StoreError, ConnectionError):
    """The server of the index does not answer just now; it may be back soon."""


class PortalError(InfrastructureError, ConnectionError):
    """The portal does not answer, or not as a portal does."""


class SandboxSignal(HarnessError):
    """How `SandboxProcess.receive` ends without a frame."""


class ReceiveTimeout(SandboxSignal, TimeoutError):
    """Nothing arrived in time."""


class ProcessEnded(SandboxSignal, EOFError):
    """The process is gone or has closed its pipe."""


class ProtocolViolation(SandboxSignal, ValueError):
    """Bytes arrived that no honest runner sends."""
