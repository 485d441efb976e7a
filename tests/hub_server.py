"""A local HTTP server that speaks the part of the Hugging Face Hub's protocol that a download uses.

``/datasets/<repository>/resolve/main/<file>`` answers with the metadata headers and a redirect to a content server on
another origin (localhost instead of 127.0.0.1), as the Hub does for large files; that one serves byte ranges.
"""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubServer:
    """Serves ``files`` (path in the repository to bytes) of one data set until it is stopped.

    Attributes:
        requests: (method, path, Range header or None, Authorization header or None) of every request.
        cut_after: where set, the next body that is sent breaks off after so many bytes, once.
        refuse: the content server answers 500.
        lie: bytes sent by the content server instead of the file that the metadata describe.
    """

    def __init__(self, repository: str, files: dict[str, bytes]):
        self.files, self.requests = files, []
        self.cut_after: int | None = None
        self.refuse, self.refuse_after_cut = False, False
        self.lie: bytes | None = None
        self.prefix = f"/datasets/{repository}/resolve/main/"
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_HEAD(self) -> None:
                hub._answer(self, body=False)

            def do_GET(self) -> None:
                hub._answer(self, body=True)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Close the port: from now on connections are refused."""
        self.server.shutdown()
        self.server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler, body: bool) -> None:
        byte_range, authorization = handler.headers.get("Range"), handler.headers.get("Authorization")
        self.requests.append((handler.command, handler.path, byte_range, authorization))
        if handler.path.startswith(self.prefix):
            self._metadata(handler, handler.path.removeprefix(self.prefix))
        elif handler.path.startswith("/content/"):
            self._content(handler, handler.path.removeprefix("/content/"), byte_range, body)
        else:
            self._send(handler, 404, {})

    def _metadata(self, handler: BaseHTTPRequestHandler, name: str) -> None:
        if name not in self.files:
            self._send(handler, 404, {"X-Repo-Commit": COMMIT, "X-Error-Code": "EntryNotFound"})
            return
        content = self.files[name]
        headers = {
            "X-Repo-Commit": COMMIT,
            "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Linked-Size": str(len(content)),
            "Location": f"http://localhost:{self.server.server_port}/content/{name}",
        }
        self._send(handler, 302, headers)

    def _content(self, handler: BaseHTTPRequestHandler, name: str, byte_range: str | None, body: bool) -> None:
        if self.refuse:
            self._send(handler, 500, {})
            return
        content = self.files[name] if self.lie is None else self.lie
        start = int(re.fullmatch(r"bytes=(\d+)-", byte_range)[1]) if byte_range else 0
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if byte_range else {}
        part = content[start:]
        cut, self.cut_after = self.cut_after, None
        self._send(handler, 206 if byte_range else 200, headers, part if body else b"", len(part), cut)
        if cut is not None:
            self.refuse = self.refuse_after_cut

    @staticmethod
    def _send(
        handler: BaseHTTPRequestHandler,
        status: int,
        headers: dict[str, str],
        body: bytes = b"",
        length: int = 0,
        cut: int | None = None,
    ) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(body[:cut])
        if cut is not None:
            handler.wfile.flush()
            handler.close_connection = True
            handler.connection.shutdown(2)
