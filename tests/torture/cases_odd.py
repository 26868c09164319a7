"""The torture set, continued: what real recorders, editors and pranksters leave behind."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import damage
from clip import H264, Clip

HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "10", "-x265-params", "log-level=none:pools=none")
AAC = ("-c:a", "aac", "-b:a", "128k")
PASSTHROUGH = ("-fps_mode", "passthrough", "-enc_time_base", "1:1000")


def joined() -> Iterator[Clip]:
    """Two recordings in one file: the sound of the second goes with its own picture."""
    group = "joined recordings"
    twice = tuple(index / 25 for index in range(40))
    numbers = (*range(20), *range(20))
    halves = {
        "alike": {},
        "other-sound-rate": {"audio": (*AAC, "-ar", "32000")},
        "other-sound-layout": {"audio": (*AAC, "-ac", "2")},
        "other-picture-rate": {"rate": "50"},
        "fields": {
            "video": (*H264, "-flags", "+ildct+ilme", "-x264-params", "tff=1"),
            "filters": ("setfield=tff",),
        },
    }
    for name, half in halves.items():
        rate = 50 if "rate" in half else 25
        whole = {
            "name": "half",
            "group": group,
            "ext": "ts",
            "beeps": (0.1, 0.3),
            "sound_seconds": 0.5,
        } | half
        yield Clip(
            name=f"{name}-ts",
            group=group,
            ext="ts",
            beeps=(0.2,),
            sound_seconds=0.4,  # shorter than its picture: what follows may not move up
            spoil=damage.Joined(whole),
            numbers=numbers,
            times=tuple(time if time < 0.8 else 0.8 + (time - 0.8) * 25 / rate for time in twice),
            heard=(0.2, 0.9, 1.1),
        )
    yield Clip(
        name="longer-sound-first-ts",
        group=group,
        ext="ts",
        beeps=(0.2, 2.0),
        sound_seconds=2.4,  # longer than its picture, which stands until the last AAC frame is over
        spoil=damage.Joined({"name": "half", "group": group, "ext": "ts", "beeps": (0.2,)}),
        numbers=numbers,
        times=tuple(time if time < 0.8 else time + 1.62 for time in twice),
        heard=(0.2, 2.0, 2.62),
    )


def beginnings() -> Iterator[Clip]:
    """Sound that begins long before the picture, and tracks among which a player chooses."""
    group = "beginnings and choices"
    for seconds in (0.5, 3):
        for ext in ("mp4", "mkv", "ts"):
            yield Clip(
                name=f"sound-first-{seconds:g}s-{ext}",
                group=group,
                ext=ext,
                filters=(f"settb=1/1000,setpts='(N/25+{seconds})/TB'",),
                mux=PASSTHROUGH,
                sound_seconds=seconds + 0.8,
                beeps=(seconds - 0.3, seconds + 0.2, seconds + 0.6),
                heard=(0.2, 0.6),
            )
    yield Clip(
        name="pause-in-sound-mkv",
        group=group,
        ext="mkv",
        rate="1",
        video=(*H264, "-bf", "0"),
        frames=150,
        size=(128, 128),
        audio=("-c:a", "pcm_s16le", "-af", "aselect='not(between(t,2,140))'"),
        beeps=(0.5, 145.0),
    )
    other = ("-f", "lavfi", "-i", "anullsrc=r=48000:cl=mono:d=0.8")
    for ext in ("mp4", "mkv"):
        yield Clip(
            name=f"second-sound-is-chosen-{ext}",
            group=group,
            ext=ext,
            inputs=other,
            maps=("-map", "0:v", "-map", "2:a", "-map", "1:a"),
            mux=("-disposition:a:0", "0", "-disposition:a:1", "default"),
        )
        yield Clip(
            name=f"second-picture-is-chosen-{ext}",
            group=group,
            ext=ext,
            inputs=("-f", "lavfi", "-i", "color=red:s=320x256:d=0.8:r=25"),
            maps=("-map", "2:v", "-map", "0:v", "-map", "1:a"),
            mux=("-disposition:v:0", "0", "-disposition:v:1", "default"),
            check_colour=False,  # the reference takes the first
        )


def notes() -> Iterator[Clip]:
    """What a container says of its picture beside its size."""
    group = "crop and Dolby Vision"
    whole = struct.pack(">I4sIIIIiIiI", 40, b"clap", 160, 1, 128, 1, 0, 1, 0, 1)
    yield Clip(name="clap-of-the-whole", group=group, spoil=damage.WithBox(b"avcC", whole))
    for left, top, right, bottom in ((16, 8, 32, 24), (0, 16, 0, 0)):
        width, height = 160 + left + right, 128 + top + bottom
        clap = struct.pack(
            *(">I4sIIIIiIiI", 40, b"clap", 160, 1, 128, 1, left - right, 2, top - bottom, 2),
        )
        for ext in ("mp4", "mov"):
            yield Clip(
                name=f"clap-{left}-{top}-{ext}",
                group=group,
                ext=ext,
                filters=(f"pad={width}:{height}:{left}:{top}:red",),
                spoil=damage.WithBox(b"avcC", clap),
                check_colour=False,  # the reference shows the whole
            )
    for profile, compatible, refused in ((5, 0, "profile 5"), (10, 0, "profile 10"), (8, 1, ""), (8, 4, "")):
        yield Clip(
            name=f"dolby-vision-{profile}-{compatible}",
            group=group,
            video=HEVC,
            spoil=damage.WithBox(
                b"hvcC",
                struct.pack(">I4s", 32, b"dvcC" if profile < 8 else b"dvvC")
                + bytes([1, 0, profile << 1, 45, compatible << 4])
                + bytes(19),
            ),
            refused=refused,
        )
    for levels in ("tv", "pc"):
        for form in ("gray", "gray10le", "gray12le"):
            yield Clip(
                name=f"{form}-{levels}",
                group=group,
                ext="mkv",
                video=("-c:v", "ffv1"),
                pixel_format=form,
                audio=("-c:a", "pcm_s16le"),
                colour=("smpte170m", levels, "bt470bg", "smpte170m"),
            )


def tricks() -> Iterator[Clip]:
    """Files that point to others: nothing of what they point to is opened."""
    group = "not a file of its own"
    for name, (content, refused) in {
        "hls": (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n", "HLS playlist"),
        "hls-after-a-mark": (b"\xef\xbb\xbf#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/a.ts\n", "HLS playlist"),
        "ffconcat": (b"ffconcat version 1.0\nfile sound.f32\n", "list of files"),
        "sdp": (b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n", "SDP"),
        "dash": (b'<?xml version="1.0"?>\n<MPD type="static"><BaseURL>a.mp4</BaseURL></MPD>', "DASH"),
        "smil": (b"<smil><body><video src='a.mp4'/></body></smil>", "playlist"),
        "rtsp": (b"RTSPtextRTSP rtsp://127.0.0.1/a\n", "address"),
        "photo": (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(64), "single picture|cannot be read"),
    }.items():
        yield Clip(name=name, group=group, spoil=damage.Replaced(content), refused=refused)
