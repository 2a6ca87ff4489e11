"""What `hanjaserve live` shows, as the bytes that draw it. Pure."""

from hanjaserve.cli.live_editor import Editor

ENTER = "\x1b[?1049h"
LEAVE = "\x1b[?1049l"
CLEAR, SAVE, RESTORE = "\x1b[H\x1b[J", "\x1b7", "\x1b8"
BOLD, DIM, MARKED, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[7m", "\x1b[0m"
HELP = "Tab spellings · Ctrl-D done · Ctrl-C cancel"


def draw(editor: Editor, state: str) -> str:
    """The whole screen: what was typed, what it becomes, the open list, and a line of help.

    The cursor of the terminal ends up where the next character goes, because that is where an input method
    shows the syllable that it composes.
    """
    before, after = editor.text[: editor.cursor], editor.text[editor.cursor :]
    lines = [
        CLEAR + _plain(before) + SAVE + _plain(after),
        "",
        BOLD + _plain(editor.converted) + PLAIN,
        "",
        _candidates(editor),
        DIM + (state or HELP) + PLAIN,
    ]
    return "\r\n".join(lines) + RESTORE


def _candidates(editor: Editor) -> str:
    if editor.candidates is None:
        return ""
    scores = {other.hanja: other.score for other in editor.candidates.span.alternatives}
    scores[editor.candidates.span.hanja] = editor.candidates.span.score
    shown = []
    for number, spelling in enumerate(editor.candidates.spellings, start=1):
        score = f" {scores[spelling]:.2f}" if spelling in scores else ""
        marked = number - 1 == editor.candidates.chosen
        shown.append(f"{MARKED if marked else ''}{number} {_plain(spelling)}{score}{PLAIN}")
    return "  ".join(shown)


def _plain(text: str) -> str:
    """Text that can't steer the terminal."""
    return "".join([c if c.isprintable() else "\r\n" if c == "\n" else "�" for c in text])
