"""A server on this machine that sends one archive, and misbehaves as it is told, for tests of downloads."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np


@dataclass
class Mirror:
    """What is sent for any path, and how; `requests` are the Range headers that came, None for none.

    Args:
        drops: for each answer in turn, after how many bytes the connection is closed; None: not at all.
        failures: statuses for the first requests, before anything is sent.
    """

    content: bytes = field(default_factory=lambda: np.random.default_rng(0).bytes(700_000))
    knows_ranges: bool = True
    says_length: bool = True
    drops: list[int | None] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    requests: list[str | None] = field(default_factory=list)
    url: str = ""

    @property
    def md5(self) -> str:
        return hashlib.md5(self.content, usedforsecurity=False).hexdigest()


@contextmanager
def serving(mirror: Mirror) -> Iterator[Mirror]:
    """Run the server and put its address into `mirror.url`."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            mirror.requests.append(asked)
            if mirror.failures:
                self.send_error(mirror.failures.pop(0))
                return
            start, total = 0, len(mirror.content)
            if asked is not None and mirror.knows_ranges:
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                if start >= total:
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{total}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            else:
                self.send_response(200)
            if mirror.says_length:
                self.send_header("Content-Length", str(total - start))
            self.end_headers()
            drop = mirror.drops.pop(0) if mirror.drops else None
            self.wfile.write(mirror.content[start:] if drop is None else mirror.content[start : start + drop])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        mirror.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield mirror
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
