"""Somebody types into the page at random, and what it shows is a fresh conversion of what is there.

Syllables are composed as a Korean input method does it, finished and broken off; the caret goes anywhere;
texts are marked, pasted over and deleted; connections are lost in the middle.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from hanjaserve.client import Client
from hanjaserve.client.access import Access
from hanjaserve.web.site import listening
from hanjaserve.web.upstream import Upstream
from tests.support.browser import CHROMIUM, CONTROL, SHIFT, Browser, Page
from tests.support.long import LONG, note

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: `apt-get install chromium`")

SEEDS = range(8) if LONG else [2]  # in which everything happens
ACTIONS = 250 if LONG else 40
SYLLABLES = [
    ("ㅅ", "수"), ("ㄷ", "도"), ("ㅎ", "하", "학"), ("ㄱ", "교"), ("ㅅ", "사", "상"), ("ㅇ", "의"),
    ("ㅁ", "무", "물"),
]  # fmt: skip
PASTED = [
    "대한민국의 수도는 서울이다. ", "상수도 요금\n", "😀 의사가 학교에서. ", "<b>&수도",
    "첫째 줄\n\n둘째 줄. ",
]  # fmt: skip


class Wire:
    """A connection between the bridge and the server that can be cut."""

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[str]:
        """Have it; yields the address of this end."""
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        async with server:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            self.cut()

    def cut(self) -> None:
        """Cut it; whoever connects again gets another one."""
        for writer in self._writers:
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        ends = {writer, far_writer}
        self._writers |= ends
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer), return_exceptions=True)
        self._writers -= ends


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


class Typist:
    """Does what people do to a text field, at random."""

    def __init__(self, page: Page, wire: Wire, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self._page = page
        self._wire = wire
        self._random = random.Random(seed)

    async def act(self) -> None:
        """Do something."""
        weights: dict[Callable[[], Awaitable[None]], int] = {
            self.compose: 10, self.break_off: 2, self.type: 6, self.delete: 5, self.move: 6, self.paste: 2,
            self.paste_over: 1, self.finish_all: 1, self.lose: 1,
        }  # fmt: skip
        (action,) = self._random.choices(list(weights), list(weights.values()))
        self.counts[action.__name__] += 1
        await action()

    async def compose(self) -> None:
        """A syllable, through its states."""
        states = self._random.choice(SYLLABLES)
        await self._page.compose(*states)
        await self._page.finish(states[-1])

    async def break_off(self) -> None:
        """A syllable that is deleted before it is done."""
        await self._page.compose(*self._random.choice(SYLLABLES), "")

    async def type(self) -> None:
        await self._page.type(self._random.choice([" ", ".", ". ", "a", "!", "수도", "?\" "]))

    async def delete(self) -> None:
        for _ in range(self._random.randint(1, 4)):
            await self._page.press(self._random.choice(["Backspace", "Delete"]))

    async def move(self) -> None:
        key = self._random.choice(["ArrowLeft", "ArrowRight", "ArrowUp", "Home", "End", "Enter"])
        await self._page.press(key)

    async def paste(self) -> None:
        await self._page.finish(self._random.choice(PASTED))

    async def paste_over(self) -> None:
        """Over what is marked."""
        for _ in range(self._random.randint(1, 6)):
            await self._page.press("ArrowLeft", SHIFT)
        await self.paste()

    async def finish_all(self) -> None:
        await self._page.press("Enter", CONTROL)

    async def lose(self) -> None:
        self._wire.cut()


@pytest.mark.timeout(3600 if LONG else 120)
@pytest.mark.parametrize("seed", SEEDS)
async def test_the_result_is_that_of_a_fresh_conversion(address: str, seed: int) -> None:
    wire = Wire(address)
    with Browser() as browser:
        async with wire.laid() as target, Upstream(Access(target=target)) as upstream:
            async with listening(upstream, 0) as url, browser.page(url) as page, Client(address) as client:
                await page.until("document.activeElement.id", "source")
                typist = Typist(page, wire, seed)
                for number in range(ACTIONS):
                    await typist.act()
                    if number % 10 == 9:
                        await agrees(page, client)
                await agrees(page, client)
                assert page.complaints == []
                length = await page.value("document.querySelector('#source').value.length")
    note("browser", seed=seed, length=length, **typist.counts)


async def agrees(page: Page, client: Client) -> None:
    """Wait until the page shows what its text becomes when it is new to the server."""
    text = await page.value("document.querySelector('#source').value")
    async with client.live() as live:
        await live.replace(text)
        await live.flush()
        expected = live.text
    await page.until("document.querySelector('#result').textContent", expected)
