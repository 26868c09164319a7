"""One portal, asked over a line that may break: what can be asked again is asked again, for a while.

A redirect is not followed and a `.netrc` is not read: a token goes to the host that it was made for, and to
no other. The proxies and the certificate authorities of the environment are used. What a portal says is made
safe to print where it comes in: it repeats what other teams wrote, and may not be the portal that it seems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests
from requests.auth import AuthBase

from harness import __version__
from harness.core.errors import ConfigError, PortalError
from harness.core.text import safe_document, safe_text
from harness.portal.client.broken_line import BROKEN, LineBroke, Patience, busy, retry_after, why_it_broke
from harness.portal.client.event_stream import StreamEvent, events_of
from harness.portal.client.replies import JsonObject, Refused, refused_of

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
QUIET_SECONDS = 45.0  # an event stream that is silent for so long is dead: it beats every 15 seconds
# The rules' answers: values. Everything else that is not 2xx is wrong usage, or somebody's fault.
REFUSALS = frozenset({"refused", "offset", "conflict", "check_failed", "sha256_mismatch", "too_large"})


class _Bearer(AuthBase):
    """An own class, because a `.netrc` would otherwise put its password in the token's place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Portal:
    """A portal at an address. A context manager that closes its connections.

    Args:
        url: Without /api/v1.
        token: Of a team or an organiser; empty for what everybody may see.
        patience_seconds: For how long a broken line is tried again, from when it broke.
        say: Is told when a line broke, and when it will be tried again.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        patience_seconds: float = 60.0,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.url = url.rstrip("/")
        self.patience_seconds = patience_seconds
        self.say = say
        self._session = requests.Session()
        self._session.auth = _Bearer(token)
        self._session.headers["User-Agent"] = f"blackbox-video-harness/{__version__}"
        self._session.headers["Accept"] = "application/json"

    def __enter__(self) -> Portal:
        return self

    def __exit__(self, *_error: object) -> None:
        self._session.close()

    def get(self, path: str, **query: str) -> JsonObject:
        """Ask for a document.

        Raises:
            ConfigError: the token may not see it, or it does not exist.
            PortalError: the portal does not answer in time, or not as a portal does.
        """
        answer = self.send("GET", path, query=query)
        if isinstance(answer, Refused):
            raise ConfigError(answer.message, place=path, remedy=answer.remedy)
        return answer

    def get_text(self, path: str, **query: str) -> str:
        """Ask for a text. Raises as `get`."""
        response = self._patiently(lambda: self._once("GET", path, query=query))
        if isinstance(response, LineBroke):
            raise self._silent(response)
        if not response.ok:
            raise ConfigError(self._refusal(response).message, place=path)
        response.encoding = "utf-8"
        return safe_text(response.text)

    def send(
        self,
        method: str,
        path: str,
        document: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
    ) -> JsonObject | Refused:
        """Ask for something that may be asked twice. Raises as `get`."""
        response = self._patiently(lambda: self._once(method, path, document=document, query=query))
        if isinstance(response, LineBroke):
            raise self._silent(response)
        return self._answer(response)

    def send_once(
        self, method: str, path: str, document: Mapping[str, Any] | None = None
    ) -> JsonObject | Refused | LineBroke:
        """Ask for something that must not be asked twice without a look. Raises as `get`."""
        try:
            response = self._once(method, path, document=document)
            return busy(response) or self._answer(response)
        except BROKEN as error:
            return LineBroke(why=why_it_broke(error))

    def send_bytes(self, path: str, data: bytes, *, offset: int) -> JsonObject | Refused | LineBroke:
        """Send a piece of an upload. Raises as `get`."""
        headers = {"Upload-Offset": str(offset), "Content-Type": "application/octet-stream"}
        try:
            response = self._session.patch(
                self.address(path),
                data=data,
                headers=headers,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
            )
            return busy(response) or self._answer(response)
        except BROKEN as error:
            return LineBroke(why=why_it_broke(error))

    def events(self, path: str) -> Iterator[StreamEvent | LineBroke]:
        """Yield the events of a stream, and last of all why it ended. Raises as `get`."""
        try:
            with self._session.get(
                self.address(path),
                stream=True,
                headers={"Accept": "text/event-stream"},
                timeout=(CONNECT_SECONDS, QUIET_SECONDS),
                allow_redirects=False,
            ) as response:
                if not response.ok:
                    if broke := busy(response):
                        yield broke
                        return
                    self._answer(response)
                for event in events_of(response.iter_content(chunk_size=None)):
                    yield StreamEvent(name=event.name, data=safe_document(event.data))
        except BROKEN as error:
            yield LineBroke(why=why_it_broke(error))
            return
        yield LineBroke(why="the portal ended the stream")

    def address(self, path: str) -> str:
        """Return where a path of the API is."""
        return f"{self.url}/api/v1{path}"

    def _once(
        self,
        method: str,
        path: str,
        *,
        document: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> requests.Response:
        return self._session.request(
            method,
            self.address(path),
            json=document,
            params=dict(query) if query else None,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            allow_redirects=False,
        )

    def _patiently(self, ask: Callable[[], requests.Response]) -> requests.Response | LineBroke:
        patience = Patience(self.patience_seconds, say=self.say)
        while True:
            try:
                response = ask()
            except requests.exceptions.SSLError as error:
                raise self._untrusted(error) from error
            except BROKEN as error:
                broke, asked_for = LineBroke(why=why_it_broke(error)), None
            else:
                found = busy(response)
                if found is None:
                    return response
                broke, asked_for = found, retry_after(response)
            if not patience.wait(broke.why, at_least=asked_for):
                return broke

    def _answer(self, response: requests.Response) -> JsonObject | Refused:
        if response.status_code == 204:
            return {}
        if response.ok and not response.is_redirect:
            return self._document(response)
        refused = self._refusal(response)
        if refused.code in REFUSALS:
            return refused
        if response.status_code in {401, 403}:
            raise ConfigError(
                refused.message,
                place=self.url,
                remedy=refused.remedy or "`harness remote login` keeps another token.",
            )
        if response.status_code >= 500:
            raise PortalError(
                refused.message, place=self.url, remedy="It is the portal's fault; try again later."
            )
        raise ConfigError(refused.message, place=self.url, remedy=refused.remedy)

    def _refusal(self, response: requests.Response) -> Refused:
        if response.is_redirect:
            to = response.headers.get("Location", "")[:200]
            raise ConfigError(
                f"the portal is elsewhere: it answers with a redirect to {to!r}",
                place=self.url,
                remedy="Give the address that it names to `harness remote login`, if you trust it.",
            )
        if response.status_code >= 500 and not _is_json(response):
            raise PortalError(
                f"answers {response.status_code} {response.reason}",
                place=self.url,
                remedy="It is the portal's fault, or of a proxy before it; try again later.",
            )
        return refused_of(self._document(response))

    def _document(self, response: requests.Response) -> JsonObject:
        try:
            found = safe_document(response.json())
        except (ValueError, RecursionError) as error:
            raise PortalError(
                f"answers {response.status_code} without JSON",
                place=self.url,
                remedy="Is that the address of a portal? Give it as far as before /api/v1.",
            ) from error
        if not isinstance(found, dict):
            raise PortalError("answers with JSON that is no object", place=self.url)
        return found

    def _silent(self, broke: LineBroke) -> PortalError:
        return PortalError(
            f"does not answer: {broke.why}",
            place=self.url,
            remedy="Check the address and the line; then give the same command again.",
        )

    def _untrusted(self, error: Exception) -> ConfigError:
        return ConfigError(
            f"its certificate cannot be trusted: {why_it_broke(error)}",
            place=self.url,
            remedy="Set REQUESTS_CA_BUNDLE to the file of your own authority's certificates, if it has one.",
        )


def _is_json(response: requests.Response) -> bool:
    return response.headers.get("Content-Type", "").startswith("application/json")
