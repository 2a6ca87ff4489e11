"""What options do to a text, with the tiny bundle: its model knows words of two syllables."""

import html
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hanjaserve.server.assembly import Assembly, Conversion
from hanjaserve.server.characters import CharacterSet, characters_of, educational
from hanjaserve.server.codec import make_codec
from hanjaserve.server.errors import BadOption, HanjaserveError
from hanjaserve.server.glossary import Glossary, GlossaryEntry
from hanjaserve.server.local import LocalConverter
from hanjaserve.server.options import Options, Rendering
from hanjaserve.server.segment import Text, arrays_of, jobs
from hanjaserve.server.spans import Source
from hanjaserve.server.words import Words

Word = tuple[str, str]


@pytest.fixture(scope="module")
def converter(tiny_bundle: Path) -> Iterator[LocalConverter]:
    with LocalConverter.open(tiny_bundle, threads=1) as converter:
        yield converter


def words(conversion: Conversion) -> list[Word]:
    return [(span.hangul, span.hanja) for span in conversion.spans]


def glossary(**entries: str) -> Glossary:
    found = [GlossaryEntry(hangul=h, hanja=j, keep=not j, allow_any_reading=True) for h, j in entries.items()]
    return Glossary(found)


def test_words_follow_the_dictionary(converter: LocalConverter) -> None:
    assert words(converter.convert("대한민국수도학교")) == [
        ("대한민국", "大韓民國"), ("수도", "首都"), ("학교", "學校"),
    ]  # fmt: skip


def test_min_score_is_that_of_a_word(converter: LocalConverter) -> None:
    # 60000/65535 a syllable, which is that of any word.
    for with_spans in (True, False):
        for score, expected in ((0.91, "大韓民國首都를"), (0.92, "대한민국수도를")):
            options = Options(min_score=score, with_spans=with_spans)
            assert converter.convert("대한민국수도를", options).text == expected


def test_first_occurrence_is_that_of_a_word(converter: LocalConverter) -> None:
    options = Options(first_occurrence_only=True)
    assert converter.convert("수도학교 학교수도 상수도", options).text == "首都學校 학교수도 상水道"


def test_character_sets(converter: LocalConverter) -> None:
    options = Options(characters=frozenset("首都大韓民國"), max_alternatives=2)
    conversion = converter.convert("대한민국 수도를 학교, 상수도", options)
    assert conversion.text == "大韓民國 首都를 학교, 상수도"
    assert all(not span.alternatives for span in conversion.spans)
    assert converter.convert("수도", replace(options, characters=frozenset())).text == "수도"


def test_educational_characters() -> None:
    assert len(educational()) == 1800
    assert "".join(sorted(educational()))[:3] == "一丁七"
    assert characters_of(CharacterSet.EDUCATIONAL) == educational()
    assert characters_of(CharacterSet.ALL) is None
    assert characters_of(CharacterSet.CUSTOM, "首都首") == {"首", "都"}
    for kind, custom, message in [
        (CharacterSet.ALL, "首", "character_set is ALL"),
        (CharacterSet.CUSTOM, "首a", "U\\+0061, which is no Hanja"),
        (CharacterSet.CUSTOM, "首" * 32_769, "32769 Hanja, the limit is 32768"),
    ]:
        with pytest.raises(BadOption, match=message):
            characters_of(kind, custom)


@pytest.mark.parametrize("text", ["", "a", "수도", "를 수도 首都는 樂", "대한민국수도를 김영희, 國民"])
@pytest.mark.parametrize("read_hanja", [True, False])
def test_spans_with_kept_rebuild_the_text(converter: LocalConverter, text: str, read_hanja: bool) -> None:
    options = Options(with_kept=True, read_hanja=read_hanja, glossary=glossary(김영희="金英姬"))
    conversion = converter.convert(text, options)
    rebuilt = [span.hanja if span.source is Source.READING else span.hangul for span in conversion.spans]
    assert "".join(rebuilt) == text
    assert "".join(span.hanja or span.hangul for span in conversion.spans) == conversion.text
    for span in conversion.spans:
        assert text[span.start : span.end] == (span.hanja if span.source is Source.READING else span.hangul)


def test_with_kept_needs_spans() -> None:
    with pytest.raises(BadOption, match="with_kept is set without with_spans"):
        Options(with_kept=True, with_spans=False).validate(())


@pytest.mark.parametrize(
    ("rendering", "text"),
    [
        (Rendering.HANJA, "首都 首都 <女>"),
        (Rendering.HANGUL_HANJA, "수도(首都) 수도(首都) <女>"),
        (Rendering.HANJA_HANGUL, "首都(수도) 首都(수도) <女>"),
        (Rendering.HANGUL, "수도 수도 <女>"),
    ],
)
def test_hanja_are_read_in_every_rendering(
    converter: LocalConverter, rendering: Rendering, text: str
) -> None:
    assert converter.convert("수도 首都 <女>", Options(rendering=rendering, read_hanja=True)).text == text
    plain = converter.convert("首都 가", Options(rendering=rendering)).text
    assert plain == ("수도 가" if rendering is Rendering.HANGUL else "首都 가")


def test_ruby_of_hanja_is_escaped(converter: LocalConverter) -> None:
    ruby = converter.convert("<b>首都</b>", Options(rendering=Rendering.RUBY, read_hanja=True)).text
    assert ruby == "&lt;b&gt;<ruby>首都<rp>(</rp><rt>수도</rt><rp>)</rp></ruby>&lt;/b&gt;"


def test_there_and_back(converter: LocalConverter) -> None:
    text = "대한민국 수도, 학교가 학교에서 음악을 듣는다"
    mixed = converter.convert(text).text
    assert converter.convert(mixed, Options(rendering=Rendering.HANGUL)).text == text
    half = "大韓民國 수도, 학교가 學校에서 음악을 듣는다"
    assert converter.convert(half).text == mixed


def test_glossary_wins(converter: LocalConverter) -> None:
    options = Options(
        glossary=glossary(수도="水稻", 학교="", 도의="道義"), min_score=1.0, characters=frozenset("水稻道義")
    )
    conversion = converter.convert("수도를 도의사 학교 음악", options)
    assert conversion.text == "水稻를 道義사 학교 음악"
    assert [span.source for span in conversion.spans] == [Source.GLOSSARY] * 2
    assert converter.convert("수도의 도", options).text == "水稻의 도"
    first = replace(options, first_occurrence_only=True)
    assert converter.convert("수도 수도", first).text == "水稻 수도"
    ruby = replace(options, rendering=Rendering.HANGUL_HANJA, with_spans=False)
    assert converter.convert("수도는", ruby).text == "수도(水稻)는"


def convert(converter: LocalConverter, text: str, skip: int, options: Options, job_tokens: int) -> Conversion:
    """In jobs of that size, so that borders fall everywhere."""
    bundle = converter.bundle
    codec = make_codec(bundle)
    assembly = Assembly(codec, bundle.labels(), options, words=Words.open(bundle))
    results: list[tuple[int, Conversion | HanjaserveError]] = []
    for job in jobs(codec, [Text(0, text, skip)], options, job_tokens):
        results += assembly.finish(job, list(converter._run(arrays_of(job))))
    ((_, result),) = results
    assert isinstance(result, Conversion)
    return result


@pytest.mark.parametrize("rendering", [Rendering.HANJA, Rendering.HANGUL_HANJA, Rendering.RUBY])
@pytest.mark.parametrize("spaces", ["", " "])
def test_borders_do_not_matter_to_a_glossary(
    converter: LocalConverter, rendering: Rendering, spaces: str
) -> None:
    """Entries that overlap each other and every border, against a search over the whole text."""
    entries = {"김영희가나다라마바": "金英姬可那多羅馬婆", "가나다라": "可那多羅", "영희": "英姬"}
    entries |= {"희가": "", "나다": "那多", "다": "茶"}
    options = Options(rendering=rendering, glossary=glossary(**entries), with_kept=True)
    chance = random.Random(3)
    for _ in range(10):
        text = "".join(chance.choices([*entries, "자", "차", "나", "희", *spaces], k=150))
        assert options.glossary is not None
        wanted, done = [], 0
        for match in options.glossary.find(text):
            wanted.append(html.escape(text[done : match.start]))
            hangul, done = text[match.start : match.end], match.end
            wanted.append(one_word(hangul, match.hanja, rendering))
        wanted.append(text[done:])
        conversion = convert(converter, text, 0, options, job_tokens=8)
        assert conversion.text == "".join(wanted)
        assert "".join(span.hangul for span in conversion.spans) == text


def one_word(hangul: str, hanja: str | None, rendering: Rendering) -> str:
    if hanja is None:
        return hangul
    return {
        Rendering.HANJA: hanja,
        Rendering.HANGUL_HANJA: f"{hangul}({hanja})",
        Rendering.RUBY: f"<ruby>{hanja}<rp>(</rp><rt>{hangul}</rt><rp>)</rp></ruby>",
    }[rendering]


@pytest.mark.parametrize("job_tokens", [8, 8192])
@pytest.mark.parametrize("with_spans", [True, False])
def test_context_is_seen_and_left_out(converter: LocalConverter, job_tokens: int, with_spans: bool) -> None:
    options = Options(with_spans=with_spans)
    conversion = convert(converter, "상수도", 1, options, job_tokens)
    assert conversion.text == "水道"
    assert convert(converter, "상 수도가" * 20, 3, options, job_tokens).text.startswith("都가상 水都가")
    if with_spans:
        assert [(span.start, span.end, span.hangul) for span in conversion.spans] == [(0, 2, "수도")]
        assert convert(converter, "수도", 1, options, job_tokens).spans[0].hangul == "도"
    glossed = Options(glossary=glossary(상수="上水", 수="水", 도="陶"))
    assert convert(converter, "상수도", 1, glossed, job_tokens).text == "水陶"
    reading = Options(rendering=Rendering.HANGUL)
    assert convert(converter, "首都首都", 2, reading, job_tokens).text == "수도"


def test_texts_of_a_batch_do_not_touch(converter: LocalConverter) -> None:
    options = Options(glossary=glossary(수도="水稻", 도수="度數"))
    texts = ["학교", "수", "도", "수도", "도수도", ""]
    assert [found.text for found in converter.convert_batch(texts, options)] == [
        "學校", "首", "都", "水稻", "度數都", "",
    ]  # fmt: skip
