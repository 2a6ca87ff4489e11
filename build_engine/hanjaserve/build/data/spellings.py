"""How the words of the dictionaries are spelt, and how likely each spelling is without any context.

Korean has no word list with frequencies of Hanja spellings, but two things tell much: libhangul lists
a word's common spellings first, and a Sino-Korean word is mostly a word of Japanese and Chinese too, whose
frequencies wordfreq has (Speer 2022, https://github.com/rspeer/wordfreq). A spelling's weight is

    ((frequency in Japanese)^0.7 * (frequency in Chinese)^0.3 / (rank in libhangul)^1.5)^1.5

and common_spellings.txt and phrases.tsv, our own, have the words that this ranks badly. The weight breaks
ties in distant labels (`distant`) and orders the spellings that the model is offered; what a word means in
its context, the model learns.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.resources import files

from hanjaserve.build.data import sources
from hanjaserve.build.data.korean import VARIANTS
from hanjaserve.build.data.phrases import read_phrases, spellings_in
from hanjaserve.server.readings import is_hanja

FLOOR = 3e-7
"""Frequency of a word that a list doesn't have."""
RANK_POWER = 1.5
SHARPNESS = 1.5
SHARE_OF_JAPANESE = 0.7
LEAST_WEIGHT = 0.005
"""Spellings less likely than this, compared with a word's best, are no label."""

LEAST_OCCURRENCES = 3
PRIOR_SHARE = 0.3
LONGEST_WORD = 5

Frequency = Callable[[str], float]
Weights = dict[str, float]


def frequency() -> Frequency:
    """Weighted geometric mean of a spelling's frequencies in Japanese and in Chinese."""
    import opencc
    import wordfreq

    lists = [
        (opencc.OpenCC("t2jp"), wordfreq.get_frequency_dict("ja", "large")),
        (opencc.OpenCC("t2s"), wordfreq.get_frequency_dict("zh", "large")),
    ]

    def of(spelling: str) -> float:
        found = [words.get(form.convert(spelling), 0.0) + FLOOR for form, words in lists]
        return float(found[0] ** SHARE_OF_JAPANESE * found[1] ** (1 - SHARE_OF_JAPANESE))

    return of


def usage() -> dict[str, float]:
    """How frequent words are in Korean text, written in Hangul (wordfreq)."""
    import wordfreq

    found: dict[str, float] = wordfreq.get_frequency_dict("ko", "best")
    return found


def weighted(
    lexicon: Iterable[tuple[str, str]], words: Iterable[tuple[str, str]], frequency: Frequency
) -> dict[str, Weights]:
    """Spellings of every word with their weights, best first; the best has weight 1.

    Args:
        lexicon: (hangul, hanja), the common spelling of a word first.
        words: more of them, in no order.
        frequency: of a spelling elsewhere.

    Example:
        >>> weighted([("수도", "首都"), ("수도", "水道")], [], lambda hanja: 1.0)
        {'수도': {'首都': 1.0, '水道': 0.21022410381342863}}
    """
    ranked: dict[str, dict[str, int]] = defaultdict(dict)
    for hangul, hanja in lexicon:
        ranked[hangul].setdefault(hanja, 1 + len(ranked[hangul]))
    listed = {hangul: len(found) for hangul, found in ranked.items()}
    for hangul, hanja in words:
        ranked[hangul].setdefault(hanja, 1 + listed.get(hangul, 0))
    return {hangul: _weights(found, frequency) for hangul, found in ranked.items()}


def _weights(ranks: Mapping[str, int], frequency: Frequency) -> Weights:
    if len(ranks) == 1:
        return dict.fromkeys(ranks, 1.0)
    raw = {hanja: frequency(hanja) / rank**RANK_POWER for hanja, rank in ranks.items()}
    best = max(raw.values())
    order = sorted(raw, key=lambda hanja: (-raw[hanja], ranks[hanja], hanja))
    return {hanja: (raw[hanja] / best) ** SHARPNESS for hanja in order}


def dictionary() -> tuple[dict[str, list[str]], dict[str, Weights]]:
    """The lexicon that ships (libhangul's), best spelling first, and the larger one that labels come from."""
    of = frequency()
    lexicon = list(sources.lexicon())
    # An entry that is Hangul in part (게시物) would hide the pure ones in it (揭示) from the longest match.
    pure = [(hangul, hanja) for hangul, hanja in lexicon if _is_spelt(hanja)]
    words = [(hangul, modern(hanja)) for hangul, hanja in sources.rows("stdict_words.tsv", 2)]
    words = [(hangul, hanja) for hangul, hanja in words if len(hangul) == len(hanja)]
    known, spelt = {hangul for hangul, _ in words}, set(words)
    # What the standard dictionary has is spelt as it says; libhangul only ranks it and adds words.
    trusted = [pair for pair in lexicon if len(pair[0]) > 1 and (pair in spelt or pair[0] not in known)]
    common = common_spellings()
    shipped = {
        word: list(dict.fromkeys((*filter(_is_spelt, common.get(word, ())), *found)))
        for word, found in weighted(pure, [], of).items()
    }
    labels = {
        word: {hanja: weight for hanja, weight in found.items() if weight >= LEAST_WEIGHT}
        for word, found in weighted(trusted, words, of).items()
    }
    labels |= {word: {s: 1 / n for n, s in enumerate(found, 1)} for word, found in common.items()}
    return shipped, labels


def adapted(weights: Mapping[str, Weights], pairs: Iterable[tuple[str, str]]) -> dict[str, Weights]:
    """Weights for a domain, from text of it in both scripts.

    Args:
        weights: for text in general.
        pairs: (hangul, mixed) of equal length.

    Returns:
        The words that occur at least LEAST_OCCURRENCES times: a spelling's share of the
        occurrences, plus a part of its weight in general.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for hangul, mixed in pairs:
        for word, hanja in _words(hangul, mixed, weights):
            counts[word][hanja] += 1
    return {
        word: _mixed_weights(weights[word], found)
        for word, found in counts.items()
        if found.total() >= LEAST_OCCURRENCES
    }


def _words(hangul: str, mixed: str, weights: Mapping[str, Weights]) -> Iterator[tuple[str, str]]:
    """The dictionary words that are in Hanja, by longest match."""
    at = 0
    while at < len(hangul):
        for size in range(LONGEST_WORD, 1, -1):
            word, hanja = hangul[at : at + size], mixed[at : at + size]
            if hanja != word and hanja in weights.get(word, ()):
                yield word, hanja
                break
        else:
            size = 1
        at += size


def _mixed_weights(general: Weights, counts: Counter[str]) -> Weights:
    total = counts.total()
    raw = {hanja: PRIOR_SHARE * weight + counts[hanja] / total for hanja, weight in general.items()}
    best = max(raw.values())
    order = sorted(raw, key=lambda hanja: -raw[hanja])
    return {hanja: raw[hanja] / best for hanja in order if raw[hanja] >= LEAST_WEIGHT * best}


def _is_spelt(spelling: str) -> bool:
    return all(map(is_hanja, spelling))


def common_spellings() -> dict[str, tuple[str, ...]]:
    """Our own tables: word -> its usual spellings, the most usual first; a native sense is itself."""
    lines = files(__package__).joinpath("common_spellings.txt").read_text(encoding="utf-8").splitlines()
    entries = [line.split() for line in lines if not line.startswith("#")]
    common = {word: tuple(found) for word, *found in entries}
    senses = spellings_in(read_phrases())
    return {w: tuple(dict.fromkeys(common.get(w, ()) + senses.get(w, ()))) for w in common | senses}


def modern(hanja: str) -> str:
    """A spelling with the character forms that Korean text of today has.

    Example:
        >>> modern("強調")
        '强調'
    """
    return "".join(VARIANTS.get(char, char) for char in hanja)
