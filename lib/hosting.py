"""The service on a socket: started from the command line until it is stopped, or beside other work for a while."""

import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from lib.conceal import METHODS, Concealer
from lib.patience import PatientProtocol, PatientSocket
from lib.service import create_app
from lib.serving import Limits
from lib.settings import PlatesError, cores

CONNECTIONS = 512  # at a time; beyond, 503 without a look at the request
SHORTEST = 16  # characters of a token


def read_token(path: Path) -> str:
    """The token in a file: what it holds, without the space around it.

    A file, since other users of the machine see what is typed on a command line.

    Raises:
        PlatesError: the file cannot be read, or holds no line of at least SHORTEST printable characters.
    """
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        told = getattr(error, "strerror", None) or "it holds more than ASCII"
        raise PlatesError(f"{path}: cannot be read ({told}); name a text file with the token.") from error
    if len(token) < SHORTEST or not token.isprintable() or " " in token:
        raise PlatesError(f"{path}: holds no single word of {SHORTEST} or more characters; write a longer token.")
    return token


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        PlatesError: the port is taken, or there is no such address here.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=256)
        # its connections inherit it; asyncio leaves it out for such a socket, and answers wait 40 ms for an ACK
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except (OSError, OverflowError) as error:
        told = getattr(error, "strerror", None) or error
        raise PlatesError(f"{host}:{port}: cannot be listened on ({told}); choose another --host or --port.") from error


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def server_for(app: FastAPI) -> uvicorn.Server:
    """A server of the service, with limits on what its connections may do."""
    limits: Limits = app.state.desk.limits
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws=PatientSocket,
        ws_max_size=limits.frame,
        ws_per_message_deflate=False,  # frames are packed already
        ws_ping_timeout=60.0,  # a camera whose frames wait cannot answer
        access_log=False,
        log_level="warning",
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=10,
    )
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # a client's broken messages are no news
    return uvicorn.Server(config)


def load(limits: Limits, weights: Path | None = None) -> dict[str, Concealer]:
    """The methods' networks, loaded once, with as many threads a frame as leave a core to every worker.

    A method whose weights are not there is left out, and said; without the first there is no service.

    Args:
        limits: its ``workers`` counts here.
        weights: of the first method; None for the repository's.

    Raises:
        PlatesError: there are no usable weights for the first method.
    """
    import cv2
    import torch

    threads = max(1, cores() // limits.workers)
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    first, *others = METHODS
    loaded = {first: Concealer.load(first, weights)}
    for method in others:
        try:
            loaded[method] = Concealer.load(method)
        except PlatesError as error:
            logging.getLogger("plates").warning("method %s is left out: %s", method, error)
    return loaded


@contextmanager
def running(
    concealers: Mapping[str, Concealer], limits: Limits | None = None, token: str | None = None
) -> Iterator[str]:
    """The service on a free port of the loopback, beside other work, until the block ends.

    Yields:
        Its address, such as ``http://127.0.0.1:40123``.
    """
    server = server_for(create_app(concealers, limits, token))
    with listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            if not server.started:
                raise PlatesError("the service did not start; see what it said above.")
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


def serve(concealers: Mapping[str, Concealer], limits: Limits, host: str, port: int, token: str | None = None) -> None:
    """Serve until somebody stops it.

    Raises:
        PlatesError: see `listen`.
    """
    server = server_for(create_app(concealers, limits, token))
    with listen(host, port) as listening:
        shown, at = f"[{host}]" if ":" in host else host, listening.getsockname()[1]
        print(f"the page is at http://{shown}:{at}/ and the documentation at http://{shown}:{at}/docs; Ctrl-C stops it")
        if not is_loopback(host):
            told = "others reach it" + ("" if token else ", and no token is asked for (--token-file)")
            print(f"{told}; what they send travels unencrypted unless a proxy with TLS stands in front", flush=True)
        server.run([listening])
