"""Where files by content lie on other machines: connections, and what is said if there is none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.core.errors import ConfigError, InfrastructureError

SILENT_SECONDS = 60.0  # a server that says nothing for so long is given up; `timeout` in the options
KEEPALIVE_SECONDS = 15
_REMEDIES = {
    "AuthenticationException": "Have the server accept this user and key, or name others in the URL and in "
    "HARNESS_BLOBS_OPTIONS.",
    "BadHostKeyException": "Another machine may answer in its place. Compare the server's key, and only then "
    "change it in known_hosts.",
    "SSHException": "Compare the server's key, and only then add it to known_hosts (`ssh-keyscan`); or look "
    "at the key file in HARNESS_BLOBS_OPTIONS.",
    "NoCredentialsError": "Give the keys in HARNESS_BLOBS_OPTIONS or in the environment.",
    "PermissionError": "Check the keys, and what they may do there: listing, reading and writing.",
    "gaierror": "Check the name of the host.",
    "NoValidConnectionsError": "Check the address and the port, and that the server is up.",
    "EndpointConnectionError": "Check the address and the port, and that the server is up.",
    "TimeoutError": "It was there and fell silent, or nothing answers: check that it is up, and the network.",
}
_OTHERWISE = "Check the address, the keys and that it is up; nothing was half written."


def file_system(scheme: str, url: str, options: dict[str, Any]) -> tuple[Any, str]:
    """Open a connection; returns fsspec's file system and the folder in it.

    Raises:
        ConfigError: the kind of place is unknown, a package is missing, or an option does not fit.
    """
    try:
        fsspec = import_module("fsspec")
        if scheme == "sftp":
            parts = urlsplit(url)
            named = {"port": parts.port, "username": parts.username}
            files = _checked_sftp()(
                parts.hostname, **{key: value for key, value in named.items() if value}, **options
            )
            return files, parts.path.rstrip("/")
        files, root = fsspec.core.url_to_fs(url, **options)
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"cannot be opened: {error}",
            place=url,
            remedy="Use a folder, sftp:// or s3://; all but a folder need the extra `cluster`.",
        ) from error
    except TypeError as error:  # how Python says that there is no argument of this name
        raise ConfigError(
            f"an option does not fit {scheme}://: {str(error).rpartition(': ')[2]}",
            place="HARNESS_BLOBS_OPTIONS",
            remedy=f"Look up what fsspec's {scheme!r} takes.",
        ) from error
    return files, str(root).rstrip("/")


def _checked_sftp() -> Any:
    """Return fsspec's SFTP, made to refuse a server whose key is not known, as `ssh` does."""
    paramiko = import_module("paramiko")
    base: Any = import_module("fsspec.implementations.sftp").SFTPFileSystem

    class CheckedSFTP(base):  # type: ignore[misc]  # fsspec has no types
        def _connect(self) -> None:
            options = dict(self.ssh_kwargs)
            silent = float(options.setdefault("timeout", SILENT_SECONDS))
            for phase in ("banner_timeout", "auth_timeout"):
                options.setdefault(phase, silent)
            known_hosts = options.pop("known_hosts", None)
            self.client = paramiko.SSHClient()
            self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
            if known_hosts is None:
                self.client.load_system_host_keys()
            else:
                self.client.load_host_keys(str(known_hosts))
            self.client.connect(self.host, **options)
            self.client.get_transport().set_keepalive(KEEPALIVE_SECONDS)
            self.ftp = self.client.open_sftp()
            self.ftp.get_channel().settimeout(silent)  # a host that is gone sends nothing, not even an end

    return CheckedSFTP


def renames(files: Any) -> bool:
    """Tell whether a rename is one step there; an object store shows only whole objects instead."""
    protocols = {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)
    return not protocols & {"s3", "s3a", "gs", "gcs", "abfs", "az", "memory"}


def lost(error: BaseException | None) -> bool:
    """Tell whether it may be a connection that was lost: a server restarts, or ends one that is idle."""
    if isinstance(error, FileNotFoundError | PermissionError | TimeoutError):
        return False
    return isinstance(error, EOFError | OSError) or type(error).__name__ == "SSHException"


@contextlib.contextmanager
def our_errors(place: str | Path, *, opening: bool = False) -> Iterator[None]:
    """Turn what goes wrong at a place into our errors, which say what to do.

    Args:
        place: Named in the error.
        opening: A file that is missing is one of this machine, which the options name.

    Raises:
        InfrastructureError: something did.
    """
    try:
        yield
    except (InfrastructureError, ConfigError):
        raise
    except FileNotFoundError as error:
        if opening and error.filename:
            raise InfrastructureError(
                "is not there",
                place=error.filename,
                remedy="HARNESS_BLOBS_OPTIONS names it: correct the path.",
            ) from error
        raise InfrastructureError(
            f"is not there: {error}",
            place=place,
            remedy="Put it there again: `harness contest run` does at its start.",
        ) from error
    except Exception as error:  # each kind of store has errors of its own
        names = (one.__name__ for one in type(error).__mro__)
        remedy = next((_REMEDIES[name] for name in names if name in _REMEDIES), _OTHERWISE)
        what = f"{type(error).__name__}: {error or 'it says nothing'}"
        raise InfrastructureError(f"cannot be used: {what}", place=place, remedy=remedy) from error
