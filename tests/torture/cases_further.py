"""The torture set, continued: rarer codecs and sounds, fields, edits, and streams that change on the way."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import damage
from clip import H264, Clip
from field_pictures import FieldCoded

AAC, PCM, FLAC = ("-c:a", "aac", "-b:a", "128k"), ("-c:a", "pcm_s16le"), ("-c:a", "flac")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "10", "-x265-params", "log-level=none:pools=none")
VP8 = ("-c:v", "libvpx", "-crf", "6", "-b:v", "3M", "-cpu-used", "8", "-deadline", "realtime")
VP9 = ("-c:v", "libvpx-vp9", "-crf", "8", "-b:v", "0", "-cpu-used", "8", "-deadline", "realtime")
AV1 = ("-c:v", "libsvtav1", "-crf", "12", "-preset", "12")
RGB, BT709 = ("gbr", "pc", "bt709", "iec61966-2-1"), ("bt709", "tv", "bt709", "bt709")
UNCODED = ("-c:v", "rawvideo", "-f", "rawvideo")


def rarities() -> Iterator[Clip]:
    """Codecs of old cameras, editing programs and screen recorders."""
    group = "containers and codecs"
    table = {
        "h263": ("3gp", "yuv420p", (176, 144), ("-q:v", "2")),
        "msmpeg4": ("avi", "yuv420p", (160, 128), ("-q:v", "2")),
        "wmv1": ("asf", "yuv420p", (160, 128), ("-q:v", "2")),
        "rv20": ("rm", "yuv420p", (160, 128), ("-q:v", "2")),
        "svq1": ("mov", "yuv410p", (160, 128), ("-q:v", "2")),
        "jpeg2000": ("mov", "yuv420p", (160, 128), ("-q:v", "2")),
        "cfhd": ("mov", "yuv422p10le", (160, 128), ()),
        "v210": ("mov", "yuv422p10le", (192, 128), ()),
        "vc2": ("mkv", "yuv422p", (160, 128), ()),
        "magicyuv": ("avi", "yuv444p", (160, 128), ()),
        "cinepak": ("avi", "rgb24", (160, 128), ("-q:v", "2")),
        "flashsv": ("flv", "bgr24", (160, 128), ()),
        "zmbv": ("avi", "bgr0", (160, 128), ()),
    }
    for codec, (ext, form, size, options) in table.items():
        rgb = form in {"rgb24", "bgr24", "bgr0"}
        yield Clip(
            name=f"rare-{codec}",
            group=group,
            ext=ext,
            size=size,
            frames=10,
            video=("-c:v", codec, *options),
            pixel_format=form,
            tracks=0,
            # VC-2's encoder says BT.709 whatever it is told.
            colour=RGB if rgb else BT709 if codec == "vc2" else None,
            extra={"matrix_tag": "rgb"} if rgb else {},
            aspect=Fraction(4, 3) if codec == "h263" else None,  # its pixels are 12:11
        )


def fields() -> Iterator[Clip]:
    """Pictures that are coded as two fields, and camcorders' DV."""
    group = "interlaced"
    for order in ("tff", "bff"):
        for ext, container in (("h264", "h264"), ("ts", "mpegts"), ("mp4", "mp4"), ("mkv", "matroska")):
            for mixed in (False, True):
                yield Clip(
                    name=f"h264-fields-{'mixed-' * mixed}{ext}-{order}",
                    group=group,
                    ext=ext,
                    video=UNCODED,
                    tracks=0,
                    spoil=FieldCoded(
                        size=(160, 128), top_first=order == "tff", mixed=mixed, container=container
                    ),
                    extra={"interlaced": "yes"},
                )
        for ext in ("avi", "mp4"):
            top = "1" if order == "tff" else "0"
            yield Clip(
                name=f"mpeg4-{ext}-{order}",
                group=group,
                ext=ext,
                video=("-c:v", "mpeg4", "-q:v", "2", "-flags", "+ildct+ilme", "-top", top),
                tracks=0 if ext == "avi" else 1,
                filters=(f"setfield={order}",),
                extra={"interlaced": "yes"},
            )
    for ext in ("dv", "mov"):
        yield Clip(
            name=f"dv-{ext}",
            group=group,
            ext=ext,
            size=(720, 576),
            frames=8,
            video=("-c:v", "dvvideo"),
            filters=("setdar=4/3", "setfield=bff"),
            tracks=0,
            aspect=Fraction(4, 3),
            check_colour=False,  # the reference reads its tags otherwise
            extra={"interlaced": "yes"},
        )


def edits() -> Iterator[Clip]:
    """Edit lists of several parts: what an editing program saves without coding again."""
    group = "frame rates and clocks"
    for name, parts, numbers in (
        ("leaves-out-the-middle", ((0, 0.32), (0.48, 0.32)), (*range(8), *range(12, 20))),
        ("plays-twice", ((0, 0.4), (0, 0.4)), (*range(10), *range(10))),
        ("later-part-first", ((0.4, 0.4), (0, 0.4)), (*range(10, 20), *range(10))),
    ):
        for ext, video in (("mp4", (*H264, "-g", "4", "-bf", "0")), ("mov", (*HEVC, "-bf", "0"))):
            yield Clip(
                name=f"edit-list-{name}-{ext}",
                group=group,
                ext=ext,
                video=video,
                tracks=0,
                numbers=numbers,
                spoil=damage.Edits(parts),
            )


def sounds() -> Iterator[Clip]:
    """Many channels with the tone in one of them, high and low rates, and what else a track may hold."""
    group = "sound"
    truehd, dts = ("-c:a", "truehd", "-strict", "-2"), ("-c:a", "dca", "-strict", "-2")
    opus, eac3 = ("-c:a", "libopus", "-b:a", "256k"), ("-c:a", "eac3")
    for layout, channel, ext, codec in (
        ("7.1", "FC", "mp4", AAC),
        ("7.1", "BL", "mp4", AAC),
        ("7.1", "SR", "mkv", FLAC),
        ("7.1", "BR", "mov", ("-c:a", "pcm_s24le")),
        ("7.1", "SL", "mkv", opus),
        ("7.1(wide)", "FLC", "mkv", PCM),
        ("6.1", "BC", "mkv", FLAC),
        ("6.1", "SL", "mkv", opus),
        ("6.1(back)", "BR", "mkv", PCM),
        ("5.1", "FC", "ts", ("-c:a", "ac3")),
        ("5.1(side)", "SL", "mp4", eac3),
        ("5.1(side)", "SR", "mkv", dts),
        ("5.0", "BL", "mp4", AAC),
        ("4.0", "BC", "mp4", AAC),
        ("octagonal", "BC", "mkv", PCM),
        ("hexadecagonal", "SL", "mkv", PCM),
    ):
        yield Clip(
            name=f"{layout}-{channel}-{ext}-{codec[1]}",
            group=group,
            ext=ext,
            audio=(*codec, "-af", f"pan={layout}|{channel}=c0"),
        )
    for rate, ext, codec in (
        (192_000, "mkv", FLAC),
        (192_000, "mov", ("-c:a", "pcm_s24le")),
        (192_000, "mkv", truehd),
        (384_000, "mkv", PCM),
        (96_000, "mkv", FLAC),
        (96_000, "mov", ("-c:a", "alac")),
        (47_999, "mkv", PCM),
        (8_000, "mkv", PCM),
        (8_000, "mkv", FLAC),
        (7_350, "mp4", AAC),
        (8_000, "mkv", ("-c:a", "libmp3lame")),
        (4_000, "mov", PCM),
    ):
        yield Clip(
            name=f"rate-{rate}-{ext}-{codec[1]}", group=group, ext=ext, audio=(*codec, "-ar", str(rate))
        )
    for name, ext, codec in (
        ("speex", "mkv", ("-c:a", "libspeex", "-ar", "16000")),
        ("nellymoser", "flv", ("-c:a", "nellymoser", "-ar", "22050")),
        ("adpcm-swf", "flv", ("-c:a", "adpcm_swf", "-ar", "22050")),
        ("s302m", "ts", ("-c:a", "s302m", "-strict", "-2", "-ac", "2")),
        ("g722", "mkv", ("-c:a", "g722", "-ar", "16000")),
        ("gsm", "mov", ("-c:a", "libgsm", "-ar", "8000")),
        ("pcm-s32", "mkv", ("-c:a", "pcm_s32le")),
        ("pcm-s16be-planar-source", "mov", ("-c:a", "pcm_s24be")),
    ):
        yield Clip(name=f"codec-{name}", group=group, ext=ext, audio=codec)
    many = "aevalsrc={}:s=48000:d=0.8"
    for count in (3, 4, 5, 7, 9, 10, 12, 20):  # channels that nobody named: some sound in each
        for ext in ("mkv", "mov"):
            wave = "0.6*sin(2*PI*1000*t)*(between(t\\,0.2\\,0.26)+between(t\\,0.6\\,0.66))"
            yield Clip(
                name=f"unnamed-{count}-{ext}",
                group=group,
                ext=ext,
                audio=PCM,
                inputs=("-f", "lavfi", "-i", many.format("|".join([wave] * count))),
                maps=("-map", "0:v", "-map", "2:a"),
            )
    # No free encoder writes HE-AAC. A stream that says it is, and holds no high band, is one all the same:
    # decoders double its rate (ISO/IEC 14496-3, 4.6.18).
    for ext in ("mp4", "mov"):
        yield Clip(
            name=f"he-aac-{ext}",
            group=group,
            ext=ext,
            audio=(*AAC, "-ar", "24000"),
            spoil=damage.Swapped(b"\x56\xe5\x00", b"\x56\xe5\x98"),
        )


def changes() -> Iterator[Clip]:
    """A call that changes its resolution while it is recorded; two programmes; data beside the picture."""
    for ext, codec, video in (
        ("webm", "vp8", VP8),
        ("webm", "vp9", VP9),
        ("mkv", "av1", AV1),
        ("mkv", "h264", H264),
        ("mp4", "h264", H264),
    ):
        for other in ((80, 64), (320, 256)):
            yield Clip(
                name=f"changing-{ext}-{codec}-to-{other[0]}x{other[1]}",
                group="sizes",
                ext=ext,
                video=video,
                frames=10,
                tracks=0,
                numbers=(*range(10), *range(10)),
                check_colour=False,
                spoil=damage.Continued(
                    {"name": "half", "group": "", "ext": ext, "size": other, "frames": 10}
                    | {"video": video, "tracks": 0}
                ),
            )
    beside = "beside the picture"
    note = {"words.txt": "position 52.5 13.4\n" * 20}
    for ext in ("ts", "mov"):
        yield Clip(
            name=f"data-{ext}",
            group=beside,
            ext=ext,
            inputs=("-f", "data", "-i", "{folder}/words.txt"),
            maps=("-map", "0:v", "-map", "1:a", "-map", "2:d"),
            mux=("-c:d", "copy", *(() if ext == "ts" else ("-tag:d", "gpmd"))),
            extra=note,
        )
    yield Clip(
        name="two-programmes-ts",
        group=beside,
        ext="ts",
        inputs=("-f", "lavfi", "-i", "color=red:s=80x64:d=0.8:r=25"),
        maps=("-map", "0:v", "-map", "1:a", "-map", "2:v"),
        mux=("-program", "title=one:st=0:st=1", "-program", "title=two:st=2"),
        check_colour=False,  # the filters of the first picture are the second's, too
    )


def wide_colours() -> Iterator[Clip]:
    """HDR as other codecs carry it, and containers that contradict their streams."""
    group = "colours"
    for name, ext, video, form in (
        ("vp9-webm", "webm", VP9, "yuv420p10le"),
        ("av1-mp4", "mp4", AV1, "yuv420p10le"),
        ("prores-mov", "mov", ("-c:v", "prores_ks", "-profile:v", "3"), "yuv422p10le"),
        ("h264-mp4", "mp4", H264, "yuv420p10le"),
        ("hevc-hvc1-mov", "mov", (*HEVC, "-tag:v", "hvc1"), "yuv420p10le"),
    ):
        for transfer in ("smpte2084", "arib-std-b67"):
            yield Clip(
                name=f"{transfer}-{name}",
                group=group,
                ext=ext,
                video=video,
                pixel_format=form,
                audio=("-c:a", "libopus") if ext == "webm" else AAC,
                colour=("bt2020nc", "tv", "bt2020", transfer),
                # ProRes takes its tags from the pictures.
                filters=(f"setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc",),
            )
    for ext in ("mp4", "mkv"):
        for number, stream, told in ((6, "smpte170m", "bt709"), (1, "bt709", "smpte170m")):
            code = f"colour_primaries={number}:transfer_characteristics={number}:matrix_coefficients={number}"
            yield Clip(
                name=f"stream-says-{stream}-{ext}",
                group=group,
                ext=ext,
                colour=(stream, "tv", told, told),
                extra={"matrix_tag": told},
                remux=("-bsf:v", f"h264_metadata={code}"),
            )


def broken_off() -> Iterator[Clip]:
    """Recordings that were broken off before the first picture, or in containers made to bear it."""
    group = "damage"
    for ext, video in (("mp4", H264), ("mkv", H264), ("webm", VP8), ("avi", H264), ("ts", H264)):
        yield Clip(
            name=f"no-frames-{ext}",
            group=group,
            ext=ext,
            frames=0,
            tracks=0,
            video=video,
            refused="no picture|no video stream|cannot be read",
        )
    frag = ("-movflags", "frag_keyframe+empty_moov+default_base_moof")
    for name, ext, video, sound, mux in (
        ("fragmented", "mp4", (*H264, "-g", "5"), AAC, frag),
        ("webm", "webm", (*VP8, "-g", "5"), ("-c:a", "libopus"), ()),
        ("ogg", "ogg", ("-c:v", "libtheora", "-q:v", "10", "-g", "4"), ("-c:a", "libvorbis"), ()),
        ("mov", "mov", (*H264, "-g", "5"), AAC, ()),
    ):
        for tenth in range(1, 10) if name != "mov" else (5, 9):
            yield Clip(
                name=f"cut-at-{tenth}0-{name}",
                group=group,
                ext=ext,
                video=video,
                audio=sound,
                mux=mux,
                frames=40,
                part=0.85,
                may_refuse=True,
                spoil=damage.Truncated(tenth / 10),
            )
