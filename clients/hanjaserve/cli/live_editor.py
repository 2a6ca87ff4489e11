"""The text that is typed into `hanjaserve live`, and the words that are chosen in it. No terminal, no server.

    key -> Editor -> splices for the server
    view of the session -> Editor -> what is shown

A chosen word stays chosen until it is edited; what is around it may change as it likes.
"""

import html
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from hanjaserve.client import LiveSegment, Rendering, Span, SpanSource, Splice

WRITTEN = {
    Rendering.HANJA: "{hanja}",
    Rendering.HANGUL_HANJA: "{hangul}({hanja})",
    Rendering.HANJA_HANGUL: "{hanja}({hangul})",
    Rendering.RUBY: "<ruby>{hanja}<rp>(</rp><rt>{hangul}</rt><rp>)</rp></ruby>",
    Rendering.HANGUL: "{hangul}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A word of the document, [start, end), that is to be written so."""

    start: int
    end: int
    hanja: str


@dataclass(slots=True, kw_only=True)
class Candidates:
    """The open list of spellings of a word.

    Attributes:
        span: The word; offsets count in the document.
        spellings: What there is to choose from, the word in Hangul last.
        chosen: Which is marked.
    """

    span: Span
    spellings: tuple[str, ...]
    chosen: int = 0


class Editor:
    """A text with a cursor.

    Attributes:
        text: What was typed.
        cursor: Where the next character goes, in code points.
        candidates: The open list of spellings, if one is.
        done: The user wants to leave.
    """

    def __init__(self, rendering: Rendering = Rendering.HANJA) -> None:
        self.text = ""
        self.cursor = 0
        self.candidates: Candidates | None = None
        self.done = False
        self._written = WRITTEN[rendering]
        # As the server does: what is no markup must not become any.
        self._escape: Callable[[str], str] = html.escape if rendering is Rendering.RUBY else str
        self._choices: list[Choice] = []
        self._segments: list[LiveSegment] = []

    def show(self, segments: Sequence[LiveSegment]) -> None:
        """Take in what the text is converted to by now."""
        self._segments = list(segments)

    def key(self, key: str) -> list[Splice]:
        """Do what a key asks for; returns how the text has changed."""
        if self.candidates is not None and self._choose(key):
            return []
        match key:
            case "quit":
                self.done = True
            case "tab":
                self._open()
            case "left":
                self.cursor = max(0, self.cursor - 1)
            case "right":
                self.cursor = min(len(self.text), self.cursor + 1)
            case "home":
                self.cursor = 0
            case "end":
                self.cursor = len(self.text)
            case "backspace" if self.cursor:
                return self._splice(self.cursor - 1, self.cursor, "")
            case "delete" if self.cursor < len(self.text):
                return self._splice(self.cursor, self.cursor + 1, "")
            case _ if len(key) == 1:
                return self._splice(self.cursor, self.cursor, key)
        return []

    @property
    def converted(self) -> str:
        """The text with its words converted, the chosen ones as chosen."""
        return "".join([self._write(span) for span in self._spans()])

    def _splice(self, start: int, end: int, text: str) -> list[Splice]:
        self.text = self.text[:start] + text + self.text[end:]
        self.cursor = start + len(text)
        grown = len(text) - (end - start)
        moved = []
        for choice in self._choices:
            if choice.end <= start:
                moved.append(choice)
            elif choice.start >= end:
                moved.append(replace(choice, start=choice.start + grown, end=choice.end + grown))
        self._choices = moved
        self.candidates = None
        return [Splice(start=start, end=end, text=text)]

    def _spans(self) -> Iterator[Span]:
        """The spans of all segments; offsets count in the document as far as it is converted."""
        at = 0
        for segment in self._segments:
            for span in segment.spans or (_failed(segment),):
                yield replace(span, start=at + span.start, end=at + span.end)
            at += segment.end - segment.start

    def _write(self, span: Span) -> str:
        for choice in self._choices:
            if (choice.start, choice.end) == (span.start, span.end):
                if choice.hanja == span.hangul:
                    return self._escape(span.hangul)
                return self._word(span.hangul, choice.hanja)
        if span.source is SpanSource.KEPT:
            return self._escape(span.text)
        return self._word(span.hangul, span.hanja)

    def _word(self, hangul: str, hanja: str) -> str:
        return self._written.format(hangul=self._escape(hangul), hanja=self._escape(hanja))

    def _open(self) -> None:
        """Open the spellings of the word at the cursor, or of the last one before it."""
        words = [s for s in self._spans() if s.source is not SpanSource.KEPT and s.start <= self.cursor]
        if not words or self.text[words[-1].start : words[-1].end] != words[-1].text:
            return  # no word, or the conversion lags behind what was typed
        span = words[-1]
        spellings = dict.fromkeys([span.hanja, *(other.hanja for other in span.alternatives), span.hangul])
        self.candidates = Candidates(span=span, spellings=tuple(spellings))

    def _choose(self, key: str) -> bool:
        """Do what a key means while the list is open; False if it means nothing there."""
        assert self.candidates is not None
        found = self.candidates
        match key:
            case "tab" | "down" | "right":
                found.chosen = (found.chosen + 1) % len(found.spellings)
            case "up" | "left":
                found.chosen = (found.chosen - 1) % len(found.spellings)
            case "escape":
                self.candidates = None
            case "\n":
                self._take(found.chosen)
            case _ if key.isdigit() and 1 <= int(key) <= len(found.spellings):
                self._take(int(key) - 1)
            case _:
                self.candidates = None
                return False
        return True

    def _take(self, number: int) -> None:
        assert self.candidates is not None
        span, hanja = self.candidates.span, self.candidates.spellings[number]
        others = [choice for choice in self._choices if choice.start != span.start]
        self._choices = [*others, Choice(start=span.start, end=span.end, hanja=hanja)]
        self.candidates = None


def _failed(segment: LiveSegment) -> Span:
    """The span of a segment that was not converted, and stands for itself."""
    return Span(
        start=0, end=len(segment.text), hangul=segment.text, hanja="", score=0.0, source=SpanSource.KEPT
    )
