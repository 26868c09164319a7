"""Which channels a sound track holds, and how they become the two of every output."""

from __future__ import annotations

import re

from av.audio.stream import AudioStream

# As libav orders them; a track may hold them in another order, which its container has to say.
ORDER: tuple[str, ...] = ("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR")
ORDER += ("TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR")
NAMED = re.compile(r"(\d+) channels \((.+)\)")


def channel_names(stream: AudioStream) -> tuple[str, ...]:
    """Return the names of a track's channels where they lie in an order of its own; empty if not.

    From then on the track counts as so many channels without names, and each of its decoded frames as well:
    PyAV frees a list of names twice, once with the frame and once with the layout it read from it, which ends
    the process. QuickTime files hold such lists (PCM of eight channels, DV with unused ones). So call it
    once, before anything is decoded, instead of reading the layout.
    """
    context = stream.codec_context
    if context is None:  # of an unknown codec
        return ()
    layout = context.layout
    found = NAMED.fullmatch(layout.name)
    if found is None:
        return ()
    context.layout = f"{found[1]} channels"  # in place of the list, which goes with `layout`
    return tuple(found[2].split("+"))


def ways_to_stereo(layout: str, names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return filters that put channels where a mixer finds them, the best way first: it may refuse some.

    Args:
        layout: Of the decoded frames, as libav names it.
        names: Of the channels, if the container gives them an order of its own.
    """
    ways: list[tuple[str, ...]] = [()]
    if layout == f"{len(names)} channels" and len(set(names)) == len(names) and set(names) <= set(ORDER):
        places = "|".join(f"{index}-{name}" for index, name in enumerate(names))
        ordered = "+".join(sorted(names, key=ORDER.index))
        ways.insert(0, (f"channelmap=map={places}:channel_layout={ordered}",))
    # What no mixer knows: the first two, as recorders of many tracks number them.
    single = layout in {"mono", "1 channels"} or layout.startswith("1 channels (")
    ways.append((f"pan=stereo|c0=c0|c1=c{0 if single else 1}",))
    return ways
