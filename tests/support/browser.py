"""A real Chromium without a window, driven over its DevTools protocol: one page, real key and mouse events.

    with Browser() as browser:
        async with browser.page(url) as page:
            await page.compose("ㅅ", "수")
            await page.until("document.title", "...")

https://chromedevtools.github.io/devtools-protocol/. It can also do what Selenium can't: compose a syllable
like a Korean input method does.
"""

import asyncio
import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import aiohttp

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
START_S, ANSWER_S, UNTIL_S = 30.0, 30.0, 15.0
FLAGS = (
    "--headless=new", "--remote-debugging-port=0", "--no-first-run", "--disable-background-networking",
    "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars",
)  # fmt: skip
KEYS = {
    "Enter": 13, "Escape": 27, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
    "Tab": 9, "Backspace": 8, "Home": 36, "End": 35, "Delete": 46,
}  # fmt: skip
CONTROL = 2
SHIFT = 8


class Browser:
    """The process. A context manager; its pages belong to whatever event loop opens them."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        self._port = 0

    def __enter__(self) -> Self:
        assert CHROMIUM is not None
        # Chromium refuses to run as root unless it gives up its sandbox; it opens our own page only.
        flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        self._process = subprocess.Popen(
            [CHROMIUM, *flags, f"--user-data-dir={self._folder.name}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "LANGUAGE": "en"},
        )
        told = Path(self._folder.name) / "DevToolsActivePort"
        give_up = time.monotonic() + START_S
        while not (told.exists() and told.read_text().strip()):
            assert time.monotonic() < give_up and self._process.poll() is None, "Chromium did not start"
            time.sleep(0.05)
        self._port = int(told.read_text().split()[0])
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    @asynccontextmanager
    async def page(self, url: str) -> AsyncIterator["Page"]:
        """Open a page and wait until it is loaded."""
        async with aiohttp.ClientSession(f"http://127.0.0.1:{self._port}") as http:
            async with http.put("/json/new?about:blank") as answer:
                target = await answer.json(content_type=None)
            async with http.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                listening = asyncio.create_task(page.listen())
                try:
                    await page.open(url)
                    yield page
                    await page.send("Page.close")
                finally:
                    listening.cancel()
                    await asyncio.gather(listening, return_exceptions=True)


class Page:
    """One tab.

    Attributes:
        complaints: What went wrong in the page: exceptions, and what the browser refused.
        requests: The addresses that it asked for.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._socket = socket
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def open(self, url: str) -> None:
        """Go to an address and wait until it is loaded."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.send(f"{domain}.enable")
        await self.send("Page.navigate", url=url)
        await self.until("location.href !== 'about:blank' && document.readyState", "complete")

    async def listen(self) -> None:
        """Take in what the browser sends."""
        async for frame in self._socket:
            message = json.loads(frame.data)
            parameters = message.get("params", {})
            match message.get("method"):
                case None:
                    self._answers.pop(message["id"]).set_result(message)
                case "Runtime.exceptionThrown":
                    self.complaints.append(json.dumps(parameters["exceptionDetails"], ensure_ascii=False))
                case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                    self.complaints.append(parameters["entry"]["text"])
                case "Network.requestWillBeSent":
                    self.requests.append(parameters["request"]["url"])
                case "Network.webSocketCreated":
                    self.requests.append(parameters["url"])

    async def send(self, method: str, **parameters: object) -> dict[str, Any]:
        """Call a method of the protocol."""
        number = max(self._answers, default=0) + 1
        self._answers[number] = asyncio.get_running_loop().create_future()
        future = self._answers[number]
        await self._socket.send_str(json.dumps({"id": number, "method": method, "params": parameters}))
        answer = await asyncio.wait_for(future, ANSWER_S)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def value(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        found = await self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def until(self, expression: str, wanted: object) -> None:
        """Wait until an expression has a value."""
        give_up = time.monotonic() + UNTIL_S
        while (found := await self.value(expression)) != wanted:
            assert time.monotonic() < give_up, f"{expression} is {found!r}, not {wanted!r}"
            await asyncio.sleep(0.03)

    async def type(self, text: str) -> None:
        """Type characters, each with a key event of its own."""
        for sign in text:
            await self.send("Input.dispatchKeyEvent", type="keyDown", text=sign, key=sign)
            await self.send("Input.dispatchKeyEvent", type="keyUp", key=sign)

    async def compose(self, *states: str) -> None:
        """Compose text through these states, and leave it unfinished; `finish` ends that."""
        for state in states:
            at = len(state)
            await self.send("Input.imeSetComposition", text=state, selectionStart=at, selectionEnd=at)

    async def finish(self, text: str) -> None:
        """End a composition with this text."""
        await self.send("Input.insertText", text=text)

    async def press(self, key: str, modifiers: int = 0) -> None:
        """Press a key that writes nothing, or an Enter, a space or a digit."""
        code = KEYS.get(key, ord(key[0]))
        common = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        text = {"text": {"Enter": "\r"}.get(key, key)} if key == "Enter" or len(key) == 1 else {}
        await self.send("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        await self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    async def click(self, selector: str) -> None:
        """Click into the middle of the first element that a selector finds."""
        x, y = await self.point_at(selector)
        for kind in ("mousePressed", "mouseReleased"):
            await self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def point_at(self, selector: str) -> Sequence[float]:
        """Move the mouse onto an element; returns where that is."""
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        middle = await self.value(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({box})")
        for step in (-1, 0):  # a hand moves there, and on
            await self.send("Input.dispatchMouseEvent", type="mouseMoved", x=middle[0] + step, y=middle[1])
        found: Sequence[float] = middle
        return found

    async def screenshot(self) -> bytes:
        """The visible part, as PNG."""
        found = await self.send("Page.captureScreenshot", format="png")
        return base64.b64decode(found["data"])
