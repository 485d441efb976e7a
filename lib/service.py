"""The REST service: frames in, concealed frames out, for many cameras and for somebody with one photograph.

It fails closed: whatever goes wrong, the answer is a sentence and never the frame that came in. Nothing of a frame is
written anywhere.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from lib import pages, streams
from lib.conceal import Concealer
from lib.contract import BODY, HEALTH, METRICS, REFUSALS, RESULT, Found
from lib.desk import HEADERS, Desk, problem
from lib.frames import MEDIA, Frame
from lib.intake import FORM, Options, check_kind, check_type, given_once, open_form, options_of, read_body, sentence
from lib.redact import MODES
from lib.serving import Limits, Refusal
from lib.settings import PlatesError

ABOUT = """A frame in, the frame with its plates concealed out. Nothing of a frame is kept.

A camera's frames go over a WebSocket at `/stream`, with the options `method`, `mode` and `threshold` in its address:
each binary message is one encoded frame and is answered, in order, by the concealed frame as a binary message, or by a
text message `{"error": "..."}`. Plates that were seen a moment ago stay concealed."""


def create_app(concealers: Mapping[str, Concealer], limits: Limits | None = None, token: str | None = None) -> FastAPI:
    """The service as an ASGI application; see `lib.desk.Desk` for the arguments."""
    desk = Desk(concealers, limits or Limits(), token)

    @asynccontextmanager
    async def lifespan(_app: FastAPI):
        yield
        desk.pool.close()

    app = FastAPI(
        title="Licence-plate concealment",
        description=ABOUT,
        version="1",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.desk = desk
    app.include_router(pages.router())
    app.add_middleware(Headers)
    _add_errors(app, desk)
    _add_routes(app, desk)
    return app


class Headers:
    """Adds HEADERS to every answer that does not have its own."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] += [pair for pair in HEADERS.items() if pair[0] not in given]
            await send(message)

        await self.app(scope, receive, sending)


def _add_errors(app: FastAPI, desk: Desk) -> None:
    """Every error as one sentence in JSON."""

    @app.exception_handler(PlatesError)
    async def _(_request: Request, error: PlatesError) -> Response:
        return problem(desk.refused(error))

    @app.exception_handler(RequestValidationError)
    async def _(_request: Request, error: RequestValidationError) -> Response:
        return problem(desk.refused(Refusal(422, "options", sentence(error.errors()[0]))))

    @app.exception_handler(HTTPException)
    async def _(request: Request, error: HTTPException) -> Response:
        told = {404: "there is nothing at this address", 405: f"{request.method:.20} is not for this address"}
        words = f"{told.get(error.status_code, str(error.detail))}; /docs lists what there is."
        return problem(desk.refused(Refusal(error.status_code, "address", words, dict(error.headers or {}))))


def _add_routes(app: FastAPI, desk: Desk) -> None:
    bearer = HTTPBearer(auto_error=False, description="Where the service was started with a token.")

    def allowed(given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        desk.check_token(given.credentials if given else None)

    guard = [Depends(allowed)] if desk.token is not None else []  # else the description would promise a lock

    @app.post(
        "/conceal",
        dependencies=guard,
        response_class=Response,
        responses={200: RESULT}
        | {status: REFUSALS[status] for status in (400, 401, 406, 408, 413, 415, 422, 500, 503)},
        openapi_extra={"requestBody": BODY},
    )
    async def conceal(request: Request, options: Annotated[Options, Query()]) -> Response:
        """Conceal the plates of one frame, which comes back in its own format, upright and without its metadata.

        With `Accept: application/json` no picture comes back, but where the plates are and what took how long.
        """
        try:
            return await _conceal(desk, request, options)
        except Exception as error:
            return problem(desk.refused(error))

    @app.websocket("/stream")
    async def stream(socket: WebSocket) -> None:
        await streams.serve(desk, socket)

    @app.head("/health", include_in_schema=False)  # what watches services asks for no more
    @app.get("/health", responses={200: HEALTH})
    async def health() -> dict[str, Any]:
        """Whether the service answers, and what it can do."""
        limits = {name: getattr(desk.limits, name) for name in ("bytes", "pixels", "seconds", "frame")}
        methods = {name: {"threshold": each.threshold} for name, each in desk.concealers.items()}
        formats, token = list(MEDIA.values()), desk.token is not None
        return dict(status="ok", methods=methods, modes=MODES, formats=formats, limits=limits, token=token)

    @app.get(
        "/metrics",
        dependencies=guard,
        response_class=Response,
        responses={200: METRICS, 401: REFUSALS[401]},
    )
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(generate_latest(desk.meters.registry), media_type=CONTENT_TYPE_LATEST)


def wants_json(accept: str) -> bool:
    """Whether an Accept header asks for the plates as JSON (True) or for the picture (False), by what it names first.

    Raises:
        Refusal: it asks for neither.
    """
    for kind in (part.partition(";")[0].strip().lower() for part in accept.split(",")):
        if kind == "application/json":
            return True
        if kind in ("*/*", "image/*", "", *MEDIA.values()):
            return False
    told = "the answer is a picture or application/json; ask for one of these, or leave Accept out."
    raise Refusal(406, "accept", told)


async def _conceal(desk: Desk, request: Request, options: Options) -> Response:
    headers = request.headers
    given_once(request.query_params.multi_items())
    json_wanted = wants_json(headers.get("accept", "*/*"))
    declared = headers.get("content-type", "")
    kind = check_type(declared, headers.get("content-encoding"))
    with desk.purse.opened() as take:
        with desk.meters.stages.labels("upload").time():
            body = await read_body(request.stream(), headers.get("content-length"), desk.limits, take)

        def work() -> Frame:  # what strangers sent is taken apart by a worker: it may take long
            data, fields = open_form(body, declared, desk.limits) if kind == FORM else (body, {})
            merged = options_of(options.model_dump(exclude_unset=True), fields)
            check_kind(data, kind)
            return desk.work(merged, data, picture=not json_wanted)

        frame = await _finished(desk.pool.submit(work), request)
    timing = ", ".join(f"{stage};dur={1000 * seconds:.1f}" for stage, seconds in frame.seconds.items())
    told = {"X-Plates": str(len(frame.plates)), "Server-Timing": timing, "Vary": "Accept"}
    if json_wanted:
        return JSONResponse(Found.of(frame).model_dump(), headers=told)
    return Response(frame.data, media_type=MEDIA[frame.format], headers=told)


async def _finished(future: "Future[Frame]", request: Request) -> Frame:
    """The frame when it is done; nobody's work waits for a worker any longer when its client has hung up."""

    async def hung_up() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    answer, gone = asyncio.wrap_future(future), asyncio.ensure_future(hung_up())
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientDisconnect
        return answer.result()
    finally:
        gone.cancel()
        answer.cancel()
