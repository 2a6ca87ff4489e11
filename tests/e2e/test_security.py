"""TLS, mutual TLS and tokens: a real server, both clients and the command line."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from hanjaserve.client import Client, ConvertError, RetryPolicy, SyncClient, tls
from tests.support.certificates import Authority, Pair

from .process import ServerProcess
from .test_lifecycle import refused

TEXT = "대한민국의 수도는 서울이다"
ONCE = RetryPolicy(max_attempts=1)


@dataclass
class Secured:
    server: ServerProcess
    authority: Authority
    mine: Pair
    token: str
    tokens: Path
    servers: Pair

    @property
    def credentials(self) -> grpc.ChannelCredentials:
        return tls(ca=self.authority.path, cert=self.mine.cert, key=self.mine.key)


def hanjaserve(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hanjaserve.cli.main", *arguments]
    env = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)


@pytest.fixture(scope="module")
def secured(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("tls")
    authority, tokens = Authority(folder), folder / "tokens"
    made = hanjaserve("token", "test", "--rights", "convert", "--file", str(tokens))
    token = made.stdout.strip()
    pair = authority.issue("server")
    flags = ["--tls-cert", str(pair.cert), "--tls-key", str(pair.key)]
    flags += ["--tls-client-ca", str(authority.path), "--tokens", str(tokens), "--log-level", "debug"]
    with ServerProcess(tiny_bundle, *flags) as server:
        yield Secured(server, authority, authority.issue("caller"), token, tokens, pair)


def test_both_clients_over_mutual_tls_with_a_token(secured: Secured) -> None:
    with SyncClient(secured.server.address, credentials=secured.credentials, token=secured.token) as client:
        assert client.convert(TEXT).text.startswith("大韓民國")
        assert [r.text for r in client.convert_stream(["수도"])] == ["首都"]  # type: ignore[union-attr]


async def test_aio_client(secured: Secured) -> None:
    async with Client(secured.server.address, credentials=secured.credentials, token=secured.token) as client:
        assert (await client.convert(TEXT)).text.startswith("大韓民國")


def test_command_line(secured: Secured) -> None:
    flags = ["--target", secured.server.address, "--ca", str(secured.authority.path)]
    mine = ["--cert", str(secured.mine.cert), "--key", str(secured.mine.key)]
    done = hanjaserve("convert", *flags, *mine, TEXT, HANJASERVE_TOKEN=secured.token)
    assert done.stdout.startswith("大韓民國"), done.stderr
    done = hanjaserve("convert", *flags, *mine, TEXT, HANJASERVE_TOKEN="hjs_wrong")
    assert done.returncode
    assert "UNAUTHENTICATED" in done.stderr


def test_command_line_says_what_is_wrong_with_tls(secured: Secured, tmp_path: Path) -> None:
    target = ["--target", secured.server.address]
    done = hanjaserve("convert", *target, TEXT)
    assert (done.returncode, "a server with TLS wants --ca or --tls" in done.stderr) == (3, True), done.stderr
    strangers = Authority(tmp_path, "strangers")
    done = hanjaserve("convert", *target, "--ca", str(strangers.path), TEXT)
    assert "(certificate_verify_failed): --ca names the authority" in done.stderr


def test_failed_handshakes_leave_the_log_alone(secured: Secured) -> None:
    host, port = secured.server.address.split(":")
    with socket.create_connection((host, int(port))) as stranger:
        stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
        while stranger.recv(1024):
            pass
    assert all(line.startswith("{") for line in secured.server.log)


def test_who_lacks_certificate_or_token_stays_out(secured: Secured, tmp_path: Path) -> None:
    address = secured.server.address
    strangers = Authority(tmp_path, "strangers")
    foreign = strangers.issue("caller")
    for credentials in (
        None,
        tls(ca=secured.authority.path),
        tls(ca=secured.authority.path, cert=foreign.cert, key=foreign.key),
        tls(ca=strangers.path, cert=secured.mine.cert, key=secured.mine.key),
    ):
        with SyncClient(address, credentials=credentials, token=secured.token, retry=ONCE) as client:
            with pytest.raises(ConvertError) as caught:
                client.convert(TEXT)
            assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    for token in (None, "hjs_wrong"):
        with SyncClient(address, credentials=secured.credentials, token=token, retry=ONCE) as client:
            with pytest.raises(ConvertError) as caught:
                client.convert(TEXT)
            assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED


def test_certificates_and_tokens_are_renewed_while_it_runs(secured: Secured) -> None:
    """A second authority signs the new certificate, so only the new one can satisfy the new client."""
    new_authority = Authority(secured.tokens.parent, "new-authority")
    new = new_authority.issue("server", file="new-server")
    mine = secured.mine
    old = SyncClient(secured.server.address, credentials=secured.credentials, token=secured.token)
    old.convert(TEXT)
    secured.servers.key.write_bytes(new.key.read_bytes())
    secured.servers.cert.write_bytes(new.cert.read_bytes())
    added = hanjaserve("token", "second", "--file", str(secured.tokens)).stdout.strip()
    credentials = tls(ca=new_authority.path, cert=mine.cert, key=mine.key)
    give_up = time.monotonic() + 20
    while True:
        with SyncClient(secured.server.address, credentials=credentials, token=added, retry=ONCE) as client:
            try:
                assert client.convert(TEXT).text.startswith("大韓民國")
                break
            except ConvertError:
                assert time.monotonic() < give_up
                time.sleep(0.2)
    old.convert(TEXT)  # the open connection goes on
    old.close()


def test_no_token_is_ever_logged(secured: Secured) -> None:
    text = "\n".join(secured.server.log)
    assert "hjs_" not in text
    assert '"caller": "test"' in text


def test_public_address_without_tls_is_refused(tiny_bundle: Path) -> None:
    line = refused("--bundle", str(tiny_bundle), "--host", "0.0.0.0", "--port", "0")
    assert "--tls-cert" in line
    assert "--allow-plaintext yes" in line


def test_client_does_not_send_a_token_in_plain_text() -> None:
    with pytest.raises(ValueError, match="plain text"):
        SyncClient("hanja.example:443", token="hjs_x")
    with pytest.raises(ValueError, match="printable"):
        SyncClient("127.0.0.1:1", token="hjs_x\n")
    with pytest.raises(ValueError, match="give both"):
        tls(cert="a")
