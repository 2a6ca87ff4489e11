"""Take the picture of the page for the README: python -m tests.web.picture docs/web.png.

It shows the page as it is, with the bundle that comes along: what the model gets wrong is in the picture.
"""

import asyncio
import sys
from pathlib import Path

from hanjaserve.client.access import Access
from hanjaserve.models import default_bundle_path
from hanjaserve.web.site import listening
from hanjaserve.web.upstream import Upstream
from tests.e2e.process import ServerProcess
from tests.support.browser import Browser, Page

SIZE = {"width": 960, "height": 520, "deviceScaleFactor": 1, "mobile": False}
TEXT = (
    "대한민국의 경제와 문화를 연구하는 학생들이 도서관에서 역사를 공부한다. "
    "전화를 걸어 시간과 장소를 확인했"
)
LAST = ["ㄷ", "다"]


async def show(page: Page) -> bytes:
    """Type, compose the last syllable, choose ruby, point at a word."""
    await page.send("Emulation.setDeviceMetricsOverride", **SIZE)
    await page.click("input[value=ruby]")
    await page.click("#source")
    await page.type(TEXT)
    await page.compose(*LAST)
    await page.until("document.querySelector('#result .composing')?.textContent", LAST[-1])
    await page.point_at(".interim .word")
    await page.until("document.querySelector('#menu').hidden", False)
    return await page.screenshot()


async def take() -> bytes:
    """Take it; PNG."""
    with ServerProcess(default_bundle_path()) as server, Browser() as browser:
        access = Access(target=server.address)
        async with Upstream(access) as upstream, listening(upstream, 0) as url, browser.page(url) as page:
            return await show(page)


def main(path: Path) -> None:
    """Take it, and keep it."""
    path.write_bytes(asyncio.run(take()))
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
