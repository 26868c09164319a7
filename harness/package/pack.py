"""Make a zip of a package folder, the same bytes on every machine."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import ConfigError, InfrastructureError
from harness.core.types import Limits
from harness.package.content_rules import Item
from harness.package.opened import as_error
from harness.package.reading import digest
from harness.package.source import Survey, survey

ZIP_BYTES_MAX = 0xFFFFFFFF - (64 << 20)  # beyond, a zip needs zip64, which is not accepted back
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_PLAIN_FILE = 0o100644 << 16


@dataclass(frozen=True, kw_only=True)
class PackReport:
    """What was packed."""

    output: Path
    package_sha256: str  # of the package: the same for the folder and for the zip
    zip_sha256: str  # of the zip file's bytes
    size_bytes: int  # unpacked
    zip_bytes: int
    file_count: int
    left_out: tuple[str, ...]


def pack(source: Path, output_zip: Path, *, limits: Limits | None = None) -> PackReport:
    """Write the zip of a package; the same files give the same bytes, whatever the machine.

    Files are sorted by path, dated 1980, of mode 0644, and stored without compression: weights do not
    compress, and compressors differ from build to build. The zip is written beside its place and renamed.

    Raises:
        PackageError: it cannot be opened as a package; names every reason.
        ConfigError: the zip would be inside the folder it is made of, and be packed the next time.
        InfrastructureError: the zip cannot be written.
    """
    if source.is_dir() and output_zip.resolve().is_relative_to(source.resolve()):
        raise ConfigError(
            "would be inside the package itself", place=output_zip, remedy="Write it somewhere else."
        )
    with survey(source, limits=limits or Limits()) as looked:
        if looked.errors:
            raise as_error(looked.errors, source)
        if looked.contents.size_bytes > ZIP_BYTES_MAX:
            raise InfrastructureError(
                f"{looked.contents.size_bytes:,} bytes are more than a zip without zip64 can hold",
                place=source,
                remedy="Hand in the folder itself.",
            )
        try:
            descriptor, name = tempfile.mkstemp(prefix=f".{output_zip.name}.", dir=output_zip.parent)
        except OSError as error:
            raise InfrastructureError(
                f"cannot be written: {error.strerror}",
                place=output_zip,
                remedy="Make room on the disk, or allow writing there, and run the same command again.",
            ) from error
        beside = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream, zipfile.ZipFile(stream, "w") as archive:
                listing = [(entry, _add(archive, looked, entry)) for entry in looked.contents.members]
            zip_sha256 = _sha256(beside)
            beside.chmod(0o644)
            beside.replace(output_zip)
        except OSError as error:
            raise InfrastructureError(
                f"cannot be written: {error.strerror}",
                place=output_zip,
                remedy="Make room on the disk, or allow writing there, and run the same command again.",
            ) from error
        finally:
            beside.unlink(missing_ok=True)
        return PackReport(
            output=output_zip,
            package_sha256=digest(listing),
            zip_sha256=zip_sha256,
            size_bytes=looked.contents.size_bytes,
            zip_bytes=output_zip.stat().st_size,
            file_count=len(listing),
            left_out=looked.contents.left_out,
        )


def _add(archive: zipfile.ZipFile, looked: Survey, entry: Item) -> str:
    info = zipfile.ZipInfo(entry.path, date_time=_FIXED_TIME)
    info.create_system = _UNIX
    info.external_attr = _PLAIN_FILE
    sha256 = hashlib.sha256()
    with archive.open(info, "w") as stream:
        for piece in looked.read(entry):
            sha256.update(piece)
            stream.write(piece)
    return sha256.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
