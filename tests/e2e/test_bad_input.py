"""Whatever comes in: the same length comes out, and only Hangul syllables may have changed."""

import unicodedata
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hanjaserve.v1 import hanjaserve_pb2 as pb
from tests.chaos.http2 import RawConnection
from tests.e2e.process import ServerProcess

HANGUL = "대한민국의 수도는 서울이다"

PIECES = st.one_of(
    st.sampled_from(list(HANGUL)),
    st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3),  # syllables, common or not
    st.characters(min_codepoint=0x1100, max_codepoint=0x11FF),  # conjoining jamo, NFD, old Hangul
    st.characters(min_codepoint=0x3131, max_codepoint=0x318E),  # compatibility jamo
    st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF),  # Hanja
    st.characters(min_codepoint=0xE000, max_codepoint=0xF8FF),  # private use, as old Hangul was
    st.sampled_from("\0\x01\x02\x03\x07\t\n\r\x7f\x85\u2028 "),  # the encoding's own markers, too
    st.sampled_from("\u200b\u200c\u200d\ufeff\u2060\u202a\u202e\u2066\u2069\ufffd\uffff"),
    st.sampled_from("🙂👩🏽‍🚀𠀀𪚥𝔸\U0010ffff"),
    st.characters(codec="utf-8"),
    st.just(unicodedata.normalize("NFD", HANGUL)),
    st.just(HANGUL + ". "),
)
TEXTS = st.lists(PIECES, max_size=60).map("".join)


def check(text: str, result: str) -> None:
    assert len(result) == len(text)
    for before, after in zip(text, result, strict=True):
        if before != after:
            assert "가" <= before <= "힣"
            assert unicodedata.name(after).startswith("CJK ")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, max_size=5))
@example(texts=[""])
@example(texts=["\0", "\x01\x02\x03", "ㄱㄴㅏ", "한글 옛말", "首都 수도", "수\u200b도"])
@example(texts=["🙂", "\U0010ffff", "\uffff", unicodedata.normalize("NFD", HANGUL)])
def test_any_text_keeps_its_length_and_everything_but_syllables(stub: Any, texts: list[str]) -> None:
    response = stub.BatchConvert(pb.BatchConvertRequest(texts=texts))
    for text, result in zip(texts, response.results, strict=True):
        check(text, result.conversion.text)
        single = stub.Convert(pb.ConvertRequest(text=text)).conversion.text
        assert single == result.conversion.text


@pytest.mark.parametrize(
    "text",
    ["가" * 349_525, " " * 10_000, "a" * 100_000, "\0" * 10_000, (HANGUL + ". ") * 2_000],
    ids=["1 MB of one syllable", "spaces", "letters", "nul", "sentences"],
)
def test_long_texts(stub: Any, text: str) -> None:
    check(text, stub.Convert(pb.ConvertRequest(text=text)).conversion.text)


def test_empty_text_converts_to_itself(stub: Any) -> None:
    assert stub.Convert(pb.ConvertRequest()) == pb.ConvertResponse(conversion=pb.Conversion())


def test_headers_that_gRPC_cannot_read_leave_the_log_alone(server: ServerProcess, stub: Any) -> None:
    """gRPC would write a line of its own for each, with bytes of the stranger."""
    for _ in range(5):
        with RawConnection(server.address) as raw:
            raw.send(raw.headers(1, extra=(("te", "what the stranger likes"), (":status", "no number"))))
    check(HANGUL, stub.Convert(pb.ConvertRequest(text=HANGUL)).conversion.text)
    assert [line for line in server.log if not line.startswith("{")] == []
