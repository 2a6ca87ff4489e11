"""Clauses put together from nouns, verbs and endings: what looks Sino-Korean at the edge of words and is not.

할 수도 있다 and 하지도 않다 end in what is spelt 首都 and 地圖 elsewhere, 하기도 한다 in 祈禱. Such endings
are everywhere in Korean, but rare in the law and the reviews that the training text consists of. The verbs
are our own list; Kiwi joins morphemes (갈 수도 from 가+ᆯ+수+도), so every clause is spelt as people spell.
"""

import random
from collections.abc import Sequence

Morph = tuple[str, str]
"""Form and tag of the Sejong corpus, as Kiwi joins them."""

VERBS = """
    가 오 보 먹 만들 쓰 읽 찾 알 모르 살 주 받 내 듣 열 닫 넣 놓 두 나가 들어가 돌아오 일어나 앉 서 걷
    뛰 타 내리 사 팔 입 벗 고치 바꾸 지우 누르 옮기 보내 고르 나누 묻 배우 가르치 돕 기다리 만나 헤어지
    웃 울 자 깨 잃 얻 잡 놓치 느끼 믿 참 견디 버리 모으 늘리 줄이 올리 떨어지 생기 사라지 나타나 끝나
    시키 부르 이기 지 막 끊 잇 풀 묶 덮 싸우 지키 떠나
""".split()
LOOKALIKES = ("수도", "지도", "기도", "수가", "지가", "수만", "기만", "정도", "대로", "이상")
"""Nouns that are spelt like the end of a verb, which is far more frequent: drawn like other nouns, they
would be 28 of 20,000, and a model that keeps 수도 whatever stands before it would be right nearly always."""
LOOKALIKE_SHARE = 0.3
TO_BE = (("있", "VA"), ("없", "VA"))
ENDS: Sequence[Sequence[Morph]] = (
    (("다", "EF"),),
    (("었", "EP"), ("다", "EF")),
    (("습니다", "EF"),),
    (("는", "ETM"), ("것", "NNB")),
    (("지만", "EC"),),
    (("고", "EC"),),
    (("어서", "EC"),),
    (("어요", "EF"),),
    (("는데", "EC"),),
)
PARTICLES = (("도", "JX"), ("도", "JX"), ("는", "JX"), ("가", "JKS"), ("만", "JX"), None, None)
AFTER_GI: Sequence[Morph] = (("도", "JX"), ("도", "JX"), ("는", "JX"), ("만", "JX"))
_OBJECT, _PLACE = ("을", "JKO"), (("에", "JKB"), ("에서", "JKB"), ("으로", "JKB"))
CASES = (_OBJECT, _OBJECT, ("이", "JKS"), ("은", "JX"), *_PLACE, ("도", "JX"))
_OF = ("의", "JKG")
LINKS = (_OF, _OF, ("와", "JC"), ("이", "JKS"), ("은", "JX"), _OBJECT, *_PLACE, None, None)
"""Between two nouns of one topic."""


class Clauses:
    """Draws clauses.

    Args:
        nouns: with the weights they are drawn by.
        verbal: nouns that make a verb with 하다, drawn evenly.
    """

    def __init__(self, nouns: dict[str, float], verbal: Sequence[str]) -> None:
        self._nouns, self._weights = list(nouns), list(nouns.values())
        self._lookalikes = [noun for noun in LOOKALIKES if noun in nouns]
        self._verbal = verbal

    def draw(self, chance: random.Random) -> list[Morph]:
        """The morphemes of one clause; every other one begins with a noun or two."""
        clause: list[Morph] = []
        if chance.random() < 0.6:
            if chance.random() < 0.4:
                clause += [(self._noun(chance), "NNG"), ("의", "JKG")]
            clause += [(self._noun(chance), "NNG"), chance.choice(CASES)]
            if chance.random() < 0.2:
                return [*clause, (self._noun(chance), "NNG"), ("이", "VCP"), chance.choice(ENDS[0])]
        return clause + self._verb(chance) + _ending(chance)

    def about(self, nouns: Sequence[str], chance: random.Random) -> list[Morph]:
        """The morphemes of a clause with these nouns, in their order."""
        clause: list[Morph] = []
        for noun in nouns[:-1]:
            link = chance.choice(LINKS)
            clause += [(noun, "NNG"), link] if link else [(noun, "NNG")]
        clause.append((nouns[-1], "NNG"))
        if chance.random() < 0.2:
            return [*clause, ("이", "VCP"), chance.choice(ENDS[0])]
        return [*clause, chance.choice(CASES), *self._verb(chance), *chance.choice(ENDS)]

    def _noun(self, chance: random.Random) -> str:
        if self._lookalikes and chance.random() < LOOKALIKE_SHARE:
            return chance.choice(self._lookalikes)
        return chance.choices(self._nouns, self._weights)[0]

    def _verb(self, chance: random.Random) -> list[Morph]:
        if self._verbal and chance.random() < 0.4:
            return [(chance.choice(self._verbal), "NNG"), (chance.choice(("하", "하", "되")), "XSV")]
        return [(chance.choice(VERBS), "VV")]


def _ending(chance: random.Random) -> list[Morph]:
    """An ending, mostly one that a particle follows."""
    particle = chance.choice(PARTICLES)
    after: list[Morph] = [particle] if particle else []
    end = list(chance.choice(ENDS))
    kind = chance.randrange(10)
    if kind < 3:
        return [("ᆯ", "ETM"), ("수", "NNB"), *after, chance.choice(TO_BE), *end]
    if kind < 6:
        return [("지", "EC"), *after, ("않", "VX"), *end]
    if kind < 8:
        return [("기", "ETN"), chance.choice(AFTER_GI), ("하", "VV"), *end]
    if kind < 9:
        return [("ᆯ지", "EC"), ("도", "JX"), ("모르", "VV"), *end]
    return end
