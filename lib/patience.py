"""Connections whose other end is slow: a head that never ends, an answer that nobody reads.

A frame's time is the application's matter (`lib.intake`, `lib.streams`). uvicorn has no limit for what comes before
and after.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

SECONDS = 15.0  # for a head to arrive, for the rest of a body that was refused, and for an answer to be taken


class _Taken:
    """Ends a connection whose other end reads nothing for SECONDS while an answer waits."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _taken: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._taken = self._taken or self.loop.call_later(SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        self._read()
        super().connection_lost(exc)

    def _read(self) -> None:
        if self._taken is not None:
            self._taken.cancel()
            self._taken = None


class PatientProtocol(_Taken, H11Protocol):
    """uvicorn's HTTP protocol, which ends connections that stand still outside of the application's time."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._head: asyncio.TimerHandle | None = None

    def _wait(self) -> None:
        self._head = self._head or self.loop.call_later(SECONDS, self.transport.abort)

    def _go_on(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:  # the application is at it
            self._go_on()
        elif self.transport.get_protocol() is self and not self.transport.is_closing():
            self._wait()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._go_on()  # the connection is the other protocol's from here on
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:  # refused before it had arrived
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._go_on()
        super().connection_lost(exc)


class PatientSocket(_Taken, WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, the same."""

    async def send(self, message: Any) -> None:
        """Send, and know a refused handshake for an end, which uvicorn 0.54 takes for a fault of the application."""
        await super().send(message)
        self.handshake_complete = self.handshake_complete or self.close_sent
