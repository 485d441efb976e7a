"""Frames of one camera in order over a WebSocket, with a memory of what was seen a moment ago."""

import asyncio
import json
from contextlib import suppress
from functools import partial

from fastapi import WebSocket, WebSocketDisconnect

from lib.desk import HEADERS, Desk, problem
from lib.intake import Options, given_once, options_of
from lib.memory import Memory
from lib.serving import Refusal
from lib.settings import PlatesError

SILENCE = 60.0  # seconds after which a camera that sends nothing is disconnected


async def serve(desk: Desk, socket: WebSocket) -> None:
    """One camera's frames, answered one by one: a binary message with the concealed frame, or a text with an error."""
    try:
        scheme, _, token = socket.headers.get("authorization", "").partition(" ")
        desk.check_token(token if scheme.lower() == "bearer" else None)
        options = options_of(given_once(socket.query_params.multi_items()))
        if options.plates is not None:
            raise Refusal(422, "options", "plates are for one picture; a stream's are found in every frame.")
        desk.concealer(options)
        if desk.streams >= desk.limits.streams:
            told = f"the service is busy ({desk.streams} cameras are connected); try again in 10 s."
            raise Refusal(503, "streams", told, {"Retry-After": "10"})
    except PlatesError as error:
        denial = problem(desk.refused(error))
        denial.headers.update({name.decode(): value.decode() for name, value in HEADERS.items()})
        await socket.send_denial_response(denial)
        return
    desk.streams += 1
    desk.meters.streams.set(desk.streams)
    try:
        await socket.accept()
        await _answer_frames(desk, socket, options)
    except TimeoutError:  # a camera that neither sends nor reads
        desk.meters.refusals.labels("slow").inc()
        with suppress(TimeoutError, WebSocketDisconnect):
            async with asyncio.timeout(1):
                await socket.close(1008, "nothing was sent, or read, for too long")
    except WebSocketDisconnect:
        pass
    finally:
        desk.streams -= 1
        desk.meters.streams.set(desk.streams)


async def _answer_frames(desk: Desk, socket: WebSocket, options: Options) -> None:
    memory = Memory()
    while True:
        async with asyncio.timeout(SILENCE):
            message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        data = message.get("bytes")
        answer = None
        try:
            if not data:
                raise Refusal(400, "empty", "the message is text or empty; send every frame as one binary message.")
            with desk.purse.opened() as take:
                take(len(data))
                future = desk.pool.submit(partial(desk.work, options, data, memory))
                answer = (await asyncio.wrap_future(future)).data
        except Exception as error:
            told = json.dumps({"error": str(desk.refused(error))})
        async with asyncio.timeout(desk.limits.seconds):
            await (socket.send_text(told) if answer is None else socket.send_bytes(answer))
