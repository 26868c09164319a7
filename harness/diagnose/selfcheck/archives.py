"""Hostile zips and folders, made when they are needed: no bomb is kept in the repository.

A zip is written by hand, for `zipfile` refuses to write most of what an attacker would.
"""

from __future__ import annotations

import os
import pickle
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_UNIX = 3
_ENCRYPTED, _DEFLATED = 1, 8
_DOS_DATE = 0x21  # 1980-01-01


class MemberKind(StrEnum):
    """What a member of a hostile zip or folder is."""

    FILE = "file"
    LINK = "link"
    DEVICE = "device"  # in a folder: a named pipe
    PICKLE = "pickle"  # runs a command when it is loaded
    SPARSE = "sparse"  # folders only: a hole of `size` bytes
    PREFIX = "prefix"  # zips only: bytes in front of the archive
    SUFFIX = "suffix"  # zips only: bytes behind it
    CUT = "cut"  # zips only: the last `size` bytes are missing
    GARBAGE = "garbage"  # zips only: no zip at all


class Member(BaseModel):
    """One thing a hostile zip or folder holds beside the package's files; `{escape}` is a host's path."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: MemberKind = MemberKind.FILE
    path: str = ""
    text: str = Field(default="", description="the content, or where a link points")
    size: Annotated[int, Field(ge=0, le=1 << 42)] = Field(default=0, description="zeros after the text")
    count: Annotated[int, Field(ge=1, le=100_000)] = Field(default=1, description="{n} in path is its number")
    encrypted: bool = False
    declared_size: int | None = Field(default=None, description="another size than the true one")
    central_path: str | None = Field(default=None, description="another name in the directory")
    overlap: bool = Field(default=False, description="all `count` names share the first one's bytes")


class _Evil:
    """Unpickles into a command."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (self._command,)


@dataclass(frozen=True, kw_only=True)
class _Member:
    local_name: bytes
    central_name: bytes
    packed: bytes
    crc32: int
    size_bytes: int
    flags: int
    mode: int
    offset: int | None = None  # shares another one's bytes


def write_links(package: Path, members: Sequence[Member], knowledge: Mapping[str, Any]) -> None:
    """Add the members to a package's folder."""
    for member in _numbered(members, knowledge):
        place = package / member.path
        place.parent.mkdir(parents=True, exist_ok=True)
        if member.kind is MemberKind.LINK:
            place.symlink_to(member.text)
        elif member.kind is MemberKind.DEVICE:
            os.mkfifo(place)
        elif member.kind is MemberKind.SPARSE:
            with place.open("wb") as stream:
                stream.truncate(member.size)
        else:
            place.write_bytes(_content(member))


def write_zip(archive: Path, package: Path, members: Sequence[Member], knowledge: Mapping[str, Any]) -> None:
    """Write a package's folder and the members as a zip."""
    files = [
        Member(path=path.relative_to(package).as_posix(), text=path.read_text(encoding="utf-8"))
        for path in sorted(package.rglob("*"))
        if path.is_file()
    ]
    hostile = list(_numbered(members, knowledge))
    content = _zip([*files, *(member for member in hostile if member.path)])
    for member in hostile:
        if member.kind is MemberKind.PREFIX:
            content = _content(member) + content
        elif member.kind is MemberKind.SUFFIX:
            content += _content(member)
        elif member.kind is MemberKind.CUT:
            content = content[: -member.size]
        elif member.kind is MemberKind.GARBAGE:
            content = _content(member)
    archive.write_bytes(content)


def _numbered(members: Sequence[Member], knowledge: Mapping[str, Any]) -> Iterator[Member]:
    escape = str(knowledge.get("escape", ""))
    for member in members:
        for number in range(member.count):
            path = member.path.replace("{n}", str(number)).replace("{escape}", escape)
            text = member.text.replace("{escape}", escape)
            yield member.model_copy(
                update={"path": path, "text": text, "overlap": member.overlap and number > 0}
            )


def _content(member: Member) -> bytes:
    if member.kind is MemberKind.PICKLE:
        return pickle.dumps(_Evil(member.text))
    return member.text.encode() + bytes(member.size)


def _zip(members: Sequence[Member]) -> bytes:
    body = b""
    records: list[_Member] = []
    for member in members:
        record = _record(member)
        if member.overlap and records:
            first = records[-1]
            records.append(replace(first, central_name=record.central_name, offset=first.offset))
            continue
        record = replace(record, offset=len(body))
        records.append(record)
        body += _local(record) + record.packed
    directory = b"".join(_central(record) for record in records)
    end = _END.pack(b"PK\x05\x06", 0, 0, len(records), len(records), len(directory), len(body), 0)
    return body + directory + end


def _record(member: Member) -> _Member:
    content = _content(member)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    central = member.path if member.central_path is None else member.central_path
    modes = {MemberKind.LINK: 0o120777, MemberKind.DEVICE: 0o020666}
    return _Member(
        local_name=member.path.encode(),
        central_name=central.encode(),
        packed=deflate.compress(content) + deflate.flush(),
        crc32=zlib.crc32(content),
        size_bytes=len(content) if member.declared_size is None else member.declared_size,
        flags=_ENCRYPTED if member.encrypted else 0,
        mode=modes.get(member.kind, 0o100644),
    )


def _local(record: _Member) -> bytes:
    numbers = (record.crc32, len(record.packed), record.size_bytes, len(record.local_name), 0)
    return _LOCAL.pack(b"PK\x03\x04", 20, record.flags, _DEFLATED, 0, _DOS_DATE, *numbers) + record.local_name


def _central(record: _Member) -> bytes:
    numbers = (record.crc32, len(record.packed), record.size_bytes, len(record.central_name), 0, 0, 0, 0)
    head = (b"PK\x01\x02", _UNIX << 8 | 20, 20, record.flags, _DEFLATED, 0, _DOS_DATE)
    return _CENTRAL.pack(*head, *numbers, record.mode << 16, record.offset or 0) + record.central_name
