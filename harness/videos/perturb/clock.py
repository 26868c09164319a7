"""When a decoded picture is to be shown if a file's two clocks disagree."""

from __future__ import annotations

WITHOUT_TIMES = {"avi"}  # containers that store the order of decoding, from which libav guesses times


class Clock:
    """Picks the clock that has been wrong less often: of showing (pts), or of decoding (dts).

    It is the rule of libavcodec's `best_effort_timestamp`, which PyAV does not offer. Of pictures in the
    order of showing, either clock has to rise; each time that it does not, it was wrong.
    """

    def __init__(self, *, order_alone: bool = False) -> None:
        self._order_alone = order_alone
        self._wrong_shown, self._wrong_decoded = int(order_alone), 0
        self._last_shown: int | None = None
        self._last_decoded: int | None = None

    def moment(self, shown: int | None, decoded: int | None) -> int | None:
        """Return the next picture's time, in the unit of the arguments; None if neither clock says it."""
        if decoded is not None:
            self._wrong_decoded += self._last_decoded is not None and decoded <= self._last_decoded
        if shown is not None:
            self._wrong_shown += self._last_shown is not None and shown <= self._last_shown
        self._last_decoded = shown if decoded is None else decoded
        self._last_shown = decoded if shown is None else shown
        if decoded is None and self._order_alone:
            return None  # the last pictures: what is said to be their time is their place in the file
        if shown is not None and (decoded is None or self._wrong_shown <= self._wrong_decoded):
            return shown
        return decoded
