"""A real server behind a real bridge, in front of it a client that is no browser."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from hanjaserve.client.access import Access
from hanjaserve.web.site import listening
from hanjaserve.web.upstream import Upstream
from tests.e2e.process import ServerProcess


@pytest.fixture(scope="session")
def address(tiny_bundle: Path) -> Iterator[str]:
    with ServerProcess(tiny_bundle) as running:
        yield running.address


@pytest.fixture
async def site(address: str) -> AsyncIterator[str]:
    """The address of the page."""
    async with Upstream(Access(target=address)) as upstream, listening(upstream, 0) as url:
        yield url


@pytest.fixture
async def away() -> AsyncIterator[str]:
    """The same without a server behind it."""
    async with Upstream(Access(target="127.0.0.1:1")) as upstream, listening(upstream, 0) as url:
        yield url


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
