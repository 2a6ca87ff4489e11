import hashlib
import logging
import os
from pathlib import Path

import pytest

from hanjaserve.server.errors import ConfigError
from hanjaserve.server.rights import Right
from hanjaserve.server.tokens import TokenFile, make_token, token_line


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    os.utime(path, ns=(0, hash(lines) % 10**15))  # another time stamp for other contents
    return path


def test_tokens_are_found_and_others_are_not(tmp_path: Path) -> None:
    one, two = make_token(), make_token()
    lines = "# comment", "", token_line("a", [Right.LIVE], one), token_line("b", [Right.CONVERT], two)
    tokens = TokenFile(write(tmp_path / "tokens", *lines))
    found = tokens.find(one)
    assert found
    assert (found.name, found.rights) == ("a", {Right.LIVE})
    assert tokens.find(make_token()) is None
    assert tokens.find("") is None
    assert tokens.find("\udcff가") is None


def test_the_file_holds_no_token() -> None:
    token = make_token()
    line = token_line("a", [Right.CONVERT], token)
    assert token not in line
    assert line.split()[2] == hashlib.sha256(token.encode()).hexdigest()
    assert len({make_token() for _ in range(100)}) == 100
    assert len(token) >= 43


def test_rotation(tmp_path: Path) -> None:
    old, new = make_token(), make_token()
    lines = [token_line("a", [Right.CONVERT], token) for token in (old, new)]
    path = write(tmp_path / "tokens", lines[0])
    tokens = TokenFile(path)
    assert not tokens.refresh()
    write(path, *lines)
    assert tokens.refresh()
    assert tokens.find(old) and tokens.find(new)
    write(path, lines[1])
    assert tokens.refresh()
    assert tokens.find(old) is None
    assert tokens.find(new)


def test_file_that_turns_bad_leaves_the_old_tokens_in_force(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = make_token()
    path = write(tmp_path / "tokens", token_line("a", [Right.CONVERT], token))
    tokens = TokenFile(path)
    write(path, "nonsense")
    with caplog.at_level(logging.ERROR):
        assert not tokens.refresh()
        assert not tokens.refresh()
        path.unlink()
        assert not tokens.refresh()
    assert "old tokens stay in force" in caplog.text
    assert tokens.find(token)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("a convert", "2 words instead of three"),
        (f"a convert {'0' * 63}", "no SHA-256"),
        (f"a root {'0' * 64}", "use convert, live, glossary, admin"),
        (f"ä convert {'0' * 64}", "a name is"),
        ("# nobody", "has no token"),
    ],
)
def test_bad_lines_are_explained_without_quoting_them(tmp_path: Path, line: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        TokenFile(write(tmp_path / "tokens", line))
    assert "0" * 20 not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        TokenFile(tmp_path / "nowhere")


def test_every_hash_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the time of an answer would tell where in the file a token stands."""
    made = [make_token() for _ in range(5)]
    lines = [token_line(f"n{i}", [Right.CONVERT], token) for i, token in enumerate(made)]
    tokens = TokenFile(write(tmp_path / "tokens", *lines))
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare)
    assert tokens.find(made[0])
    assert len(compared) == 5
