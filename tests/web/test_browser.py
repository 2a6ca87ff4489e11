"""The page in a real Chromium, with real key and mouse events, in front of a real server.

What words become is asked of the Python client, so nothing here depends on a model.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hanjaserve.client import Client
from hanjaserve.client.access import Access
from hanjaserve.web.site import listening
from hanjaserve.web.upstream import Upstream
from tests.e2e.process import ServerProcess
from tests.support.browser import CHROMIUM, CONTROL, Browser, Page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: `apt-get install chromium`")

RESULT = "document.querySelector('#result').textContent"
MENU = "document.querySelector('#menu').hidden"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture
async def page(browser: Browser, site: str) -> AsyncIterator[Page]:
    async with browser.page(site) as page:
        await page.until("document.activeElement.id", "source")
        yield page
        assert page.complaints == []
        host = site.removeprefix("http://")
        assert {url.split("://")[1].split("/")[0] + "/" for url in page.requests} == {host}


async def live_text(address: str, text: str, **options: object) -> str:
    """What the Python client makes of a document."""
    async with Client(address) as client, client.live(**options) as live:  # type: ignore[arg-type]
        await live.replace(text)
        await live.flush()
        return live.text


async def spellings_of(address: str, text: str) -> list[str]:
    """The score of the last word of a text as the page shows it, and its spellings, that in Hangul last."""
    async with Client(address) as client:
        span = (await client.convert(text, max_alternatives=5)).spans[-1]
    others = [other.hanja for other in span.alternatives]
    return [f"{100 * span.score:.0f} %", span.hanja, *others, span.hangul]


async def test_typing_with_an_input_method(page: Page, address: str) -> None:
    for states in (["ㄷ", "대"], ["ㅎ", "하", "한"], ["ㅁ", "미", "민"], ["ㄱ", "구", "국"]):
        await page.compose(*states)
        await page.finish(states[-1])
    await page.until(RESULT, await live_text(address, "대한민국"))
    await page.compose("ㅇ", "으")
    await page.until(RESULT, await live_text(address, "대한민국으"))
    await page.until("document.querySelector('#result .composing')?.textContent", "으")
    await page.finish("의")
    await page.until("document.querySelector('#result .composing')", None)
    await page.type(" 수도. 상수도")
    await page.until(RESULT, await live_text(address, "대한민국의 수도. 상수도"))
    for _ in "상수도":
        await page.press("Backspace")
    await page.press("Home")
    await page.press("Enter")
    await page.until(RESULT, await live_text(address, "\n대한민국의 수도. "))


async def test_interim_and_final(page: Page) -> None:
    segments = "[...document.querySelectorAll('.segment')].map(s => s.className).join()"
    await page.type("학교. 수도")
    await page.until(segments, "segment final,segment interim")
    await page.press("Enter", CONTROL)
    await page.until(segments, "segment final,segment final")


async def test_other_spellings_by_mouse(page: Page, address: str) -> None:
    await page.type("상수도 ")
    converted = await live_text(address, "상수도 ")
    await page.until(RESULT, converted)
    await page.point_at(".word")
    await page.until(MENU, False)
    shown = await page.value("[...document.querySelectorAll('#menu button')].map(b => b.innerText)")
    score, *spellings = await spellings_of(address, "상수도 ")
    assert [text[: len(spelling)] for text, spelling in zip(shown, spellings, strict=True)] == spellings
    assert score in shown[0]
    await page.click("#menu li:nth-child(2) button")
    await page.until(RESULT, f"상{spellings[1]} ")
    await page.until(MENU, True)
    await page.click("#source")
    await page.press("Home")
    await page.type("물 ")
    await page.until(RESULT, f"물 상{spellings[1]} ")


async def test_other_spellings_by_keyboard(page: Page, address: str) -> None:
    await page.type("학교 상수도")
    await page.until(RESULT, await live_text(address, "학교 상수도"))
    await page.press("Tab")
    await page.press("ArrowRight")
    await page.press("Enter")
    await page.until(MENU, False)
    await page.press("ArrowUp")  # from the first one, to the word in Hangul
    await page.until("document.activeElement.parentElement.innerText.includes('Hangul')", True)
    await page.press("Escape")
    await page.until(f"[{MENU}, document.activeElement.className].join()", "true,word")
    await page.press("Enter")
    await page.press("2")
    _, _, other, *_ = await spellings_of(address, "학교 상수도")
    await page.until(RESULT, f"{await live_text(address, '학교')} 상{other}")
    await page.until("document.activeElement.className", "word chosen")


async def test_a_word_that_is_always_written_so(page: Page, address: str) -> None:
    await page.type("상수도 상수도")
    await page.until(RESULT, await live_text(address, "상수도 상수도"))
    await page.point_at(".word")
    await page.click("#menu input")
    await page.click("#menu li:last-child button")
    await page.until(RESULT, await live_text(address, "상수도 상수도", glossary={"수도": None}))
    await page.until("document.querySelector('#kept').innerText.startsWith('수도 → 수도')", True)
    await page.send("Page.reload")
    await page.until("document.readyState + document.activeElement?.id", "completesource")
    await page.value("document.querySelector('#source').value = ''")
    await page.type("수도")
    await page.until(RESULT, "수도")
    await page.click("#kept button")
    await page.until(RESULT, await live_text(address, "수도"))


async def test_renderings_and_hostile_text(page: Page, address: str) -> None:
    text = "<img src=x onerror=alert(1)>수도&<b>"
    await page.type(text)
    for rendering in ("hangul-hanja", "hanja-hangul", "hanja"):
        await page.click(f"input[value={rendering}]")
        await page.until(RESULT, await live_text(address, text, rendering=rendering))
    await page.click("input[value=ruby]")
    await page.until("document.querySelector('#result ruby')?.textContent", "首都(수도)")
    assert await page.value("document.querySelectorAll('#result :is(img, b, script)').length") == 0
    with pytest.raises(AssertionError, match="TrustedHTML"):
        await page.value("document.querySelector('#result').innerHTML = '<b>x</b>'")
    page.complaints.clear()


async def test_copying(page: Page, browser: Browser, site: str, address: str) -> None:
    permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"]
    await page.send("Browser.grantPermissions", origin=site.rstrip("/"), permissions=permissions)
    await page.type("수도 <")
    await page.until(RESULT, await live_text(address, "수도 <"))
    await page.click("input[value=ruby]")
    await page.until("document.querySelectorAll('#result ruby').length", 1)
    await page.click("#copy")
    await page.until("document.querySelector('#status').textContent", "Copied")
    assert await page.value("navigator.clipboard.readText()") == "首都(수도) <"
    read = "navigator.clipboard.read().then(([item]) => item.getType('text/html'))"
    html = await page.value(f"{read}.then((blob) => blob.text())")
    assert "<ruby>首都<rp>(</rp><rt>수도</rt><rp>)</rp></ruby>" in html and "&lt;" in html


async def test_dark_and_light(page: Page) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    seen = []
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await page.send("Emulation.setEmulatedMedia", features=features)
        seen.append(await page.value(colour))
    assert seen == ["rgb(251, 250, 247)", "rgb(25, 24, 23)"]


async def test_what_is_typed_while_the_server_is_away(browser: Browser, tiny_bundle: Path) -> None:
    with ServerProcess(tiny_bundle) as first:
        access = Access(target=first.address)
        async with Upstream(access) as upstream, listening(upstream, 0) as url, browser.page(url) as page:
            await page.type("학교. 수")
            converted = await live_text(first.address, "학교. 수")
            await page.until(RESULT, converted)
            first.kill()
            await page.until("document.querySelector('#retry').hidden", False)
            told = f"document.querySelector('#status').textContent.includes('no server at {first.address}')"
            await page.until(told, True)
            await page.type("도")
            with ServerProcess(tiny_bundle, "--port", first.address.rsplit(":", 1)[1]) as second:
                await page.until(RESULT, await live_text(second.address, "학교. 수도"))
                await page.until("document.querySelector('#retry').hidden", True)
