"""A real Chromium for tests: Debian's `chromium` and `chromium-driver`, driven over WebDriver.

Fails without them. WebDriver's requests are plain HTTP on a loopback port.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

AXE = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
PATIENCE_SECONDS = 180.0  # for a browser on a busy machine; nothing here is about speed
STARTS = 3  # chromedriver gives a browser a minute to come up, and no more
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
OVERFLOWING = """
const wide = window.innerWidth + 1;
return [...document.querySelectorAll('body *')]
  .filter(e => !e.closest('.scroll, pre, svg') && e.getBoundingClientRect().right > wide)
  .map(e => e.tagName + '.' + e.className + ': ' + e.textContent.slice(0, 60));
"""


class Browser:
    """One WebDriver session."""

    def __init__(self, base: str, capabilities: dict[str, Any]) -> None:
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        self._base = base
        session = self._session({"capabilities": {"alwaysMatch": capabilities}})
        self._base = f"{base}/session/{session['sessionId']}"

    def _session(self, wanted: dict[str, Any]) -> Any:
        for last in (*[False] * (STARTS - 1), True):
            try:
                return self._send("POST", "/session", wanted)
            except urllib.error.HTTPError as error:
                said = error.read().decode(errors="replace")
                if last:
                    pytest.fail(f"no browser: {said}")
        return None

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data=data, method=method)
        with self._open(request, timeout=PATIENCE_SECONDS) as reply:
            return json.load(reply)["value"]

    def open(self, page: Path | str) -> None:
        self._send("POST", "/url", {"url": page if isinstance(page, str) else page.as_uri()})

    def find(self, selector: str) -> str:
        """Return the element of a CSS selector, which is waited for."""
        return str(next(iter(self.wait(lambda: self._found(selector), f"no {selector}").values())))

    def click(self, selector: str) -> None:
        self._send("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Type into a field, or choose a file by its path."""
        self._send("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def accept(self) -> None:
        """Say yes to a question of the page."""
        self._send("POST", "/alert/accept", {})

    def text(self, selector: str = "main") -> str:
        return str(self._send("GET", f"/element/{self.find(selector)}/text"))

    def wait(self, seen: Any, why: str, *, seconds: float = PATIENCE_SECONDS) -> Any:
        """Return what `seen` returns once it is true."""
        deadline = time.monotonic() + seconds
        while not (found := seen()):
            assert time.monotonic() < deadline, (
                f"{why}; the page says:\n{self.run('return document.body.innerText')}"
            )
            time.sleep(0.1)
        return found

    def picture(self, path: Path) -> None:
        """Take a picture of the whole page."""
        shot = self.command("Page.captureScreenshot", {"captureBeyondViewport": True})
        path.write_bytes(base64.b64decode(shot["data"]))

    def violations(self) -> list[Any]:
        """Return what axe-core finds, in short."""
        found = self.run(f"{AXE}\nreturn axe.run().then(seen => seen.violations)")
        return [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found]

    def _found(self, selector: str) -> Any:
        try:
            return self._send("POST", "/element", {"using": "css selector", "value": selector})
        except urllib.error.HTTPError as error:
            error.close()
            return None

    def run(self, script: str) -> Any:
        return self._send("POST", "/execute/sync", {"script": script, "args": []})

    def prefer(self, scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        command = {"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}}
        self._send("POST", "/goog/cdp/execute", command)

    def command(self, name: str, parameters: dict[str, Any]) -> Any:
        return self._send("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def media(self, kind: str) -> None:
        self.command("Emulation.setEmulatedMedia", {"media": kind})

    def log(self, kind: str) -> list[dict[str, Any]]:
        found = self._send("POST", "/se/log", {"type": kind})
        assert isinstance(found, list)
        return found

    def requests(self) -> set[str]:
        messages = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return {
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        }

    def close(self) -> None:
        self._send("DELETE", "")


@contextmanager
def chromedriver() -> Iterator[str]:
    """Start a driver; yields its address."""
    binary = shutil.which("chromedriver")
    assert binary, "no chromedriver: apt-get install chromium chromium-driver"
    assert shutil.which("chromium"), "no chromium: apt-get install chromium chromium-driver"
    process = subprocess.Popen([binary, "--port=0"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                break
        else:
            pytest.fail("chromedriver ended before it was ready")
        yield f"http://127.0.0.1:{found[1]}"
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_SECONDS)
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def browser(driver: str, width: str) -> Iterator[Browser]:
    metrics = {"width": WIDTHS[width][0], "height": WIDTHS[width][1], "pixelRatio": 1}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options: dict[str, Any] = {
            "binary": shutil.which("chromium"),
            "args": [*ARGUMENTS, f"--user-data-dir={profile}", "--window-size=1280,900"],
        }
        if width == "phone":
            options["mobileEmulation"] = {"deviceMetrics": {**metrics, "mobile": True}}
        found = Browser(
            driver,
            {
                "browserName": "chrome",
                "timeouts": {
                    "script": int(PATIENCE_SECONDS * 1000),
                    "pageLoad": int(PATIENCE_SECONDS * 1000),
                },
                "goog:chromeOptions": options,
                "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"},
            },
        )
        try:
            yield found
        finally:
            found.close()
