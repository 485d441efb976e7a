"""What every route of the service shares: networks, limits, queue, counters, and how a failure is told."""

import hmac
import logging
from collections.abc import Mapping

from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from lib.conceal import Concealer
from lib.frames import DrawnError, Frame, KindError, Remembers, SizeError, conceal_frame
from lib.images import PictureError
from lib.intake import Options
from lib.serving import Limits, Meters, Pool, Purse, Refusal
from lib.settings import PlatesError

HEADERS = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}
log = logging.getLogger("plates")


class Desk:
    """What the routes share.

    Args:
        concealers: by method, of `lib.conceal.METHODS`; their networks are used, and each frame brings its options.
        limits: see `lib.serving.Limits`.
        token: what requests must bear to have frames concealed and to read counters; None: nothing.
    """

    def __init__(self, concealers: Mapping[str, Concealer], limits: Limits, token: str | None) -> None:
        self.concealers, self.limits = concealers, limits
        self.token = None if token is None else token.encode()
        self.meters = Meters()
        self.pool, self.purse = Pool(limits, self.meters), Purse(limits, self.meters)
        self.streams = 0

    def check_token(self, given: str | None) -> None:
        """Refuse another token than ours, in a time that does not tell how much of it was right.

        Raises:
            Refusal: it is another, or missing.
        """
        if self.token is not None and not hmac.compare_digest((given or "").encode(), self.token):
            told = "the token is missing or wrong; send the service's own as `Authorization: Bearer TOKEN`."
            raise Refusal(401, "token", told, {"WWW-Authenticate": "Bearer"})

    def concealer(self, options: Options) -> Concealer:
        """The network that ``options`` ask for, with their threshold and mode.

        Raises:
            Refusal: it was not loaded.
        """
        base = self.concealers.get(options.method)
        if base is None:
            told = f"method {options.method!r} is not loaded here; use {', '.join(self.concealers)}."
            raise Refusal(422, "options", told)
        threshold = base.threshold if options.threshold is None else options.threshold
        return Concealer(base.segmenter, threshold, base.growth, options.mode, base.method, base.sure)

    def work(self, options: Options, data: bytes, memory: Remembers | None = None, picture: bool = True) -> Frame:
        """Conceal a frame, in a worker's thread, and count it."""
        most = self.limits.pixels
        frame = conceal_frame(data, self.concealer(options), options.drawn(), memory, picture, most)
        for stage, seconds in frame.seconds.items():
            self.meters.stages.labels(stage).observe(seconds)
        self.meters.frames.labels("stream" if memory is not None else "conceal").inc()
        self.meters.plates.inc(len(frame.plates))
        return frame

    def refused(self, error: Exception) -> Refusal:
        """What an error is to the one who asked; counted."""
        kinds = ((KindError, 415, "kind"), (SizeError, 413, "pixels"), (DrawnError, 422, "plates"))
        kinds += ((PictureError, 422, "picture"), (PlatesError, 500, "network"))
        if isinstance(error, ClientDisconnect):
            error = Refusal(400, "hung_up", "the connection ended before the frame was there; send it again.")
        if not isinstance(error, Refusal):
            for kind, status, reason in kinds:
                if isinstance(error, kind):
                    error = Refusal(status, reason, str(error))
                    break
            else:  # its text might hold something of the frame
                log.error("a frame was not concealed: %s", type(error).__name__)
                told = (
                    f"the frame could not be concealed ({type(error).__name__}), so nothing is returned; try another."
                )
                error = Refusal(500, "fault", told)
        self.meters.refusals.labels(error.reason).inc()
        return error


def problem(error: Refusal) -> JSONResponse:
    """A refusal as an answer."""
    return JSONResponse({"error": str(error)}, error.status, error.headers)
