"""Which portal, and with which token: from the environment, or from a file that only its owner can read."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.core.errors import ConfigError, InfrastructureError
from harness.core.files import APPLICATION, beside

URL_VARIABLE, TOKEN_VARIABLE = "HARNESS_PORTAL", "HARNESS_PORTAL_TOKEN"
FILE = "portals.json"
_OWN_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, kw_only=True)
class Login:
    """A portal with a token for it. It prints without the token."""

    url: str
    token: str
    challenge: str = ""  # the one that is meant if none is named

    def __repr__(self) -> str:
        return f"Login(url={self.url!r}, challenge={self.challenge!r})"


def logins_file() -> Path:
    """Return this user's file of tokens; it may not be there."""
    from platformdirs import user_config_path  # noqa: PLC0415  (only some commands need it)

    return user_config_path(APPLICATION, appauthor=False) / FILE


def portal_url(text: str, *, insecure: bool = False) -> str:
    """Return an address as it is kept.

    Args:
        text: As it was typed.
        insecure: Whether http:// will do for another machine.

    Raises:
        ConfigError: it is no address of a portal, or would send the token over an open line.
    """
    parts = urlsplit(text if "://" in text else f"https://{text}")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
        raise ConfigError("is not the address of a portal", place=text, remedy="Give https://HOST.")
    if parts.scheme == "http" and parts.hostname not in _OWN_MACHINE and not insecure:
        raise ConfigError(
            "would send your token over an open line",
            place=text,
            remedy="Use https://. If nobody can listen on the way, give --insecure.",
        )
    path = parts.path.rstrip("/").removesuffix("/api/v1")
    return f"{parts.scheme}://{parts.netloc}{path}"


def keep(login: Login, path: Path) -> None:
    """Keep a token, for its owner's eyes only; it is the one that is used from now on.

    Raises:
        InfrastructureError: the disk refuses.
    """
    kept = {url: one for url, one in _read(path).items() if url != login.url}
    _write(path, {login.url: login, **kept})


def forget(path: Path, *, url: str | None = None) -> str | None:
    """Forget a token: of a portal, or of the one in use; return which, None if there was none."""
    kept = _read(path)
    gone = url if url is not None else next(iter(kept), None)
    if gone not in kept:
        return None
    del kept[gone]
    _write(path, kept)
    return gone


def login_in_use(path: Path, environment: Mapping[str, str], *, url: str | None = None) -> Login:
    """Return the portal that a command means, and the token for it.

    The address is the option's, else the environment's, else of the last login; the token is the
    environment's, else the file's.

    Raises:
        ConfigError: there is none, or others can read the file.
    """
    kept = _read(path)
    asked = url or environment.get(URL_VARIABLE) or next(iter(kept), None)
    if asked is None:
        raise ConfigError(
            "no portal is known",
            remedy=f"`harness remote login https://HOST`, or set {URL_VARIABLE} and {TOKEN_VARIABLE}.",
        )
    address = portal_url(asked, insecure=asked in kept)
    known = kept.get(address)
    token = environment.get(TOKEN_VARIABLE, "").strip() or (known.token if known else "")
    if not token:
        raise ConfigError(
            "there is no token for it",
            place=address,
            remedy=f"`harness remote login {address}` keeps one; or set {TOKEN_VARIABLE}.",
        )
    return Login(url=address, token=token, challenge=known.challenge if known else "")


def _read(path: Path) -> dict[str, Login]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InfrastructureError(f"cannot be read: {error.strerror}", place=path) from error
    with os.fdopen(descriptor, encoding="utf-8") as stream:
        facts = os.fstat(stream.fileno())
        if stat.S_IMODE(facts.st_mode) & 0o077:
            raise ConfigError(
                "others can read it, and it holds your tokens",
                place=path,
                remedy=f"`chmod 600 {path}`; if others may have read it, have the tokens revoked.",
            )
        try:
            return {one["url"]: Login(**one) for one in json.load(stream)}
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                "is not a file of tokens", place=path, remedy="Delete it, and log in again."
            ) from error


def _write(path: Path, logins: Mapping[str, Login]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with beside(path) as part:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open(part, flags, 0o600), "w", encoding="utf-8") as stream:
                json.dump([asdict(one) for one in logins.values()], stream, indent=1)
    except OSError as error:
        raise InfrastructureError(f"cannot be written: {error.strerror}", place=path) from error
