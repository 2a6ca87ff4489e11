"""Single calls over HTTP, by the Connect protocol."""

import io
from pathlib import Path

import aiohttp
import pytest

from hanjaserve.client import Unavailable, tls
from hanjaserve.client.access import Access
from hanjaserve.v1 import hanjaserve_pb2 as pb
from hanjaserve.web.calls import CONTENT_TYPE, MAX_MESSAGE_BYTES, SERVICE
from hanjaserve.web.upstream import Upstream
from tests.e2e.process import ServerProcess
from tests.support.certificates import Authority
from tests.support.tiny import convert

TEXT = "대한민국의 수도"


async def post(
    http: aiohttp.ClientSession, site: str, method: str, body: bytes, content_type: str = CONTENT_TYPE
) -> tuple[int, bytes]:
    headers = {"Content-Type": content_type}
    async with http.post(f"{site}{SERVICE}/{method}", data=io.BytesIO(body), headers=headers) as answer:
        return answer.status, await answer.read()


async def test_calls(site: str, http: aiohttp.ClientSession) -> None:
    request = pb.ConvertRequest(text=TEXT).SerializeToString()
    status, body = await post(http, site, "Convert", request)
    assert (status, pb.ConvertResponse.FromString(body).conversion.text) == (200, convert(TEXT))
    batch = pb.BatchConvertRequest(texts=[TEXT, "물"]).SerializeToString()
    status, body = await post(http, site, "BatchConvert", batch)
    results = pb.BatchConvertResponse.FromString(body).results
    assert (status, [result.conversion.text for result in results]) == (200, [convert(TEXT), "물"])
    status, body = await post(http, site, "GetServerInfo", b"")
    assert (status, pb.GetServerInfoResponse.FromString(body).model) == (200, "tiny")


@pytest.mark.parametrize("method", ["PutGlossary", "LiveConvert", "convert", "Convert/"])
async def test_other_methods_are_not_there(site: str, http: aiohttp.ClientSession, method: str) -> None:
    assert (await post(http, site, method, b""))[0] == 404


async def test_only_a_type_that_other_sites_cannot_send(site: str, http: aiohttp.ClientSession) -> None:
    for content_type in ("text/plain", "application/json", "application/x-www-form-urlencoded"):
        assert (await post(http, site, "Convert", b"", content_type))[0] == 415


async def test_refusals(site: str, away: str, http: aiohttp.ClientSession) -> None:
    bad = pb.ConvertRequest(text="가", options=pb.ConvertOptions(style="baroque")).SerializeToString()
    status, body = await post(http, site, "Convert", bad)
    assert (status, b'"invalid_argument"' in body, b"baroque" in body) == (400, True, True)
    status, body = await post(http, site, "Convert", b"\xff")
    assert (status, b"not valid protobuf" in body) == (400, True)
    status, body = await post(http, site, "Convert", bytes(MAX_MESSAGE_BYTES + 1))
    assert (status, b'"resource_exhausted"' in body) == (429, True)
    status, body = await post(http, away, "Convert", b"")
    assert (status, b"no server at 127.0.0.1:1" in body) == (503, True)


@pytest.mark.parametrize("given", ["0", "1"])
async def test_a_deadline(site: str, http: aiohttp.ClientSession, given: str) -> None:
    headers = {"Content-Type": CONTENT_TYPE, "Connect-Timeout-Ms": given}
    body = pb.ConvertRequest(text="수도" * 100_000).SerializeToString()
    async with http.post(f"{site}{SERVICE}/Convert", data=body, headers=headers) as answer:
        assert answer.status == 504
        assert (await answer.json())["code"] == "deadline_exceeded"


async def test_what_is_wrong_with_tls(address: str, tiny_bundle: Path, tmp_path: Path) -> None:
    ours, stranger = Authority(tmp_path, "ours"), Authority(tmp_path, "stranger")
    pair = ours.issue("server")
    flags = ("--tls-cert", str(pair.cert), "--tls-key", str(pair.key))
    with ServerProcess(tiny_bundle, *flags) as secured:
        for target, credentials, told in (
            (address, tls(ca=ours.path), "speaks no TLS"),
            (secured.address, None, "wants --ca or --tls"),
            (secured.address, tls(ca=stranger.path), "no TLS with"),
        ):
            async with Upstream(Access(target=target, credentials=credentials)) as upstream:
                with pytest.raises(Unavailable, match=told):
                    await upstream.call("GetServerInfo", b"", 10)
