"""Who may use the bridge: judged by itself, and at every door of the real thing."""

import aiohttp
import pytest

from hanjaserve.web.calls import SERVICE
from hanjaserve.web.page import HEADERS
from hanjaserve.web.visitors import refusal

HOST = "127.0.0.1:8080"


@pytest.mark.parametrize("host", [HOST, "localhost:9000", "localhost", "[::1]:8080", "127.0.0.1"])
def test_own_page(host: str) -> None:
    assert refusal(host, [f"http://{host}"]) is None
    assert refusal(host, []) is None, "a program other than a browser"


@pytest.mark.parametrize(
    "host",
    ["evil.example:8080", "127.0.0.1.evil.example", "evil.example#127.0.0.1", "127.0.0.1:80:80", "127.0.0.1:",
     "127.1", "0.0.0.0:8080", "localhost.:8080", "", "127.0.0.1\n", "127.0.0.1:८०"],
)  # fmt: skip
def test_names_that_are_not_this_machine(host: str) -> None:
    assert "for the machine it runs on" in (refusal(host, [f"http://{host}"]) or "")


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://127.0.0.1:8080", "http://127.0.0.1:8081", "http://localhost:8080",
     "http://127.0.0.1:8080/", "http://127.0.0.1:8080.evil.example", ""],
)  # fmt: skip
def test_pages_of_others(origin: str) -> None:
    assert f"open http://{HOST} itself" in (refusal(HOST, [origin]) or "")
    assert refusal(HOST, [f"http://{HOST}", origin]), "one of two will not do"


@pytest.mark.parametrize("path", ["", "page.js", "live", f"{SERVICE}/Convert", "nothing"])
@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
async def test_every_door_is_shut(
    site: str, http: aiohttp.ClientSession, path: str, headers: dict[str, str]
) -> None:
    method = "POST" if SERVICE in path else "GET"
    async with http.request(method, site + path, headers=headers) as answer:
        assert answer.status == 403
        assert answer.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
async def test_no_web_socket_for_others(
    site: str, http: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(f"{site}live", headers=headers)
    assert refused.value.status == 403
    async with http.ws_connect(f"{site}live", headers={"Origin": site.rstrip("/")}) as socket:
        assert not socket.closed


async def test_headers_on_every_answer(site: str, http: aiohttp.ClientSession) -> None:
    for path in ("", "page.js", "style.css", "icon.svg", "nothing", f"{SERVICE}/Convert"):
        async with http.get(site + path) as answer:
            assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, path
