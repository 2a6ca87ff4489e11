import logging
from pathlib import Path

import pytest

from hanjaserve.server.errors import ConfigError
from hanjaserve.server.tls import Certificates
from tests.support.certificates import Authority


def test_pair_that_does_not_match_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    one, two = authority.issue("one"), authority.issue("two")
    Certificates(one.cert, one.key, authority.path)
    with pytest.raises(ConfigError, match="don't work"):
        Certificates(one.cert, two.key)
    with pytest.raises(ConfigError, match="holds no certificates"):
        Certificates(one.cert, one.key, one.key)
    with pytest.raises(ConfigError, match="nowhere"):
        Certificates(tmp_path / "nowhere", one.key)


def test_key_with_a_passphrase_is_refused_without_asking_for_it(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as s

    pair = Authority(tmp_path).issue("one")
    key = s.load_pem_private_key(pair.key.read_bytes(), None)
    secret = s.BestAvailableEncryption(b"secret")
    pair.key.write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, secret))
    with pytest.raises(ConfigError, match="the key has a passphrase"):
        Certificates(pair.cert, pair.key)


def test_half_renewed_pair_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("one")
    certificates = Certificates(pair.cert, pair.key)
    assert certificates._newer() is None
    assert not certificates.refresh()
    new = authority.issue("new")
    pair.cert.write_bytes(new.cert.read_bytes())
    with caplog.at_level(logging.ERROR):
        assert not certificates.refresh()
    assert "old certificates stay in force" in caplog.text
    assert certificates._newer() is None
    pair.key.write_bytes(new.key.read_bytes())
    assert certificates.refresh()
    assert certificates._newer() is not None
    assert certificates._newer() is None
