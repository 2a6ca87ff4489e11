"""Who may talk to the bridge: the page that it served itself, and programs on this machine.

The bridge listens on the loopback interface, but any page in a browser of this machine can reach that:

- A page of another site may open a WebSocket to 127.0.0.1, or post to it. The browser tells whose page it is
  (Origin), and lets no page lie about it.
- A name of an attacker's domain may suddenly stand for 127.0.0.1 (DNS rebinding); then the page is of the
  "same origin" to the browser. But the browser still sends that name (Host).

So Host must be a name of the loopback interface, and Origin, if there is one, the page of that host. Programs
other than browsers send no Origin; they could talk to the server itself as well.
"""

import re

from aiohttp import web
from aiohttp.typedefs import Handler

# Any port: `ssh -L 9000:127.0.0.1:8080` is a fine way to use the page from elsewhere.
_OWN_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.ASCII)


def refusal(host: str, origins: list[str]) -> str | None:
    """Why a request is refused, judging by its Host and Origin headers; None if it is not."""
    if not _OWN_HOST.fullmatch(host):
        return "this page is for the machine it runs on: open it as http://127.0.0.1 or http://localhost"
    if any(origin != f"http://{host}" for origin in origins):
        return f"a page of another site may not use this one: open http://{host} itself"
    return None


@web.middleware
async def only_own(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests of others with 403, before anything else looks at them."""
    if why := refusal(request.headers.get("Host", ""), request.headers.getall("Origin", [])):
        return web.Response(status=403, text=f"{why}\n")
    return await handler(request)
