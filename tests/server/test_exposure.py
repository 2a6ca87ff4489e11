import logging

import pytest

from hanjaserve.server.config import ServerConfig
from hanjaserve.server.errors import ConfigError
from hanjaserve.server.exposure import check_exposure, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_own_addresses(host: str) -> None:
    assert is_loopback(host)
    check_exposure(ServerConfig(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"])
def test_other_addresses_need_tls_or_an_explicit_word(host: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not is_loopback(host)
    with pytest.raises(ConfigError, match="--allow-plaintext yes"):
        check_exposure(ServerConfig(host=host))
    with caplog.at_level(logging.WARNING):
        check_exposure(ServerConfig(host=host, allow_plaintext=True, tokens="file"))
        assert "plain text on" in caplog.text
        caplog.clear()
        check_exposure(ServerConfig(host=host, tls_cert="c", tls_key="k"))
        assert "may use it" in caplog.text
        caplog.clear()
        check_exposure(ServerConfig(host=host, tls_cert="c", tls_key="k", tokens="file"))
        assert caplog.text == ""


@pytest.mark.parametrize(
    "options", [{"tls_cert": "c"}, {"tls_key": "k"}, {"tls_client_ca": "a"}], ids=lambda o: next(iter(o))
)
def test_options_of_tls_belong_together(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="give"):
        ServerConfig(**options)  # type: ignore[arg-type]
