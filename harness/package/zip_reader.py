"""Read a zip that may be hostile: its directory first, strictly, then one file at a time under caps.

Written against the format itself (APPNOTE.TXT 6.3.10) rather than on `zipfile`, because what makes a zip
dangerous is what readers forgive: a directory and file headers that disagree, files that share their bytes
(overlap bombs), data in front of or behind the archive, sizes that lie. None of it is forgiven here: a zip
has one reading or it is refused. Zip64 is refused too; no package within the default limits needs it.
"""

from __future__ import annotations

import itertools
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from harness.core.errors import PackageError
from harness.core.text import printable
from harness.package.content_rules import Item, Kind
from harness.package.findings import RULES, Finding, found

CHUNK_BYTES = 1 << 20
DIRECTORY_BYTES_MAX = 32 << 20
RATIO_MAX = 200  # deflate reaches 1032; weights and code stay below 10
RATIO_FROM_BYTES = 50_000_000  # smaller bombs do no harm
_END = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED_FLAGS = 1 << 0 | 1 << 6 | 1 << 13
_DESCRIPTOR_FLAG = 1 << 3
_ZIP64_EXTRA, _UNICODE_PATH_EXTRA, _AES_METHOD = 0x0001, 0x7075, 99
_UNIX_MODE_SYSTEMS = (3, 19)  # Unix, macOS


@dataclass(frozen=True, kw_only=True)
class ZipMember:
    """One file or folder of a zip whose headers agree."""

    entry: Item
    packed_bytes: int
    crc32: int
    deflated: bool
    data_offset: int


@dataclass(frozen=True, kw_only=True)
class ZipDirectory:
    """What a zip says it holds. With an error among the findings, nothing may be read from it."""

    members: tuple[ZipMember, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Record:
    """A row of the central directory."""

    raw_name: bytes
    name: str
    system: int
    flags: int
    method: int
    crc32: int
    packed_bytes: int
    size_bytes: int
    mode: int
    header_offset: int
    extra: bytes


class _MalformedError(Exception):
    """The zip cannot be read further; carries the finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def read_directory(stream: BinaryIO, *, entries_max: int) -> ZipDirectory:
    """Read and cross-check the directory of a zip; no file's content is read.

    Args:
        stream: Opened for reading, seekable.
        entries_max: Refuse to look at more names than this.
    """
    try:
        records, directory_offset = _central_directory(stream, entries_max)
    except _MalformedError as malformed:
        return ZipDirectory(findings=(malformed.finding,))
    findings: list[Finding] = []
    members: list[ZipMember] = []
    spans: list[tuple[int, int, str]] = []
    for record in records:
        wrong = next(_wrong_in(record), None)
        if wrong:
            findings.append(wrong)
            continue
        try:
            data_offset = _data_offset(stream, record, directory_offset)
        except _MalformedError as malformed:
            findings.append(malformed.finding)
            continue
        spans.append((record.header_offset, data_offset + record.packed_bytes, record.name))
        entry = Item(path=record.name.rstrip("/"), kind=_kind(record), size_bytes=record.size_bytes)
        members.append(
            ZipMember(
                entry=entry,
                packed_bytes=record.packed_bytes,
                crc32=record.crc32,
                deflated=record.method == _DEFLATED,
                data_offset=data_offset,
            )
        )
    if records and min(record.header_offset for record in records) != 0:
        findings.append(_ambiguous("there is data in front of the first file"))
    findings += _overlaps(spans)
    return ZipDirectory(members=tuple(members), findings=tuple(findings))


def bomb(members: list[ZipMember]) -> Finding | None:
    """Return the finding of a zip that unpacks to far more than it holds."""
    unpacked = sum(member.entry.size_bytes for member in members)
    packed = sum(member.packed_bytes for member in members)
    if unpacked < RATIO_FROM_BYTES or unpacked <= RATIO_MAX * max(packed, 1):
        return None
    return found("P105", f"unpacks {packed:,} bytes to {unpacked:,}; at most {RATIO_MAX} times is allowed")


def chunks(stream: BinaryIO, member: ZipMember) -> Iterator[bytes]:
    """Read one file, at most as many bytes as the directory says.

    Raises:
        PackageError: what is stored is longer, shorter or other than what the directory says.
    """
    size, crc = 0, 0
    for piece in _inflated(stream, member) if member.deflated else _stored(stream, member):
        size += len(piece)
        if size > member.entry.size_bytes:
            raise _damaged(member, f"unpacks to more than the {member.entry.size_bytes:,} bytes it declares")
        crc = zlib.crc32(piece, crc)
        yield piece
    if size != member.entry.size_bytes:
        raise _damaged(member, f"unpacks to {size:,} bytes and declares {member.entry.size_bytes:,}")
    if crc != member.crc32:
        raise _damaged(member, "its checksum does not fit its content")


def _central_directory(stream: BinaryIO, entries_max: int) -> tuple[list[_Record], int]:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _END.size - 0xFFFF))
    tail = stream.read(_END.size + 0xFFFF)
    end_at = tail.rfind(b"PK\x05\x06")
    if end_at < 0 or len(tail) - end_at < _END.size:
        raise _MalformedError(found("P102"))
    _, disk, first_disk, here, count, length, offset, comment = _END.unpack_from(tail, end_at)
    end = size - len(tail) + end_at
    if 0xFFFF in (here, count) or 0xFFFFFFFF in (length, offset):
        raise _MalformedError(_ambiguous("zip64 is not accepted"))
    if disk or first_disk or here != count:
        raise _MalformedError(_ambiguous("it is one part of several"))
    if end + _END.size + comment != size or offset + length != end:
        raise _MalformedError(_ambiguous("there is data in front of or behind the archive"))
    if length > DIRECTORY_BYTES_MAX or count > entries_max:
        raise _MalformedError(found("P111", f"{count} names in the zip; at most {entries_max} are looked at"))
    stream.seek(offset)
    return _records(stream.read(length), count), offset


def _records(directory: bytes, count: int) -> list[_Record]:
    records, at = [], 0
    for _ in range(count):
        if len(directory) - at < _CENTRAL.size or directory[at : at + 4] != b"PK\x01\x02":
            raise _MalformedError(_ambiguous("its directory is damaged"))
        fields = _CENTRAL.unpack_from(directory, at)
        made_by, flags, method, crc32, packed, size = fields[1], *fields[3:5], *fields[7:10]
        name_length, extra_length, comment_length, disk = fields[10:14]
        name_at = at + _CENTRAL.size
        at = name_at + name_length + extra_length + comment_length
        if at > len(directory) or disk:
            raise _MalformedError(_ambiguous("its directory is damaged"))
        raw_name = directory[name_at : name_at + name_length]
        records.append(
            _Record(
                raw_name=raw_name,
                name=raw_name.decode("utf-8", "surrogateescape"),
                system=made_by >> 8,
                flags=flags,
                method=method,
                crc32=crc32,
                packed_bytes=packed,
                size_bytes=size,
                mode=fields[15] >> 16,
                header_offset=fields[16],
                extra=directory[name_at + name_length : name_at + name_length + extra_length],
            )
        )
    if at != len(directory):
        raise _MalformedError(_ambiguous("its directory holds more than its names"))
    return records


def _wrong_in(record: _Record) -> Iterator[Finding]:
    if record.flags & _ENCRYPTED_FLAGS or record.method == _AES_METHOD:
        yield found("P104", place=record.name)
    if record.method not in (_STORED, _DEFLATED):
        yield _ambiguous(f"compression method {record.method}; only store and deflate are read", record.name)
    if record.method == _STORED and record.packed_bytes != record.size_bytes:
        yield _ambiguous("stored, but with two sizes", record.name)
    if 0xFFFFFFFF in (record.packed_bytes, record.size_bytes, record.header_offset):
        yield _ambiguous("zip64 is not accepted", record.name)
    if record.name.endswith("/") and record.size_bytes:
        yield _ambiguous("a folder with content", record.name)
    kinds = _extra_kinds(record.extra)
    if kinds is None or _ZIP64_EXTRA in kinds:
        yield _ambiguous("zip64 or damaged extra fields", record.name)
        return
    if _UNICODE_PATH_EXTRA in kinds and kinds[_UNICODE_PATH_EXTRA][5:] != record.raw_name:
        yield _ambiguous("a second name in an extra field", record.name)


def _data_offset(stream: BinaryIO, record: _Record, directory_offset: int) -> int:
    stream.seek(record.header_offset)
    header = stream.read(_LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
        raise _MalformedError(_ambiguous("its header is missing", record.name))
    _, _, flags, method, _, _, crc32, packed, size, name_length, extra_length = _LOCAL.unpack(header)
    same_sizes = (crc32, packed, size) == (record.crc32, record.packed_bytes, record.size_bytes)
    # A writer that streams leaves the sizes to a descriptor behind the data (zeros, or ones with zip64).
    streamed = flags & _DESCRIPTOR_FLAG and {crc32, packed, size} <= {
        *(0, 0xFFFFFFFF),
        *(record.crc32, record.packed_bytes, record.size_bytes),
    }
    if (flags, method) != (record.flags, record.method) or not (same_sizes or streamed):
        raise _MalformedError(_ambiguous("its header and the directory disagree", record.name))
    if stream.read(name_length) != record.raw_name:
        raise _MalformedError(_ambiguous("its header has another name", record.name))
    data_offset: int = record.header_offset + _LOCAL.size + name_length + extra_length
    if data_offset + record.packed_bytes > directory_offset:
        raise _MalformedError(_ambiguous("reaches into the directory", record.name))
    return data_offset


def _overlaps(spans: list[tuple[int, int, str]]) -> list[Finding]:
    ordered = sorted(spans)
    return [
        _ambiguous("shares its bytes with another file", later[2])
        for earlier, later in itertools.pairwise(ordered)
        if later[0] < earlier[1]
    ]


def _kind(record: _Record) -> Kind:
    kind = stat.S_IFMT(record.mode) if record.system in _UNIX_MODE_SYSTEMS else 0
    if kind == stat.S_IFLNK:
        return Kind.LINK
    folder = record.name.endswith("/")
    if kind not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
        return Kind.SPECIAL
    return Kind.FOLDER if folder else Kind.FILE


def _extra_kinds(extra: bytes) -> dict[int, bytes] | None:
    kinds: dict[int, bytes] = {}
    at = 0
    while at < len(extra):
        if len(extra) - at < 4:
            return None
        kind, length = struct.unpack_from("<HH", extra, at)
        if at + 4 + length > len(extra):
            return None
        kinds[kind] = extra[at + 4 : at + 4 + length]
        at += 4 + length
    return kinds


def _stored(stream: BinaryIO, member: ZipMember) -> Iterator[bytes]:
    left = member.packed_bytes
    stream.seek(member.data_offset)
    while left:
        piece = stream.read(min(CHUNK_BYTES, left))
        if not piece:
            raise _damaged(member, "the zip ends within it")
        left -= len(piece)
        yield piece


def _inflated(stream: BinaryIO, member: ZipMember) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    pieces = _stored(stream, member)
    while not inflater.eof:
        packed = inflater.unconsumed_tail or next(pieces, b"")
        try:
            piece = inflater.decompress(packed, CHUNK_BYTES)
        except zlib.error as error:
            raise _damaged(member, "its compressed data is broken") from error
        if not packed and not piece and not inflater.eof:
            raise _damaged(member, "its compressed data stops short")
        yield piece
    if inflater.unused_data or inflater.unconsumed_tail or next(pieces, b""):
        raise _damaged(member, "there is more behind its compressed data")


def _ambiguous(detail: str, name: str = "") -> Finding:
    return found("P103", f"is a damaged or ambiguous zip: {detail}", place=name)


def _damaged(member: ZipMember, detail: str) -> PackageError:
    return PackageError(f"damaged: {detail}", place=printable(member.entry.path), remedy=RULES["P103"].remedy)
