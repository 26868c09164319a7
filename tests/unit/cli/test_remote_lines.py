from __future__ import annotations

from harness.cli.views.remote import entry_in_a_line


def test_a_place_is_of_what_waits_and_a_count_of_what_runs() -> None:
    queue = {"place": 2, "of": 3, "seconds": 90.0, "error_seconds": 20.0}
    progress = {"public_done": 4, "public_total": 16, "private": "waiting"}
    assert entry_in_a_line({"entry": "e", "status": "waiting", "queue": queue}) == (
        "e waiting, place 2 of 3, result in about 90 s ± 20 s"
    )
    running = {"entry": "e", "status": "running", "queue": queue | {"place": 0}, "progress": progress}
    assert entry_in_a_line(running) == (
        "e running, result in about 90 s ± 20 s, public 4 of 16, private waiting"
    )
