"""A line that breaks: a relay that hangs up on both of its ends after so many bytes, again and again."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from urllib.parse import urlsplit

PIECE = 65536


class BrokenLine:
    """Relays connections to a server, and breaks each after some bytes that the client sent, or the server.

    A context manager; `url` is where the client goes.

    Args:
        target: The server's address, http://HOST:PORT.
        sent_bytes: After so many of the client's a connection is reset; None: never.
        received_bytes: After so many of the server's.
        breaks: How often in all; None: always.
    """

    def __init__(
        self,
        target: str,
        *,
        sent_bytes: int | None = None,
        received_bytes: int | None = None,
        breaks: int | None = None,
    ) -> None:
        parts = urlsplit(target)
        self._server = (str(parts.hostname), int(parts.port or 80))
        self.sent_bytes, self.received_bytes = sent_bytes, received_bytes
        self._breaks_left = breaks
        self.broken = 0
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def url(self) -> str:
        """Where the client goes."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> BrokenLine:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            socket.create_connection(self._listener.getsockname(), timeout=1).close()
        for thread in self._threads:
            thread.join(timeout=10)
        self._listener.close()

    def watch(self, piece: bytes) -> None:
        """See what the client sends. A line of another kind may break for it."""

    def _accept(self) -> None:
        while not self._over.is_set():
            client, _ = self._listener.accept()
            if self._over.is_set():
                client.close()
                return
            self.connections += 1
            thread = threading.Thread(target=self._relay, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _relay(self, client: socket.socket) -> None:
        sent = received = 0
        with client, contextlib.suppress(OSError), socket.create_connection(self._server) as server:
            for source, piece in _pieces(client, server, self._over):
                if source is client:
                    self.watch(piece)
                    sent += len(piece)
                else:
                    received += len(piece)
                if not self._over_now(sent, received):
                    (server if source is client else client).sendall(piece)
                    continue
                if source is client:
                    server.sendall(piece)  # it arrives; the answer does not
                self.broken += 1
                for one in (client, server):  # a reset, not an orderly end
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return

    def _over_now(self, sent: int, received: int) -> bool:
        if self._breaks_left == 0:
            return False
        over = (self.sent_bytes is not None and sent > self.sent_bytes) or (
            self.received_bytes is not None and received > self.received_bytes
        )
        if over and self._breaks_left is not None:
            self._breaks_left -= 1
        return over


def _pieces(
    client: socket.socket, server: socket.socket, over: threading.Event
) -> Iterator[tuple[socket.socket, bytes]]:
    with selectors.DefaultSelector() as selector:
        for one in (client, server):
            selector.register(one, selectors.EVENT_READ)
        while not over.is_set():
            for key, _ in selector.select(timeout=0.2):
                found = key.fileobj
                assert isinstance(found, socket.socket)
                piece = found.recv(PIECE)
                if not piece:
                    return
                yield found, piece
