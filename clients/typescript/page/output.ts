/**
 * The converted text as nodes. Text of the user gets into the page as text nodes only; the browser is told
 * to refuse anything else (trusted types).
 *
 * A segment whose look has not changed keeps its nodes, so that a long text costs no more than what is typed.
 */

import type { Range, Rendering } from "../src/index.js";
import { type Passage, type Piece, spelling, written } from "./pieces.js";

const STOP = ".word[tabindex='0']";

/** How the text is shown. */
export interface Look {
  readonly rendering: Rendering;
  /** Where an input method composes a syllable. */
  readonly composing: Range | undefined;
}

/** Shows passages, and lets words be picked. */
export class Output {
  readonly #root: HTMLElement;
  readonly #segments = new Map<number, { element: HTMLElement; look: string }>();
  readonly #pieces = new WeakMap<Element, Piece>();

  /**
   * @param picked - Told of a word that was clicked or entered.
   * @param pointed - Told of a word that the mouse is on.
   */
  constructor(root: HTMLElement, picked: (word: HTMLElement) => void, pointed: (word: HTMLElement) => void) {
    this.#root = root;
    root.addEventListener("click", ({ target }) => this.#with(target, picked));
    root.addEventListener("pointermove", ({ target, pointerType, movementX, movementY }) => {
      // When text moves below a mouse that rests, browsers report a move of no length.
      if (pointerType === "mouse" && (movementX || movementY)) this.#with(target, pointed);
    });
    root.addEventListener("focusin", ({ target }) => this.#with(target, (word) => this.#makeStop(word)));
    root.addEventListener("keydown", (event) => this.#key(event, picked));
  }

  /** The piece that a word shows. */
  piece(word: Element): Piece | undefined {
    return this.#pieces.get(word);
  }

  /** The word that is there in the source. */
  find(range: Range): HTMLElement | undefined {
    return this.#words().find((word) => {
      const now = this.piece(word)?.range;
      return now?.start === range.start && now.end === range.end;
    });
  }

  /** Show this. */
  show(passages: readonly Passage[], look: Look): void {
    const focused = this.#pieces.get(document.activeElement ?? this.#root)?.range;
    const before = new Set(this.#segments.keys());
    let next = this.#root.firstChild;
    for (const passage of passages) {
      before.delete(passage.id);
      const element = this.#segment(passage, look);
      if (element === next) next = next.nextSibling;
      else this.#root.insertBefore(element, next);
    }
    for (const id of before) {
      this.#segments.get(id)?.element.remove();
      this.#segments.delete(id);
    }
    if (focused && !this.#root.contains(document.activeElement)) this.find(focused)?.focus();
    const first = this.#root.querySelector<HTMLElement>(".word");
    this.#makeStop(this.#root.querySelector<HTMLElement>(STOP) ?? first ?? undefined);
  }

  #segment(passage: Passage, look: Look): HTMLElement {
    const shown = passage.pieces.map((piece) => [piece.source, spelling(piece), composedPart(piece, look)]);
    const wanted = JSON.stringify([look.rendering, passage.isFinal, passage.error, shown]);
    const known = this.#segments.get(passage.id) ?? { element: document.createElement("span"), look: "" };
    if (known.look !== wanted) {
      known.look = wanted;
      known.element.className = passage.isFinal ? "segment final" : "segment interim";
      known.element.title = passage.error ?? "";
      known.element.replaceChildren(...passage.pieces.map((piece) => nodeOf(piece, look)));
      this.#segments.set(passage.id, known);
    }
    // The text before a segment moves it, and its words.
    passage.pieces.forEach((piece, number) => {
      const node = known.element.childNodes[number];
      if (piece.hanja && node instanceof Element) this.#pieces.set(node, piece);
    });
    return known.element;
  }

  #words(): HTMLElement[] {
    return Array.from(this.#root.querySelectorAll<HTMLElement>(".word"));
  }

  #with(target: EventTarget | null, use: (word: HTMLElement) => void): void {
    const word = target instanceof Element ? target.closest<HTMLElement>(".word") : null;
    if (word && this.#root.contains(word)) use(word);
  }

  /** One word is a stop of the Tab key; from it, the arrows lead to the others. */
  #makeStop(word: HTMLElement | undefined): void {
    for (const other of this.#root.querySelectorAll<HTMLElement>(STOP)) if (other !== word) other.tabIndex = -1;
    if (word) word.tabIndex = 0;
  }

  #key(event: KeyboardEvent, picked: (word: HTMLElement) => void): void {
    this.#with(event.target, (word) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step !== undefined) {
        const words = this.#words();
        words[words.indexOf(word) + step]?.focus();
      } else if (event.key === "Enter" || event.key === " ") {
        picked(word);
      } else return;
      event.preventDefault();
    });
  }
}

/** The part of a piece that is being composed; offsets count from the start of the piece. */
function composedPart({ source, range }: Piece, { composing }: Look): Range | undefined {
  if (!range || !composing || range.start >= composing.end || range.end <= composing.start) return undefined;
  const start = Math.max(0, composing.start - range.start);
  return { start, end: Math.min(source.length, composing.end - range.start) };
}

function nodeOf(piece: Piece, look: Look): Node {
  const composed = composedPart(piece, look);
  if (!piece.hanja) return composed ? keptAround(piece, composed) : document.createTextNode(piece.source);
  const element = document.createElement("span");
  element.className = "word";
  element.classList.toggle("chosen", piece.chosen !== undefined);
  element.classList.toggle("composing", composed !== undefined);
  element.tabIndex = -1;
  element.setAttribute("role", "button");
  element.setAttribute("aria-haspopup", "dialog");
  element.append(look.rendering === "ruby" ? rubyOf(piece) : written(piece, look.rendering));
  return element;
}

/** Text that stays, with the syllable marked that is being composed in it. */
function keptAround({ source }: Piece, { start, end }: Range): Node {
  const element = document.createElement("span");
  const mark = document.createElement("span");
  mark.className = "composing";
  mark.textContent = source.slice(start, end);
  element.append(source.slice(0, start), mark, source.slice(end));
  return element;
}

function rubyOf(piece: Piece): Node | string {
  const hanja = spelling(piece);
  if (hanja === piece.source) return hanja;
  const ruby = document.createElement("ruby");
  const parts = [["rp", "("], ["rt", piece.source], ["rp", ")"]] as const;
  ruby.append(hanja);
  for (const [name, text] of parts) {
    const part = document.createElement(name);
    part.textContent = text;
    ruby.append(part);
  }
  return ruby;
}
