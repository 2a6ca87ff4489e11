"""The page and the bridge as one HTTP server on the loopback interface."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from hanjaserve.web import calls, page
from hanjaserve.web.calls import CallBridge
from hanjaserve.web.live import MAX_MESSAGE_BYTES, LiveBridge
from hanjaserve.web.upstream import Upstream
from hanjaserve.web.visitors import only_own

HOST = "127.0.0.1"
GOODBYE_S = 1.0
"""What browsers get to notice that the server ends."""


def make_app(upstream: Upstream) -> web.Application:
    """The application; it uses the channel, and does not close it."""
    app = web.Application(middlewares=[only_own], client_max_size=MAX_MESSAGE_BYTES)
    live = LiveBridge(upstream)
    app.add_routes(page.routes())
    app.add_routes([web.get("/live", live.handle), web.post(calls.PATH, CallBridge(upstream).handle)])
    app.on_response_prepare.append(page.add_headers)
    app.on_shutdown.append(live.close)
    return app


@asynccontextmanager
async def listening(upstream: Upstream, port: int) -> AsyncIterator[str]:
    """Serve within the block; yields the address of the page.

    Args:
        upstream: Where conversions come from.
        port: On 127.0.0.1; 0 picks a free one.

    Raises:
        OSError: The port can't be listened on.
    """
    runner = web.AppRunner(make_app(upstream), access_log=None, shutdown_timeout=GOODBYE_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        found: tuple[str, int] = runner.addresses[0]
        yield f"http://{HOST}:{found[1]}/"
    finally:
        await runner.cleanup()
