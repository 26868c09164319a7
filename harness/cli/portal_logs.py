"""Where the portal's log goes: to standard error, as lines of JSON for a machine or of text for a person."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from enum import StrEnum

from harness.portal.logs import LOGGER, JsonLines


class LogFormat(StrEnum):
    """How a line of the log is written."""

    TEXT = "text"
    JSON = "json"


class _TextLines(logging.Formatter):
    """Writes the same facts for a person's eyes: one line, nothing that was asked for word by word."""

    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", None)
        if not isinstance(facts, Mapping):
            return f"{self.formatTime(record)} {record.levelname.lower()} {record.getMessage()}"
        who = facts.get("team") or facts.get("role") or "-"
        return (
            f"{self.formatTime(record)} {facts.get('method')} {facts.get('route')} {facts.get('status')} "
            f"{1000 * float(str(facts.get('seconds'))):.0f} ms {who} {facts.get('request')}"
        )


def log_to_standard_error(how: LogFormat) -> None:
    """Set up the portal's log, and the server's own, for this process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if how is LogFormat.JSON else _TextLines())
    for name in (LOGGER, "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
    logging.getLogger(LOGGER).setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
