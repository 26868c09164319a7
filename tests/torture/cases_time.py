"""The torture set, continued: clocks, sound, what lies beside the picture, and damage."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import damage
from clip import H264, Clip

PCM, OPUS = ("-c:a", "pcm_s16le"), ("-c:a", "libopus")
MPEG4, MPEG2 = ("-c:v", "mpeg4", "-q:v", "2"), ("-c:v", "mpeg2video", "-q:v", "2")
JITTER = (0, 0.04, 0.07, 0.13, 0.16, 0.22, 0.24, 0.29, 0.33, 0.4, 0.41, 0.44, 0.5, 0.55, 0.6, 0.62, 0.7, 0.74)


def rates() -> Iterator[Clip]:
    """From 1 to 240 frames a second, and clocks that do not keep to one."""
    group = "frame rates and clocks"
    steady = "1 2 5 8 10 12 25/2 15 24000/1001 24 25 30000/1001 30 48 50 60000/1001 60 90 100 120 240"
    for rate in steady.split():
        name = rate.replace("/", "-")
        frames = max(4, min(40, round(float(Fraction(rate)))))
        seconds = frames / float(Fraction(rate))
        beeps = (round(seconds * 0.2, 3),)
        yield Clip(name=f"rate-{name}", group=group, rate=rate, frames=frames, beeps=beeps)
        if Fraction(rate) in {1, 15, 30, 60, 240}:
            yield Clip(name=f"rate-{name}-mkv", group=group, ext="mkv", rate=rate, frames=frames, beeps=beeps)
    yield from _uneven(group)
    yield from _broken(group)


def _uneven(group: str) -> Iterator[Clip]:
    at = "+".join(f"eq(N,{index})*{time}" for index, time in enumerate(JITTER))
    passthrough = ("-fps_mode", "passthrough", "-enc_time_base", "1:1000")
    for ext in ("mp4", "mkv", "ts", "flv"):
        yield Clip(
            name=f"uneven-{ext}",
            group=group,
            ext=ext,
            frames=len(JITTER),
            rate="50",
            filters=(f"settb=1/1000,setpts='({at})/TB'",),
            times=JITTER,
            sound_seconds=0.8,
            mux=passthrough,
        )
    for seconds in (2, 11, 90, 200):
        for ext in ("mp4", "mkv"):
            numbers, times = standing(seconds)
            yield Clip(
                name=f"gap-{seconds}s-{ext}",
                group=group,
                ext=ext,
                filters=(f"settb=1/1000,setpts='(N/25+gte(N,10)*{seconds})/TB'",),
                numbers=numbers,
                times=times,
                sound_seconds=seconds + 0.8,
                beeps=(0.2, seconds + 0.6),
                mux=passthrough,
            )
    for seconds in (90, 200):
        numbers, times = standing(seconds)
        yield Clip(
            name=f"gap-{seconds}s-silent",
            group=group,
            filters=(f"settb=1/1000,setpts='(N/25+gte(N,10)*{seconds})/TB'",),
            numbers=numbers,
            times=times,
            tracks=0,
            mux=passthrough,
        )


def standing(seconds: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Numbers and times of 20 frames, the tenth of which stands: it is to be written again twice a minute."""
    stands = [(9, 0.36 + 30 * again) for again in range(1, int((seconds + 0.03) / 30) + 1)]
    shown = [(index, index / 25 + (index >= 10) * seconds) for index in range(20)]
    pictures = sorted([*shown, *stands], key=lambda picture: picture[1])
    return tuple(number for number, _ in pictures), tuple(time for _, time in pictures)


def _broken(group: str) -> Iterator[Clip]:
    open_gop = (*H264, "-bf", "3", "-g", "8", "-x264-params", "open-gop=1:b-pyramid=normal")
    for ext in ("mp4", "mkv", "ts", "avi"):
        yield Clip(
            name=f"b-frames-open-{ext}", group=group, ext=ext, video=open_gop, tracks=0 if ext == "avi" else 1
        )
    yield Clip(name="b-frames-mpeg4", group=group, ext="avi", video=(*MPEG4, "-bf", "2"), tracks=0)
    yield Clip(
        name="packed-b-frames", group=group, ext="avi", tracks=0, video=(*MPEG4, "-bf", "2", "-g", "6")
    )
    for ext in ("mp4", "mkv", "ts", "mov"):
        yield Clip(
            name=f"starts-late-{ext}",
            group=group,
            ext=ext,
            mux=("-output_ts_offset", "5"),
        )
    yield Clip(name="negative-start-mkv", group=group, ext="mkv", mux=("-output_ts_offset", "-0.4"))
    for start in (0.2, 0.4):
        # Cut between key frames without coding: an edit list hides the frames before the start.
        first = round(start * 25)
        yield Clip(
            name=f"edit-list-{first}",
            group=group,
            video=(*H264, "-g", "100"),
            remux=("<-ss", f"<{start}"),
            numbers=tuple(range(first, 20)),
            heard=tuple(time - start for time in (0.2, 0.6) if time - start > -0.01),
        )
    yield Clip(
        name="edit-list-b-frames",
        group=group,
        video=(*H264, "-g", "100", "-bf", "3"),
        remux=("<-ss", "<0.4"),
        numbers=tuple(range(10, 20)),
        heard=(0.2,),
    )
    for name, text in {
        "falling-dts": "setts=dts=PTS-2-4*mod(N\\,2):pts=PTS",
        "no-dts": "setts=dts=NOPTS:pts=PTS",
    }.items():
        yield Clip(name=name, group=group, ext="nut", video=(*H264, "-bf", "0"), remux=("-bsf:v", text))
    yield Clip(
        name="repeated-times",
        group=group,
        ext="mkv",
        video=(*H264, "-bf", "0"),
        tracks=0,
        remux=("-bsf:v", "setts=ts='if(eq(mod(N,4),3),(N-1)*40,N*40)'"),
        part=0.7,  # two frames at one moment: one of them has to move
    )
    yield Clip(
        name="falling-times",
        group=group,
        ext="mkv",
        video=(*H264, "-bf", "0", "-g", "1"),
        tracks=0,
        remux=("-bsf:v", "setts=ts='if(gte(N,10),(N-8)*40,N*40)'"),
        part=0.4,
    )
    for factor in (0.1, 10.0, 1000.0):
        yield Clip(name=f"duration-{factor:g}-mp4", group=group, spoil=damage.Duration(factor))
    yield Clip(name="duration-0-mvhd", group=group, spoil=damage.Duration(0, (b"mvhd",)))
    yield Clip(
        name="header-promises-more-avi",
        group=group,
        ext="avi",
        video=MPEG4,
        tracks=0,
        spoil=damage.more_frames_than_there_are,
    )
    wrap = 2**33 / 90_000 - 0.4  # the 33 bits of a transport stream's clock run out in the middle
    yield Clip(name="clock-wraps-ts", group=group, ext="ts", mux=("-output_ts_offset", f"{wrap:.3f}"))
    yield Clip(name="one-frame", group=group, frames=1, beeps=(), tracks=0)
    yield Clip(name="two-frames", group=group, frames=2, beeps=(), tracks=0)


def audio() -> Iterator[Clip]:
    """None, several, late, longer, of many channels and odd rates."""
    group = "sound"
    yield Clip(name="none", group=group, tracks=0)
    yield Clip(name="silence", group=group, beeps=())
    for tracks in (2, 3, 5):
        yield Clip(name=f"tracks-{tracks}", group=group, tracks=tracks)
    for ext in ("mp4", "mkv", "ts"):
        late = ("-itsoffset", "0.5", "-f", "f32le", "-ar", "48000", "-ac", "1", "-i", "{folder}/sound.f32")
        yield Clip(
            name=f"late-{ext}",
            group=group,
            ext=ext,
            frames=40,
            inputs=late,
            maps=("-map", "0:v", "-map", "2:a"),
            heard=(0.7, 1.1),
        )
    for ext in ("mp4", "mkv"):
        yield Clip(name=f"longer-{ext}", group=group, ext=ext, sound_seconds=3, beeps=(0.2, 0.6, 2.0))
        yield Clip(name=f"shorter-{ext}", group=group, ext=ext, frames=50, sound_seconds=0.8)
    for channels, layout in ((1, "mono"), (2, "stereo"), (6, "5.1"), (8, "7.1"), (3, "2.1"), (4, "quad")):
        mix = ("-c:a", "aac", "-af", f"aformat=channel_layouts=stereo,aformat=channel_layouts={layout}")
        yield Clip(name=f"channels-{channels}", group=group, audio=mix)
    for rate in (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 64000, 88200, 96000):
        yield Clip(name=f"rate-{rate}", group=group, audio=("-c:a", "aac", "-ar", str(rate)))
    codecs = {
        "mp3": ("mp4", ("-c:a", "libmp3lame")),
        "opus": ("mp4", OPUS),
        "vorbis": ("mkv", ("-c:a", "libvorbis")),
        "flac": ("mkv", ("-c:a", "flac")),
        "alac": ("mov", ("-c:a", "alac")),
        "ac3": ("mkv", ("-c:a", "ac3")),
        "eac3": ("mp4", ("-c:a", "eac3")),
        "mp2": ("ts", ("-c:a", "mp2")),
        "pcm-u8": ("mkv", ("-c:a", "pcm_u8")),
        "pcm-s16be": ("mov", ("-c:a", "pcm_s16be")),
        "pcm-s24": ("mov", ("-c:a", "pcm_s24le")),
        "pcm-f32": ("mkv", ("-c:a", "pcm_f32le")),
        "pcm-f64": ("mkv", ("-c:a", "pcm_f64le")),
        "alaw": ("mkv", ("-c:a", "pcm_alaw", "-ar", "8000")),
        "mulaw": ("mov", ("-c:a", "pcm_mulaw", "-ar", "8000")),
        "adpcm": ("mov", ("-c:a", "adpcm_ima_qt")),
        "adpcm-ms": ("mkv", ("-c:a", "adpcm_ms")),
        "wavpack": ("mkv", ("-c:a", "wavpack")),
        "tta": ("mkv", ("-c:a", "tta")),
    }
    for name, (ext, codec) in codecs.items():
        yield Clip(name=f"codec-{name}", group=group, ext=ext, audio=codec)
    yield Clip(
        name="gap-in-sound",
        group=group,
        ext="mkv",
        frames=40,
        audio=(*PCM, "-af", "aselect='not(between(t,0.3,0.5))'"),
        beeps=(0.1, 0.7, 1.2),
    )


def attachments() -> Iterator[Clip]:
    """Covers, subtitles, time codes and data."""
    group = "beside the picture"
    cover = ("-f", "lavfi", "-i", "color=red:s=640x640:d=0.04:r=25")
    for ext, codec in (("mp3", ("-c:a", "libmp3lame")), ("m4a", ("-c:a", "aac")), ("flac", ("-c:a", "flac"))):
        yield Clip(
            name=f"song-with-cover-{ext}",
            group=group,
            ext=ext,
            video=("-c:v", "mjpeg" if ext != "flac" else "png"),
            pixel_format="yuvj420p" if ext != "flac" else "rgb24",
            audio=codec,
            inputs=cover,
            maps=("-map", "2:v", "-map", "1:a"),
            mux=("-disposition:v", "attached_pic"),
            refused="only picture is a cover",
        )
    yield Clip(
        name="song-alone", group=group, ext="m4a", maps=("-map", "1:a"), video=(), refused="no video stream"
    )
    for ext in ("mp4", "mov"):
        yield Clip(
            name=f"cover-behind-video-{ext}",
            group=group,
            ext=ext,
            inputs=cover,
            maps=("-map", "0:v", "-map", "1:a", "-map", "2:v"),
            video=("-c:v:0", "libx264", "-crf", "10", "-c:v:1", "mjpeg", "-disposition:v:1", "attached_pic"),
            check_colour=False,  # one filter chain for both pictures leaves the cover's format to chance
        )
    subtitles = ("-f", "srt", "-i", "{folder}/words.srt")
    for ext, codec in (("mp4", "mov_text"), ("mkv", "srt"), ("webm", "webvtt")):
        webm = ext == "webm"
        yield Clip(
            name=f"subtitles-{ext}",
            group=group,
            ext=ext,
            video=("-c:v", "libvpx", "-b:v", "3M", "-crf", "6", "-cpu-used", "8") if webm else H264,
            audio=OPUS if webm else ("-c:a", "aac"),
            inputs=subtitles,
            maps=("-map", "0:v", "-map", "1:a", "-map", "2:s"),
            mux=("-c:s", codec),
            extra={"words.srt": "1\n00:00:00,000 --> 00:00:00,600\nHello\n"},
        )
    for ext in ("mov", "mp4"):
        yield Clip(name=f"time-code-{ext}", group=group, ext=ext, mux=("-timecode", "01:02:03:04"))
    chapters = ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=one\n"
    for ext in ("mp4", "mkv"):
        yield Clip(
            name=f"chapters-{ext}",
            group=group,
            ext=ext,
            inputs=("-f", "ffmetadata", "-i", "{folder}/chapters.txt"),
            mux=("-map_metadata", "2"),
            extra={"chapters.txt": chapters},
        )
    yield Clip(
        name="a-file-in-the-file-mkv",
        group=group,
        ext="mkv",
        mux=("-attach", "{folder}/words.txt", "-metadata:s:t", "mimetype=text/plain"),
        extra={"words.txt": "hello"},
    )


def damaged() -> Iterator[Clip]:
    """What a disk, a network or a careless tool does."""
    group = "damage"
    kinds = {
        "mp4": (H264, ("-movflags", "+faststart")),
        "mkv": (H264, ()),
        "ts": (H264, ()),
        "avi": (MPEG4, ()),
        "mpg": (MPEG2, ()),
        "flv": (H264, ()),
    }
    for ext, (video, mux) in kinds.items():
        base = {"group": group, "ext": ext, "video": (*video, "-g", "5"), "mux": mux, "frames": 40}
        base["audio"] = ("-c:a", "mp2") if ext == "mpg" else ("-c:a", "aac")
        base["part"], base["may_refuse"] = 0.85, True
        base["tracks"] = 0 if ext == "avi" else 1  # beside sound, ffmpeg's AVI starts a frame late
        for tenth in range(1, 10):
            yield Clip(name=f"cut-at-{tenth}0-{ext}", spoil=damage.Truncated(tenth / 10), **base)  # type: ignore[arg-type]  # its values are of many types
        for seed in range(3):
            yield Clip(
                name=f"flipped-{ext}-{seed}",
                spoil=damage.Flipped(12, spared=0.2),
                seed=seed,
                **{**base, "part": 0.6},  # type: ignore[arg-type]  # its values are of many types
            )
        yield Clip(name=f"blank-start-{ext}", spoil=damage.Blanked(0, 0.03), **{**base, "part": 0.6})  # type: ignore[arg-type]  # its values are of many types
        yield Clip(name=f"blank-middle-{ext}", spoil=damage.Blanked(0.45, 0.55), **{**base, "part": 0.6})  # type: ignore[arg-type]  # its values are of many types
    for box in (b"moov", b"trak", b"stco", b"stsd", b"avcC", b"stts", b"mvhd"):
        yield Clip(
            name=f"without-{box.decode()}",
            group=group,
            spoil=damage.WithoutBox(box),
            tracks=0,
            may_refuse=True,
            part=0.5,
        )
    yield Clip(name="no-track-mp4", group=group, maps=("-map", "1:a"), video=(), refused="no video stream")
    for name, content in {
        "empty": b"",
        "one-byte": b"\0",
        "text": b"this is not a video, however it is called\n" * 40,
        "zeros": bytes(4096),
        "header-alone": b"\0\0\0\x18ftypisom\0\0\2\0isomiso2",
        "web-page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>" * 9,
        "archive": b"PK\x03\x04" + bytes(2000),
    }.items():
        yield Clip(name=name, group=group, spoil=damage.Replaced(content), refused=r"\w{4}")
