"""The page at / and the documentation at /docs, from this machine alone: a browser is allowed no request elsewhere."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, Response

PAGE = Path(__file__).parent / "page"
SWAGGER = Path(fastapi_offline.__file__).parent / "static"  # Swagger UI as it is published, packed
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FOR_SWAGGER = STRICT.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'").replace("blob:", "data:")

FILES = {
    "/": (PAGE / "index.html", STRICT),
    "/page.css": (PAGE / "page.css", STRICT),
    "/page.js": (PAGE / "page.js", STRICT),
    "/plates.js": (PAGE / "plates.js", STRICT),
    "/icon.svg": (PAGE / "icon.svg", STRICT),
    "/docs": (PAGE / "docs.html", FOR_SWAGGER),
    "/docs.js": (PAGE / "docs.js", FOR_SWAGGER),
    "/swagger-ui.css": (SWAGGER / "swagger-ui.css", FOR_SWAGGER),
    "/swagger-ui-bundle.js": (SWAGGER / "swagger-ui-bundle.js", FOR_SWAGGER),
}


def router() -> APIRouter:
    """Every file of FILES at its address; they are read once, here."""
    made = APIRouter(include_in_schema=False)
    for address, (path, policy) in FILES.items():
        made.add_api_route(address, _giving(path, policy), methods=["GET", "HEAD"])
    return made


def _giving(path: Path, policy: str) -> Callable[[], Awaitable[Response]]:
    content, kind = path.read_bytes(), TYPES[path.suffix]

    async def give() -> Response:
        return Response(content, media_type=kind, headers={"Content-Security-Policy": policy})

    return give
