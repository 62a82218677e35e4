"""The page over HTTP: a thin layer of Starlette over `actions`.

No request can name a file. If other machines can reach the address, every request must have the
token of the link, which a cookie then remembers.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import TYPE_CHECKING, Any

from langmodels.errors import LangmodelsError
from langmodels.interchange import json_text
from langmodels.playground.actions import answer
from langmodels.playground.classroom import Classroom

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
SEAT = "langmodels-seat"
"""A cookie: a name for who asks, so that work is shared out fairly."""
_QUESTION = 100_000
"""Most bytes of a request."""
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def token_cookie(token: str) -> str:
    """The name of the cookie that remembers a token: ports of a host share cookies, and so do the
    servers that follow each other at one.
    """
    return f"langmodels-token-{hashlib.sha256(token.encode()).hexdigest()[:8]}"


def static_files() -> dict[str, bytes]:
    """The files of the page, by their path under `static/`."""
    root = resources.files("langmodels.playground") / "static"
    found: dict[str, bytes] = {}

    def gather(folder: Any, before: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                gather(entry, f"{before}{entry.name}/")
            elif entry.name.endswith(tuple(_TYPES)):
                found[f"{before}{entry.name}"] = entry.read_bytes()

    gather(root, "")
    return found


def make_app(
    classroom: Classroom, *, token: str | None = None, hosts: tuple[str, ...] = ()
) -> "Starlette":
    """The application.

    `token`: the token that every request must have, None for none. `hosts`: the host names under
    which it answers, empty for any.
    """
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import Response
    from starlette.routing import Route

    files = static_files()

    def reply(data: dict[str, Any], status: int = 200) -> Response:
        return Response(json_text(data), status, media_type="application/json")

    async def page(request: "Request") -> Response:
        path = request.path_params.get("path") or "index.html"
        if path not in files:
            return Response("There is no such page.", 404, media_type="text/plain")
        kind = _TYPES["." + path.rpartition(".")[2]]
        return Response(files[path], media_type=kind)

    async def ask(request: "Request") -> Response:
        data = await _body(request, _QUESTION)
        if data is None:
            return reply({"error": "The question is too long."}, 413)
        try:
            question = json.loads(data or b"{}")
        except ValueError:
            return reply({"error": "The question is not JSON."}, 400)
        name, who = request.path_params["name"], request.state.seat
        return reply(*await run_in_threadpool(_answered, answer, classroom, name, question, who))

    async def upload(request: "Request") -> Response:
        data = await _body(request, classroom.limits.upload)
        if data is None:
            most = classroom.limits.upload
            return reply({"error": f"The file is too large; this page takes {most:,} bytes."}, 413)
        query = request.query_params
        name = query.get("name", "text")
        encoding, errors = query.get("encoding", "utf-8"), query.get("errors", "strict")
        said = {key: query.get(key, "") for key in ("field", "language")}

        def take() -> dict[str, Any]:
            return classroom.upload(name, data, encoding, errors, **said).record()

        return reply(*await run_in_threadpool(_answered, take))

    async def report(request: "Request") -> Response:
        found = classroom.reports.get(request.path_params["key"])
        if found is None:
            return Response("There is no such report.", 404, media_type="text/plain")
        headers = {"Content-Disposition": 'attachment; filename="comparison.html"'}
        return Response(found, media_type="text/html; charset=utf-8", headers=headers)

    app = Starlette(
        routes=[
            Route("/api/upload", upload, methods=["POST"]),
            Route("/api/{name}", ask, methods=["POST"]),
            Route("/report/{key}", report),
            Route("/", page),
            Route("/{path:path}", page),
        ]
    )

    async def guard(
        request: "Request", go_on: Callable[["Request"], Awaitable["Response"]]
    ) -> "Response":
        response = _refused(request, token, hosts)
        seat = request.cookies.get(SEAT, "")
        fresh = not (seat.isalnum() and len(seat) <= 32)
        request.state.seat = secrets.token_hex(8) if fresh else seat
        if response is None:
            response = await go_on(request)
            if fresh:
                response.set_cookie(SEAT, request.state.seat, httponly=True, samesite="strict")
            if token is not None and token_cookie(token) not in request.cookies:
                response.set_cookie(token_cookie(token), token, httponly=True, samesite="strict")
        for name, value in HEADERS.items():
            response.headers[name] = value
        return response

    from starlette.middleware.base import BaseHTTPMiddleware

    app.add_middleware(BaseHTTPMiddleware, dispatch=guard)
    return app


def _answered(function: Callable[..., dict[str, Any]], *args: Any) -> tuple[dict[str, Any], int]:
    """(what a function returns, or its error; the HTTP status)."""
    try:
        return function(*args), 200
    except LangmodelsError as error:
        return {"error": str(error)}, 400
    except MemoryError:
        return {"error": "There is not enough memory for this."}, 503


async def _body(request: "Request", most: int) -> bytes | None:
    """The body of a request; None if it has more than `most` bytes."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            return None
    return bytes(data)


def _refused(request: "Request", token: str | None, hosts: tuple[str, ...]) -> "Response | None":
    """The response to a request that is refused, else None.

    Refused are requests under other host names, from other pages, or without the token.
    """
    from starlette.responses import Response

    def refuse(why: str) -> Response:
        return Response(why, 403, media_type="text/plain; charset=utf-8")

    host = request.headers.get("host", "")
    if hosts and host.rpartition(":")[0] not in hosts and host not in hosts:
        return refuse("This page is not asked for under this name.")
    origin = request.headers.get("origin")
    if request.method == "POST" and origin and origin.partition("://")[2] != host:
        return refuse("Another page may not ask this one.")
    if token is not None:
        given = request.query_params.get("token") or request.cookies.get(token_cookie(token), "")
        if not hmac.compare_digest(given.encode(), token.encode()):
            return refuse("Open the whole link, with its token, as the terminal shows it.")
    return None
