"""The torture set: every case by name. Each is a clip and what must come of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import damage
from clip import H264, Clip

FFV1 = ("-c:v", "ffv1", "-level", "3")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "10", "-x265-params", "log-level=none:pools=none")
VP8 = ("-c:v", "libvpx", "-crf", "6", "-b:v", "3M", "-cpu-used", "8", "-deadline", "realtime")
VP9 = ("-c:v", "libvpx-vp9", "-crf", "8", "-b:v", "0", "-cpu-used", "8", "-deadline", "realtime")
AV1 = ("-c:v", "libsvtav1", "-crf", "12", "-preset", "12")
MPEG4 = ("-c:v", "mpeg4", "-q:v", "2")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "2")
MJPEG = ("-c:v", "mjpeg", "-q:v", "2")
PRORES = ("-c:v", "prores_ks", "-profile:v", "2")
OPUS, VORBIS, MP3 = ("-c:a", "libopus"), ("-c:a", "libvorbis", "-q:a", "5"), ("-c:a", "libmp3lame")
PCM, MP2 = ("-c:a", "pcm_s16le"), ("-c:a", "mp2")
FRAGMENTED = ("-movflags", "frag_keyframe+empty_moov+default_base_moof")


def containers() -> Iterator[Clip]:
    """Codecs in containers."""
    table = {
        "mp4": {"h264": H264, "hevc": HEVC, "av1": AV1, "vp9": VP9, "mpeg4": MPEG4, "mpeg2": MPEG2},
        "mov": {"h264": H264, "hevc": HEVC, "mpeg4": MPEG4, "mjpeg": MJPEG, "prores": PRORES},
        "mkv": {"h264": H264, "hevc": HEVC, "vp8": VP8, "vp9": VP9, "av1": AV1, "mpeg4": MPEG4}
        | {"mpeg2": MPEG2, "mjpeg": MJPEG, "prores": PRORES, "ffv1": FFV1},
        "webm": {"vp8": VP8, "vp9": VP9, "av1": AV1},
        "avi": {"h264": H264, "mpeg4": MPEG4, "mjpeg": MJPEG, "ffv1": FFV1, "mpeg2": MPEG2},
        "ts": {"h264": H264, "hevc": HEVC, "mpeg2": MPEG2, "mpeg4": MPEG4},
        "ogg": {"theora": ("-c:v", "libtheora", "-q:v", "10"), "vp8": VP8},
        "flv": {"h264": H264, "flv1": ("-c:v", "flv", "-q:v", "2")},
        "mpg": {"mpeg2": MPEG2, "mpeg1": ("-c:v", "mpeg1video", "-q:v", "2")},
        "3gp": {"h264": H264, "mpeg4": MPEG4},
        "asf": {"wmv2": ("-c:v", "wmv2", "-q:v", "2")},
        "nut": {"h264": H264},
    }
    sounds = {
        "webm": OPUS,
        "ogg": VORBIS,
        "avi": MP3,
        "ts": ("-c:a", "aac"),
        "mpg": MP2,
        "asf": ("-c:a", "wmav2"),
    }
    pictures = {"prores": "yuv422p10le", "mjpeg": "yuvj420p"}
    for container, codecs in table.items():
        for codec, video in codecs.items():
            # AVI has no times of its own: MP3's first packet is decoder delay there.
            sound = {"tracks": 0} if container in {"avi", "asf"} else {}
            yield Clip(
                name=f"{container}-{codec}",
                group="containers and codecs",
                ext=container,
                video=(*video, *(("-strict", "unofficial") if codec == "mjpeg" else ())),
                pixel_format=pictures.get(codec, "yuv420p"),
                audio=sounds.get(container, ("-c:a", "aac", "-b:a", "128k")),
                colour=("smpte170m", "pc", "bt470bg", "smpte170m") if codec == "mjpeg" else None,
                **sound,  # type: ignore[arg-type]  # its values are of many types
            )
    group = "containers and codecs"
    for codec, video in {"h264": H264, "hevc": HEVC, "av1": AV1, "vp9": VP9}.items():
        # Without B-frames ffmpeg writes the first fragment's times wrong where there is sound.
        tracks = 1 if codec in {"h264", "hevc"} else 0
        yield Clip(name=f"fragmented-{codec}", group=group, video=video, mux=FRAGMENTED, tracks=tracks)
    for codec, video in {"h264": H264, "hevc": HEVC}.items():
        for form in ("separate_moof", "dash", "faststart", "negative_cts_offsets"):
            yield Clip(name=f"mp4-{form}-{codec}", group=group, video=video, mux=("-movflags", form))
    for codec, video in {"mpeg4": MPEG4, "mjpeg": MJPEG}.items():
        yield Clip(
            name=f"avi-without-index-{codec}",
            group=group,
            ext="avi",
            video=(*video, "-strict", "unofficial"),
            tracks=0,
            spoil=damage.without_index,
        )
    raw = {"h264": H264, "hevc": HEVC, "ivf": VP9, "m2v": MPEG2, "mjpeg": MJPEG, "obu": AV1}
    for ext, video in raw.items():
        jpeg = ext == "mjpeg"
        yield Clip(
            name=f"raw-{ext}",
            group=group,
            ext=ext,
            video=(*video, "-strict", "unofficial"),
            tracks=0,
            pixel_format="yuvj420p" if jpeg else "yuv420p",
            colour=("smpte170m", "pc", "bt470bg", "smpte170m") if jpeg else None,
        )
    yield Clip(
        name="gif",
        group=group,
        ext="gif",
        video=("-c:v", "gif"),
        pixel_format="rgb24",
        filters=("split[a][b];[a]palettegen=reserve_transparent=0[p];[b][p]paletteuse=dither=none",),
        tracks=0,
        check_colour=False,  # 256 colours; the reference reads it like us, the palette rounds
    )


def formats() -> Iterator[Clip]:
    """Profiles, depths and samplings."""
    group = "profiles and pixel formats"
    for profile, form in {
        "baseline": "yuv420p",
        "main": "yuv420p",
        "high": "yuv420p",
        "high10": "yuv420p10le",
        "high422": "yuv422p",
        "high422-10": "yuv422p10le",
        "high444": "yuv444p",
        "high444-10": "yuv444p10le",
        "gray": "gray",
        "full": "yuvj420p",
    }.items():
        yield Clip(name=f"h264-{profile}", group=group, pixel_format=form, video=_profile(profile))
    yield Clip(name="h264-lossless", group=group, video=("-c:v", "libx264", "-qp", "0"))
    yield Clip(
        name="h264-rgb",
        group=group,
        video=("-c:v", "libx264rgb", "-crf", "8"),
        pixel_format="rgb24",
        colour=("gbr", "pc", "bt709", "iec61966-2-1"),
        extra={"matrix_tag": "rgb"},
    )
    yield Clip(name="h264-intra", group=group, video=(*H264, "-g", "1"))
    yield Clip(name="h264-sliced", group=group, video=(*H264, "-slices", "4"))
    yield Clip(name="h264-cavlc", group=group, video=(*H264, "-coder", "0"))
    for form in ("yuv420p", "yuv420p10le", "yuv422p10le", "yuv444p", "yuv444p10le", "gray", "yuv420p12le"):
        yield Clip(name=f"hevc-{form}", group=group, video=HEVC, pixel_format=form)
    for form in ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p10le"):
        yield Clip(name=f"vp9-{form}", group=group, ext="mkv", video=VP9, pixel_format=form)
    for codec, video in {"vp8": VP8, "vp9": VP9}.items():
        yield Clip(
            name=f"{codec}-alpha",
            group=group,
            ext="webm",
            video=(*video, "-auto-alt-ref", "0"),
            pixel_format="yuva420p",
            audio=OPUS,
        )
    yield Clip(name="av1-10bit", group=group, video=AV1, pixel_format="yuv420p10le")
    for number, kind in enumerate(("proxy", "lt", "standard", "hq")):
        video = ("-c:v", "prores_ks", "-profile:v", str(number))
        yield Clip(name=f"prores-{kind}", group=group, ext="mov", video=video, pixel_format="yuv422p10le")
    for form in ("yuv444p10le", "yuva444p10le"):
        video = ("-c:v", "prores_ks", "-profile:v", "4")
        yield Clip(name=f"prores-4444-{form}", group=group, ext="mov", video=video, pixel_format=form)
    lossless = "yuv420p yuv422p yuv444p yuv411p yuv410p yuv420p10le yuv420p12le yuv420p16le yuv422p10le"
    lossless += " yuv444p16le gray gray10le gray16le yuva420p yuva444p gbrp gbrp10le gbrp16le bgr0 bgra"
    for form in lossless.split():
        rgb = form.startswith(("gbr", "bgr"))
        yield Clip(
            name=f"ffv1-{form}",
            group=group,
            ext="mkv",
            video=FFV1,
            pixel_format=form,
            audio=PCM,
            colour=("gbr", "pc", "bt709", "iec61966-2-1") if rgb else None,
            extra={"matrix_tag": "rgb"} if rgb else {},
        )
    for form in ("yuv420p", "yuyv422", "uyvy422", "nv12", "rgb24", "bgr24", "yuv444p"):
        if form != "yuv444p":
            raw = ("-c:v", "rawvideo")
            yield Clip(name=f"raw-{form}", group=group, ext="nut", video=raw, pixel_format=form, audio=PCM)
    for codec in ("png", "qtrle", "huffyuv", "ffvhuff", "utvideo", "dvvideo", "dnxhd"):
        known = {
            "png": ("mov", "rgb24", ()),
            "qtrle": ("mov", "rgb24", ()),
            "huffyuv": ("avi", "yuv422p", ()),
            "ffvhuff": ("avi", "yuv420p", ()),
            "utvideo": ("avi", "yuv422p", ("-pred", "left")),
            "dvvideo": ("avi", "yuv420p", ()),
            "dnxhd": ("mov", "yuv422p", ("-profile:v", "dnxhr_hq")),
        }[codec]
        size = (720, 576) if codec == "dvvideo" else (256, 128)
        video = ("-c:v", codec, *known[2])
        rgb = known[1] == "rgb24"
        yield Clip(
            name=codec,
            group=group,
            ext=known[0],
            size=size,
            frames=8,
            video=video,
            pixel_format=known[1],
            tracks=0,
            aspect=Fraction(16, 15) * Fraction(720, 576) if codec == "dvvideo" else None,
            mux=("-aspect", "4:3") if codec == "dvvideo" else (),
            check_colour=codec != "dvvideo",  # its reference decode is tagged otherwise than what we read
            colour=("gbr", "pc", "bt709", "iec61966-2-1") if rgb else None,
            extra={"matrix_tag": "rgb"} if rgb else {},
        )


def _profile(profile: str) -> tuple[str, ...]:
    return (*H264, "-profile:v", profile) if profile in {"baseline", "main", "high"} else H264


def sizes() -> Iterator[Clip]:
    """Small, large, odd, portrait, and changing on the way."""
    group = "sizes"
    plain = [(16, 16), (18, 16), (32, 64), (64, 48), (128, 256), (640, 360), (480, 854), (1920, 1080)]
    plain += [(1080, 1920), (2048, 64), (64, 2048), (4096, 64), (64, 4096), (3840, 2160), (1998, 1080)]
    for size in plain:
        large = size[0] * size[1] > 400_000
        frames = 4 if large else 20
        beeps = (0.04,) if large else (0.2, 0.6)
        yield Clip(name=f"{size[0]}x{size[1]}", group=group, size=size, frames=frames, beeps=beeps)
    for size in [(35, 33), (33, 65), (97, 65), (161, 128), (160, 129), (355, 201), (101, 1001)]:
        yield Clip(name=f"odd-{size[0]}x{size[1]}", group=group, size=size, ext="mkv", video=FFV1)
    for size in [(97, 65), (161, 129)]:
        video = (*H264, "-profile:v", "high444")
        yield Clip(
            name=f"odd-h264-444-{size[0]}x{size[1]}",
            group=group,
            size=size,
            video=video,
            pixel_format="yuv444p",
        )
    for ext, codec, video in (("h264", "h264", H264), ("ts", "h264", H264), ("m2v", "mpeg2", MPEG2)):
        for other in ((80, 64), (320, 256)):  # of the same shape: another one stands between bars
            yield Clip(
                name=f"changing-{ext}-{codec}-to-{other[0]}x{other[1]}",
                group=group,
                ext=ext,
                video=video,
                frames=10,
                tracks=0,
                # Both libav's MPEG-2 decoders, old and new, lose the last picture before a new size.
                numbers=(*range(9 if codec == "mpeg2" else 10), *range(10)),
                check_colour=False,
                spoil=damage.Appended(size=other),
                # Concatenated streams start their clock again: the second half follows on the first.
                times=tuple(index / 25 for index in range(20) if codec != "mpeg2" or index != 9),
            )


def orientations() -> Iterator[Clip]:
    """The eight that are quarter turns and mirrors; and what is not one of them."""
    group = "display matrices"
    undone = {
        (1, 0, 0, 1): ("upright", ()),
        (0, 1, -1, 0): ("turned-90", ("transpose=cclock",)),
        (-1, 0, 0, -1): ("turned-180", ("hflip", "vflip")),
        (0, -1, 1, 0): ("turned-270", ("transpose=clock",)),
        (-1, 0, 0, 1): ("mirrored", ("hflip",)),
        (1, 0, 0, -1): ("upside-down", ("vflip",)),
        (0, 1, 1, 0): ("transposed", ("transpose=cclock_flip",)),
        (0, -1, -1, 0): ("antitransposed", ("transpose=clock_flip",)),
    }
    for matrix, (name, filters) in undone.items():
        for ext, size in (("mp4", (160, 128)), ("mov", (128, 256)), ("mp4", (200, 128))):
            yield Clip(
                name=f"{name}-{ext}-{size[0]}x{size[1]}",
                group=group,
                ext=ext,
                size=size,
                matrix=matrix,
                filters=filters,
            )
        yield Clip(
            name=f"{name}-444",
            group=group,
            matrix=matrix,
            filters=filters,
            pixel_format="yuv444p",
            video=H264,
        )
    yield Clip(name="matrix-of-zeros", group=group, matrix=(0, 0, 0, 0))
    # An angle is refused, as is a shear and a picture pressed flat.
    yield Clip(
        name="turned-45", group=group, matrix=(0.7071, 0.7071, -0.7071, 0.7071), refused="45.0°.*quarter"
    )
    yield Clip(
        name="turned-10", group=group, matrix=(0.9848, 0.1736, -0.1736, 0.9848), refused="10.0°.*quarter"
    )
    yield Clip(name="slanted", group=group, matrix=(1, 0.5, 0, 1), refused="slants")
    yield Clip(name="flattened", group=group, matrix=(1, 0, 1, 0), refused="flattens")
    for degrees, way in ((90, "clock"), (180, ""), (270, "cclock")):
        turned = (f"transpose={way}",) if way else ("hflip", "vflip")
        bsf = f"h264_metadata=display_orientation=insert:rotate={degrees}"
        yield Clip(name=f"h264-message-{degrees}", group=group, filters=turned, remux=("-bsf:v", bsf))
    bsf = "h264_metadata=display_orientation=insert:rotate=0:flip=horizontal"
    yield Clip(name="h264-message-mirrored", group=group, filters=("hflip",), remux=("-bsf:v", bsf))


def aspects() -> Iterator[Clip]:
    """Pixels that are not square."""
    group = "pixel aspects"
    for text in ("4/3", "16/11", "12/11", "10/11", "32/27", "1/2", "2/1", "8/9", "3/4"):
        for ext, video in (("mp4", H264), ("mkv", FFV1)):
            yield Clip(
                name=f"sar-{text.replace('/', 'x')}-{ext}",
                group=group,
                ext=ext,
                video=video,
                filters=(f"setsar={text}",),
                aspect=Fraction(160, 128) * Fraction(text),
            )
    yield Clip(
        name="sar-and-turned",
        group=group,
        filters=("transpose=cclock", "setsar=4/3"),
        size=(128, 160),
        matrix=(0, 1, -1, 0),
        aspect=Fraction(128, 160) * Fraction(3, 4),
    )
    yield Clip(name="sar-100", group=group, filters=("setsar=100/1",), aspect=Fraction(160, 128))


def colours() -> Iterator[Clip]:
    """Matrices, ranges, depths; HDR; what cannot be converted."""
    group = "colours"
    known = {
        "bt601-625": ("bt470bg", "bt470bg", "gamma28"),
        "bt601-525": ("smpte170m", "smpte170m", "smpte170m"),
        "bt709": ("bt709", "bt709", "bt709"),
        "bt2020": ("bt2020nc", "bt2020", "bt2020-10"),
        "smpte240m": ("smpte240m", "smpte240m", "smpte240m"),
        "fcc": ("fcc", "bt470m", "gamma22"),
    }
    for name, (matrix, primaries, transfer) in known.items():
        for levels in ("tv", "pc"):
            for form in ("yuv420p", "yuv444p", "yuv420p10le", "yuv422p10le"):
                if name == "fcc":
                    primaries = "smpte170m"  # noqa: PLW2901  (its own are wide, and the reference ignores them)
                yield Clip(
                    name=f"{name}-{levels}-{form}",
                    group=group,
                    colour=(matrix, levels, primaries, transfer),
                    pixel_format=form,
                )
    for transfer in ("smpte2084", "arib-std-b67"):
        for form in ("yuv420p10le", "yuv444p10le", "yuv420p12le"):
            for levels in ("tv", "pc"):
                yield Clip(
                    name=f"{transfer}-{form}-{levels}",
                    group=group,
                    colour=("bt2020nc", levels, "bt2020", transfer),
                    pixel_format=form,
                    video=HEVC,
                )
    for primaries in ("smpte432", "smpte431"):
        yield Clip(
            name=f"p3-{primaries}",
            group=group,
            colour=("bt709", "tv", primaries, "bt709"),
            check_colour=primaries == "smpte432",  # whites are adapted otherwise than by the reference
        )
    for tag, word in (("ycgco", "YCgCo"), ("bt2020c", "constant luminance"), ("ictcp", "ICtCp")):
        yield Clip(
            name=f"refused-{tag}",
            group=group,
            colour=("bt709", "tv", "bt709", "bt709"),
            extra={"matrix_tag": tag},
            refused=word,
        )
    for transfer, word in (("linear", "linear light"), ("log100", "logarithmic"), ("smpte428", "428-1")):
        yield Clip(
            name=f"refused-{transfer}", group=group, colour=("bt709", "tv", "bt709", transfer), refused=word
        )
    for transfer in ("iec61966-2-1", "gamma22", "iec61966-2-4", "bt1361e"):
        yield Clip(name=f"kept-{transfer}", group=group, colour=("bt709", "tv", "bt709", transfer))


def interlaced() -> Iterator[Clip]:
    """Both orders."""
    group = "interlaced"
    for order, fields in (("tff", "tb"), ("bff", "bt")):
        flags = ("-flags", "+ildct+ilme", "-top", "1" if order == "tff" else "0")
        for ext, codec, video in (
            ("mpg", "mpeg2", (*MPEG2, *flags)),
            ("ts", "mpeg2", (*MPEG2, *flags)),
            ("mp4", "h264", (*H264, *flags, "-x264-params", f"{order}=1")),
            ("mkv", "h264", (*H264, *flags, "-x264-params", f"{order}=1")),
            ("mov", "prores", (*PRORES, "-flags", "+ildct", "-field_order", fields)),
        ):
            yield Clip(
                name=f"{codec}-{ext}-{order}",
                group=group,
                ext=ext,
                video=video,
                audio=MP2 if ext == "mpg" else ("-c:a", "aac"),
                pixel_format="yuv422p10le" if codec == "prores" else "yuv420p",
                filters=(f"setfield={order}",),
                extra={"interlaced": "yes"},
            )


def variants() -> list[Clip]:
    """Every case."""
    from cases_further import broken_off, changes, edits, fields, rarities, sounds, wide_colours
    from cases_odd import beginnings, joined, notes, tricks
    from cases_time import attachments, audio, damaged, rates

    makers = (containers, formats, sizes, orientations, aspects, colours, interlaced, rates, audio)
    makers += (attachments, damaged, joined, beginnings, notes, tricks)
    makers += (rarities, fields, edits, sounds, changes, wide_colours, broken_off)
    found = [clip for maker in makers for clip in maker()]
    named = [replace(clip, name=f"{clip.group.split()[0]}-{clip.name}") for clip in found]
    names = [clip.name for clip in named]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"two cases of one name: {', '.join(sorted(twice))}")
    return named
