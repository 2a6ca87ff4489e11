import argparse
import socket
import sys
from pathlib import Path

import pytest

from hanjaserve.server import doctor
from hanjaserve.server.config import ServerConfig
from hanjaserve.server.doctor import Grade, certificate_age, examine
from tests.support.certificates import Authority


def faults(config: ServerConfig) -> str:
    return "\n".join(str(f) for f in examine(config) if f.grade is Grade.FAULT)


def test_everything_is_well(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run(argparse.Namespace(bundle=str(tiny_bundle), port="0", threads="1")) == 0
    text = capsys.readouterr().out
    assert "tiny" in text
    assert "passes its self-test" in text
    assert "grpcio" in text


def test_each_fault_is_named_with_what_to_do(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)
    monkeypatch.delitem(sys.modules, "hanjaserve.server.traces", raising=False)
    authority = Authority(tmp_path)
    one, two = authority.issue("one"), authority.issue("two")
    (tmp_path / "tokens").write_text("nonsense\n")
    (tmp_path / "tokens").chmod(0o666)
    found = faults(
        ServerConfig(
            bundle=str(tmp_path / "nowhere"),
            port=0,
            tls_cert=str(one.cert),
            tls_key=str(two.key),
            tokens=str(tmp_path / "tokens"),
            traces="env",
        )
    )
    for word in ("hanjaserve[otel]", "TLS", "tokens", "chmod go-w", "nowhere"):
        assert word in found
    assert "--allow-plaintext" in faults(ServerConfig(bundle=str(tiny_bundle), port=0, host="0.0.0.0"))


def test_certificates_that_end(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    grades = {days: certificate_age(authority.issue("x", days=days).cert, "it").grade for days in (90, 5, -1)}
    assert grades == {90: Grade.OK, 5: Grade.WARNING, -1: Grade.FAULT}
    assert certificate_age(tmp_path / "nowhere", "it").grade is Grade.FAULT


def test_wrong_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run(argparse.Namespace(port="x")) == 1
    assert "--port is 'x'" in capsys.readouterr().out


def test_port_that_is_taken_is_named_with_its_flag(tiny_bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = faults(ServerConfig(bundle=str(tiny_bundle), port=0, metrics_port=port))
    assert f"port {port} of 127.0.0.1: it is in use" in found
    assert found.endswith("another with --metrics-port")
