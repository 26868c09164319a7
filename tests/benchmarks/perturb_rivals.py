"""What `perturb_speed.py` compares with, as commands: the ffmpeg program's filters and AugLy's transforms.

Run by another Python (`perturb_rivals.py CLIP OUTPUT KIND`), it does one AugLy transform and prints its cost.
That Python needs `augly` and `vidgear==0.2.6`; for torch and torchaudio, which AugLy imports and its video
transforms never use, a stand-in is put in their place.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

# At severity 3, for a 1920x1080 video: what our operations do, as the ffmpeg program can say it. Kinds that
# are libavfilter filters themselves are compared with the same filter and are not listed.
FFMPEG_FILTERS = {
    "rotation": "rotate=15*PI/180:fillcolor=black",
    "perspective": "perspective=x0=100:y0=60:x1=1800:y1=40:x2=80:y2=1000:x3=1850:y3=1040",
    "vignette": "vignette=PI/4",
    "sharpening": "unsharp=5:5:2.0:5:5:0",
    "motion_blur": "avgblur=sizeX=10:sizeY=1",
    "pixelation": "pixelize=w=14:h=14",
    "frame_blending": "tmix=frames=3",
    "letterbox": "drawbox=x=0:y=0:w=iw:h=140:color=black:t=fill,"
    "drawbox=x=0:y=ih-140:w=iw:h=140:color=black:t=fill",
    "text_resting": "drawtext=text='amber basin':fontsize=76:x=300:y=200,"
    "drawtext=text='cedar delta':fontsize=76:x=900:y=500,drawtext=text='river':fontsize=76:x=100:y=800",
    "text_drifting": "drawtext=text='amber basin':fontsize=76:x='mod(t*400,w)':y=200,"
    "drawtext=text='cedar delta':fontsize=76:x='mod(t*300,w)':y=500,"
    "drawtext=text='river':fontsize=76:x=100:y='mod(t*200,h)'",
    "picture_in_picture": "split[a][b];[b]scale=iw*0.26:ih*0.26[c];[a][c]overlay=30:30",
}


def transforms() -> dict[str, Callable[[Any, str, str], Any]]:
    """AugLy's transforms, with our severity 3 or the nearest it has. `video` is the module `augly.video`."""
    return {
        "gaussian_blur": lambda video, clip, out: video.blur(clip, out, sigma=5.25),
        "brighter": lambda video, clip, out: video.brightness(clip, out, level=0.18),
        "less_contrast": lambda video, clip, out: video.contrast(clip, out, level=0.6),
        "frame_rate": lambda video, clip, out: video.fps(clip, out, fps=12),
        "grayscale": lambda video, clip, out: video.grayscale(clip, out),
        "horizontal_flip": lambda video, clip, out: video.hflip(clip, out),
        "vertical_flip": lambda video, clip, out: video.vflip(clip, out),
        "audio_removal": lambda video, clip, out: video.remove_audio(clip, out),
        "noise": lambda video, clip, out: video.add_noise(clip, out, level=26),
        "encoding_quality": lambda video, clip, out: video.encoding_quality(clip, out, quality=37),
        "resolution": lambda video, clip, out: video.scale(clip, out, factor=0.45),
        "rotation": lambda video, clip, out: video.rotate(clip, out, degrees=15),
        "pixelation": lambda video, clip, out: video.pixelization(clip, out, ratio=0.08),
        "crop": lambda video, clip, out: video.crop(clip, out, left=0.1, top=0.1, right=0.9, bottom=0.9),
        "aspect_ratio": lambda video, clip, out: video.change_aspect_ratio(clip, out, ratio=1.28),
        "faster": lambda video, clip, out: video.change_video_speed(clip, out, factor=1.45),
        "text_jumping": lambda video, clip, out: video.overlay_text(clip, out, random_movement=True),
        "text_drifting": lambda video, clip, out: video.overlay_text(
            clip, out, random_movement=False, topleft=(0.1, 0.1), bottomright=(0.9, 0.5)
        ),
        "dots_jumping": lambda video, clip, out: video.overlay_dots(clip, out, num_dots=120),
        "shapes_jumping": lambda video, clip, out: video.overlay_shapes(clip, out, num_shapes=3),
        "images_resting": lambda video, clip, out: video.overlay_emoji(clip, out),
        "three": lambda video, clip, out: video.Compose(
            [video.Blur(sigma=5.25), video.Brightness(level=0.18), video.AddNoise(level=26)]
        )(clip, out),
    }


def main() -> None:
    from unittest.mock import MagicMock

    for name in ("torch", "torchaudio", "torchaudio.sox_effects", "torchaudio.transforms"):
        sys.modules[name] = MagicMock()
    from augly import video  # type: ignore[import-not-found]  # lives in the other Python only

    clip, output, kind = sys.argv[1:]
    wall, before = time.monotonic(), _cpu()
    transforms()[kind](video, clip, output)
    cost = {"wall_seconds": time.monotonic() - wall, "cpu_seconds": _cpu() - before}
    sys.stdout.write("\nRESULT " + json.dumps(cost) + "\n")


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(item.ru_utime + item.ru_stime for item in used)


if __name__ == "__main__":
    main()
