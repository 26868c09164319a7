"""Loads Ray, quietly, and looks whether its cluster can be reached: extra `cluster`."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from harness.core.errors import ConfigError

CONNECT_SECONDS = 10.0
# RFC 9113, 3.4: how a client of HTTP/2, which Ray speaks, begins; a server answers with its settings.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_FRAME_HEAD_BYTES = 9
_SETTINGS = b"\4"  # the fourth byte of such a frame
_TLS = "RAY_USE_TLS"  # then a greeting without a handshake would be no use
_HOST_AND_PORT = re.compile(r"\[?([^\[\]/]+?)\]?:(\d{1,5})")
_RAYS_OWN = ("auto", "local")  # words that Ray itself reads as an address
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # of workers that were only to be warm; all others are asked
}


def must_listen(address: str | None) -> None:
    """Look at once whether anything like Ray listens there; Ray itself asks again for minutes.

    Raises:
        ConfigError: it is no address.
        OSError: nothing listens, or something else does.
    """
    if address is None or address in _RAYS_OWN or "://" in address:
        return
    found = _HOST_AND_PORT.fullmatch(address)
    if found is None or not 0 < int(found[2]) < 65536:
        raise ConfigError(
            "is not the address of a Ray cluster",
            place=f"--address {address!r}",
            remedy="Write HOST:PORT, as the head said when it was started (`harness contest node`).",
        )
    with socket.create_connection((found[1], int(found[2])), timeout=CONNECT_SECONDS) as connection:
        if os.environ.get(_TLS, "").lower() not in {"1", "true"}:
            _must_greet(connection)


def _must_greet(connection: socket.socket) -> None:
    """Greet a server as Ray's clients do, and see that it answers in kind.

    Raises:
        OSError: it says nothing, or something else.
    """
    heard = b""
    try:
        connection.sendall(_PREFACE)
        while len(heard) < _FRAME_HEAD_BYTES and (more := connection.recv(_FRAME_HEAD_BYTES - len(heard))):
            heard += more
    except TimeoutError as error:
        raise OSError(f"something listens there, and says nothing for {CONNECT_SECONDS:g} s") from error
    if heard[3:4] != _SETTINGS:
        raise OSError("something else than Ray listens there")


def loaded_ray() -> Any:
    """Return Ray's module.

    Raises:
        ConfigError: it is not installed.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        return import_module("ray")
    except ImportError as error:
        raise ConfigError(
            "`--engine ray` needs Ray, which is not installed",
            remedy="Install the extra: pip install 'blackbox-video-harness[cluster]'.",
        ) from error


@contextlib.contextmanager
def few_words() -> Iterator[None]:
    """Keep Ray's own notes off the terminal: a worker's death comes back as a result."""
    logger = logging.getLogger("ray")
    before = logger.level
    logger.setLevel(logging.ERROR)
    with contextlib.suppress(AttributeError, ImportError):  # no public switch: it prints to standard output
        worker: Any = import_module("ray._private.worker")
        worker.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        logger.setLevel(before)
