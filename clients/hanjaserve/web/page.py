"""The files of the page, and the headers that make a browser hold it to what it needs.

The script is built from clients/typescript (`npm run build`) and kept here, so that users need no Node.
"""

from importlib import resources

from aiohttp import web
from aiohttp.typedefs import Handler

ASSETS = {
    "/": ("index.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/style.css": ("style.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    # Nothing but the files above and the bridge: no other host, no inline script or style, no frame. Trusted
    # types forbid innerHTML and the like altogether, so that no text can become markup.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # A new version comes with a new server; what is on disk here costs nothing to read again.
    "Cache-Control": "no-store",
}


def routes() -> list[web.RouteDef]:
    """A route for each file; they are read now, once."""
    return [web.get(path, _sends(*asset)) for path, asset in ASSETS.items()]


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Add the headers to every answer, errors included."""
    response.headers.update(HEADERS)


def _sends(name: str, content_type: str) -> Handler:
    body = (resources.files("hanjaserve.web") / "assets" / name).read_bytes()

    async def send(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type, charset="utf-8")

    return send
