"""A local HTTP server that gives out parts of files and counts what it sends."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

__all__ = ["RangeServer"]


@dataclass
class _Answer:
    name: str
    size: int = 0


class RangeServer:
    """Serve a folder on this machine; a context manager.

    Parameters
    ----------
    folder : Path
        What is served.
    ranges : bool
        Whether parts of files can be had; without it every answer is the whole file.
    delay : float
        Seconds before each answer, as a network has them.
    fail : int
        So many requests for data are answered by 503 first.

    Attributes
    ----------
    held : dict
        Events by file names: requests for such a file wait until its event is set, and `waiting` is set meanwhile.
    url : str
        Of the folder, without a slash at the end.
    """

    def __init__(self, folder: Path, *, ranges: bool = True, delay: float = 0.0, fail: int = 0) -> None:
        self.folder, self.ranges, self.delay, self.fail = folder, ranges, delay, fail
        self._answers: list[_Answer] = []
        self.tagged = True
        self.held: dict[str, threading.Event] = {}
        self.waiting = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def requests(self) -> list[tuple[str, int]]:
        """Path and bytes of each answer that had a body."""
        with self._lock:
            return [(answer.name, answer.size) for answer in self._answers]

    @property
    def sent(self) -> int:
        """Bytes of bodies so far."""
        return sum(size for _, size in self.requests)

    def forget(self) -> None:
        """Count from zero."""
        with self._lock:
            self._answers.clear()

    def __enter__(self) -> RangeServer:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *words: object) -> None:
                pass

            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_GET(self) -> None:
                self._answer(body=True)

            def _answer(self, body: bool) -> None:
                time.sleep(owner.delay)
                path = owner.folder / unquote(self.path.partition("?")[0]).lstrip("/")
                if path.name in owner.held:
                    owner.waiting.set()
                    owner.held[path.name].wait(60)
                if not path.is_file():
                    return self._end(404, 0, {})
                if body and owner.fail:
                    with owner._lock:
                        owner.fail -= 1
                    return self._end(503, 0, {})
                status = path.stat()
                start, stop, code = 0, status.st_size, 200
                found = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
                heads = {"Accept-Ranges": "bytes" if owner.ranges else "none"}
                if owner.tagged:
                    heads["ETag"] = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
                if found and owner.ranges:
                    first, last = found.groups()
                    start = int(first) if first else max(0, stop - int(last))
                    stop = min(stop, int(last) + 1) if first and last else stop
                    if start >= status.st_size:
                        return self._end(416, 0, heads)
                    heads["Content-Range"] = f"bytes {start}-{stop - 1}/{status.st_size}"
                    code = 206
                self._end(code, stop - start, heads)
                if body:
                    # counted before it is sent: whoever has it may look at the count at once
                    answer, sent = _Answer(path.name), 0
                    with owner._lock:
                        owner._answers.append(answer)
                    try:
                        with path.open("rb") as file:
                            file.seek(start)
                            while sent < stop - start and (data := file.read(min(1 << 16, stop - start - sent))):
                                answer.size += len(data)
                                self.wfile.write(data)
                                sent += len(data)
                    except OSError:  # the other side has seen enough
                        self.close_connection = True
                        answer.size = sent

            def _end(self, code: int, length: int, heads: dict[str, str]) -> None:
                self.send_response(code)
                for name, value in {"Content-Length": str(length), **heads}.items():
                    self.send_header(name, value)
                self.end_headers()

        return Handler
