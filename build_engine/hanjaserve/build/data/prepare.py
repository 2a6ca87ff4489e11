"""Training text to arrays: code points and label masks of every sentence, cached in one .npz file."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hanjaserve.build.data import sources
from hanjaserve.build.data.distant import Labeller, full_labels
from hanjaserve.build.data.tables import Tables, build_tables

MODERN, SCRIPTURE, STATUTE = 1, 2, 3
Sentence = tuple[int, str, NDArray[np.uint32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Sentences laid end to end.

    Attributes:
        tokens: int32 [total] code points; each sentence begins with its style.
        masks: uint32 [total] allowed slots, 0 = unknown.
        starts: int64 [sentences + 1].
    """

    tokens: NDArray[np.int32]
    masks: NDArray[np.uint32]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, sentences: Iterable[Sentence], longest: int = 160) -> "Corpus":
        """Joins sentences; longer ones are cut at `longest` characters."""
        tokens, masks, lengths = [], [], []
        for style, text, mask in sentences:
            points = np.frombuffer(text[:longest].encode("utf-32-le"), np.int32)
            clean = np.where(points < 0x20, 0x20, np.minimum(points, 0xFFFF))
            tokens.append(np.concatenate([[style], clean]).astype(np.int32))
            masks.append(np.concatenate([[0], mask[:longest]]).astype(np.uint32))
            lengths.append(len(tokens[-1]))
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return cls(tokens=np.concatenate(tokens), masks=np.concatenate(masks), starts=starts)


def evaluation_keys() -> set[str]:
    """Texts that must never be trained on, without white space."""
    keys = {_key(row[0]) for row in sources.rows("localisation_dev.tsv", 2)}
    keys |= {_key(text) for text, _ in sources.annotated("precedents_annotated_dev.txt")}
    for split in ("test", "dev"):
        keys |= {_key(hangul) for hangul, _ in sources.bible(split)}
    return keys


def _key(text: str) -> str:
    return "".join(text.split())


def make_tables() -> tuple[Tables, dict[str, list[str]]]:
    """The model's tables, and the dictionary that labels come from (hangul -> spellings)."""
    counted: Counter[tuple[str, str]] = Counter()
    words: Counter[tuple[str, str]] = Counter()
    characters: Counter[str] = Counter()
    for hangul, mixed in sources.bible("train"):
        characters.update(hangul)
        counted.update((h, m) for h, m in zip(hangul, mixed, strict=True) if h != m)
        words.update(_runs(hangul, mixed))
    for text, notes in sources.annotated("statutes_annotated.txt"):
        characters.update(text)
        for start, hanja in notes:
            words[text[start : start + len(hanja)], hanja] += 1
    for name in ("reviews_plain.txt", "precedents_plain.txt"):
        for line in islice(sources.lines(name), 60_000):
            characters.update(line)
    entries: dict[str, list[str]] = defaultdict(list)
    for row in sources.rows("stdict_words.tsv", 2):
        if len(row[0]) == len(row[1]):
            entries[row[0]].append(row[1])
    lexicon = list(sources.lexicon())
    for hangul, hanja in lexicon:
        if len(hangul) > 1 and hangul not in entries:
            entries[hangul].append(hanja)
    return build_tables(lexicon, counted, words, characters), dict(entries)


def _runs(hangul: str, mixed: str) -> Iterator[tuple[str, str]]:
    start = None
    for at in range(len(hangul) + 1):
        converted = at < len(hangul) and hangul[at] != mixed[at]
        if converted and start is None:
            start = at
        elif not converted and start is not None:
            yield hangul[start:at], mixed[start:at]
            start = None


def prepare(tables: Tables, entries: dict[str, list[str]], *, precedents: int, statutes: int,
            reviews: int, seed: int = 42) -> Corpus:  # fmt: skip
    """The training corpus: Bible in full, statutes with annotations, plain text with distant labels."""
    from kiwipiepy import Kiwi

    kiwi = Kiwi(num_workers=2)
    labeller = Labeller(tables, entries)
    banned = evaluation_keys()

    def distant(style: int, texts: Iterable[str], notes: Iterable[list[tuple[int, str]]] | None = None
                ) -> Iterator[Sentence]:  # fmt: skip
        kept = [text for text in texts] if notes is None else list(texts)
        extra = iter(notes) if notes is not None else None
        for text, tokens in zip(kept, kiwi.tokenize(iter(kept)), strict=True):
            mask = labeller.label(text, [(t.form, t.tag, t.start, t.len) for t in tokens])
            for start, hanja in next(extra) if extra is not None else ():
                for at, char in enumerate(hanja, start):
                    slot = tables.slots.get(text[at], {}).get(char)
                    mask[at] = 1 << slot if slot else mask[at]
            yield style, text, mask

    def plain(name: str, count: int) -> list[str]:
        wanted = (t for t in sources.lines(name) if len(t) > 5 and _key(t) not in banned)
        return list(islice(wanted, count))

    sentences: list[Sentence] = []
    for hangul, mixed in sources.bible("train"):
        if _key(hangul) not in banned:
            sentences.append((SCRIPTURE, hangul, full_labels(hangul, mixed, tables)))
    pairs = [p for p in sources.annotated("statutes_annotated.txt") if _key(p[0]) not in banned]
    random.Random(seed).shuffle(pairs)
    pairs = pairs[:statutes]
    sentences += distant(MODERN, [t for t, _ in pairs], [n for _, n in pairs])
    sentences += distant(MODERN, plain("precedents_plain.txt", precedents))
    sentences += distant(MODERN, plain("statutes_plain.txt", statutes))
    sentences += distant(MODERN, plain("reviews_plain.txt", reviews))
    for hangul in islice(entries, 0, None, 4):
        sentences.append((MODERN, hangul, labeller.label(hangul, [(hangul, "NNG", 0, len(hangul))])))
    random.Random(seed).shuffle(sentences)
    return Corpus.of(sentences)


def save(corpus: Corpus, path: Path) -> None:
    """Writes the cache through a temporary name, so that a kill leaves no half file."""
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, tokens=corpus.tokens, masks=corpus.masks, starts=corpus.starts)
    temporary.replace(path)


def load(path: Path) -> Corpus:
    """Reads what `save` wrote."""
    with np.load(path) as arrays:
        return Corpus(tokens=arrays["tokens"], masks=arrays["masks"], starts=arrays["starts"])
