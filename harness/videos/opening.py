"""Opening a video file: that one file and nothing it points to, whatever it is called and whatever is in it.

libav would follow more than a path: a name such as `concat:a|b` is a protocol to it, `%03d` a sequence, and a
playlist (m3u8, ffconcat, DASH, SDP) leads to other files and into the network. A named pipe would be waited
for without end.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import av
import av.error
from av.container import InputContainer

from harness.core.errors import VideoError

HEAD_BYTES = 4096  # enough to tell what a file is instead of a video
# Formats that hold pictures and sound themselves, as libav calls them. Not here: playlists, sequences of
# numbered files, devices, single pictures, and text drawn as pictures.
PICTURES = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,ogg,flv,live_flv,kux,gif,apng,asf,asf_o,nut,mxf,gxf,dv,wtv,"
    "rm,swf,nsv,nuv,h261,h263,h264,hevc,vvc,evc,av1,obu,ivf,m4v,mjpeg,mjpeg_2000,vc1,vc1test,dirac,cavsvideo,"
    "avs2,avs3,dnxhd,yuv4mpegpipe,flic,ea,bink,smk,roq,film_cpk,ipmovie,mtv,pva"
)
# Known so that the reason of their refusal is that they have no pictures.
SOUNDS = "mp3,flac,wav,w64,aac,ac3,eac3,aiff,caf,amr,ape,wv,tta,tak,mpc,mpc8,dts,truehd,au,oma"
OPTIONS: Mapping[str, str] = MappingProxyType(
    {"protocol_whitelist": "file", "format_whitelist": f"{PICTURES},{SOUNDS}"}
)
SPECIAL = {
    stat.S_ISDIR: "is a folder",
    stat.S_ISFIFO: "is a named pipe",
    stat.S_ISSOCK: "is a socket",
    stat.S_ISCHR: "is a device",
    stat.S_ISBLK: "is a device",
}
# What begins so, after blanks and in capitals, points to something else.
PLAYLISTS = {
    b"#EXTM3U": "an HLS playlist",
    b"FFCONCAT": "a list of files to join",
    b"[PLAYLIST]": "a playlist",
    b"[REFERENCE]": "a playlist",
    b"RTSPTEXT": "an address in the network",
    b"SMILTEXT": "an address in the network",
    b"V=0": "an SDP description of a stream in the network",
}
XML_PLAYLISTS = {
    b"<MPD": "a DASH playlist",
    b"<SMOOTHSTREAMINGMEDIA": "a Smooth Streaming playlist",
    b"<SMIL": "a playlist",
    b"<ASX": "a playlist",
    b"COMPOSITIONPLAYLIST": "an IMF playlist",
}
SINGLE_PICTURES = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"RIFF": "WebP", b"BM": "BMP"}


def open_video(path: Path) -> InputContainer:
    """Open a file for reading; symbolic links are followed, what is written in the file is not.

    Raises:
        VideoError: It is no file, or a playlist or a single picture; says which.
        OSError: libav or the operating system cannot open it.
        ValueError: libav refused it.
    """
    mode = path.stat().st_mode
    for is_kind, what in SPECIAL.items():
        if is_kind(mode):
            raise VideoError(f"{what}, not a file", place=path)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if playlist := _playlist(head):
        raise VideoError(
            f"is {playlist}, not a video: what it points to is not followed",
            place=path,
            remedy="put the video itself in its place",
        )
    try:
        return av.open(f"file:{path.absolute()}", metadata_errors="replace", container_options=dict(OPTIONS))
    except av.error.ArgumentError as error:
        kind = next((name for start, name in SINGLE_PICTURES.items() if head.startswith(start)), None)
        said = (
            f"is a single picture ({kind}), not a video"
            if kind
            else "is of a kind that is not read as a video"
        )
        raise VideoError(said, place=path) from error


def _playlist(head: bytes) -> str | None:
    """Say what kind of list a file is that begins so; None if it is none that is known."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().upper()
    known = XML_PLAYLISTS if text.startswith(b"<") else {}
    found = [what for tag, what in known.items() if tag in text]
    found += [what for start, what in PLAYLISTS.items() if text.startswith(start)]
    return found[0] if found else None
