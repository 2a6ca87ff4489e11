/** The list of spellings of a word: opened by hover, tap or Enter; digits and arrows choose. */

import { type Piece, spelling } from "./pieces.js";
import type { Texts } from "./texts.js";

/** How long the mouse may be between a word and its list, in milliseconds. */
const GRACE_MS = 250;
/** How far the list stays from the edges of the window, in pixels. */
const EDGE = 8;

/** What the reader wants. */
export type Chosen = (piece: Piece, spelling: string, always: boolean) => void;

/** The one list of the page. */
export class Menu {
  readonly #box: HTMLElement;
  readonly #texts: Texts;
  readonly #chosen: Chosen;
  #word: HTMLElement | undefined;
  #piece: Piece | undefined;
  #leaving: ReturnType<typeof setTimeout> | undefined;

  constructor(box: HTMLElement, texts: Texts, chosen: Chosen) {
    this.#box = box;
    this.#texts = texts;
    this.#chosen = chosen;
    box.addEventListener("keydown", (event) => this.#key(event));
    box.addEventListener("pointerenter", () => clearTimeout(this.#leaving));
    box.addEventListener("pointerleave", () => this.leave());
    document.addEventListener("pointerdown", ({ target }) => {
      if (target instanceof Node && !box.contains(target) && !this.#word?.contains(target)) this.close();
    });
    box.addEventListener("focusout", ({ relatedTarget }) => {
      if (relatedTarget instanceof Node && !box.contains(relatedTarget)) this.close();
    });
  }

  /** The piece whose list is open. */
  get piece(): Piece | undefined {
    return this.#piece;
  }

  /** Show the spellings of a word; `focus` moves the keyboard there. */
  open(word: HTMLElement, piece: Piece, focus: boolean): void {
    clearTimeout(this.#leaving);
    if (this.#word !== word || this.#box.hidden) {
      this.#fill(piece);
      this.#word?.removeAttribute("aria-expanded");
      this.#word = word;
      this.#piece = piece;
      this.#box.hidden = false;
      this.#place(word);
      word.setAttribute("aria-expanded", "true");
    }
    if (focus) this.#buttons()[0]?.focus();
  }

  /** The word is shown by another element now, or by none. */
  follow(word: HTMLElement | undefined, piece: Piece | undefined): void {
    if (this.#box.hidden) return;
    if (!word || piece?.source !== this.#piece?.source) return this.close();
    this.#word = word;
    this.#piece = piece;
    word.setAttribute("aria-expanded", "true");
  }

  /** The mouse has left the word or the list; close unless it comes back, or the keyboard is there. */
  leave(): void {
    clearTimeout(this.#leaving);
    if (this.#box.contains(document.activeElement)) return;
    this.#leaving = setTimeout(() => this.close(), GRACE_MS);
  }

  /** Close it; the keyboard goes back to the word if it was here. */
  close(): void {
    clearTimeout(this.#leaving);
    if (this.#box.hidden) return;
    const word = this.#word;
    const held = this.#box.contains(document.activeElement);
    word?.removeAttribute("aria-expanded");
    this.#word = this.#piece = undefined;
    this.#box.hidden = true;
    if (held) word?.focus();
  }

  #fill(piece: Piece): void {
    const list = document.createElement("ol");
    const scores = new Map([[piece.hanja, piece.score], ...piece.alternatives.map((a) => [a.hanja, a.score] as const)]);
    for (const [hanja, score] of scores) list.append(this.#item(piece, hanja, percent(score)));
    list.append(this.#item(piece, piece.source, this.#texts.hangul));
    const label = document.createElement("label");
    const always = document.createElement("input");
    always.type = "checkbox";
    label.append(always, this.#texts.always);
    this.#box.setAttribute("aria-label", this.#texts.spellings(piece.source));
    this.#box.replaceChildren(list, label);
  }

  #item(piece: Piece, hanja: string, note: string): HTMLLIElement {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const small = document.createElement("small");
    button.type = "button";
    button.setAttribute("aria-pressed", String(spelling(piece) === hanja));
    small.textContent = note;
    button.append(hanja, small);
    button.addEventListener("click", () => this.#choose(hanja));
    item.append(button);
    return item;
  }

  #choose(hanja: string): void {
    const piece = this.#piece;
    const always = this.#box.querySelector("input")?.checked ?? false;
    this.close();
    if (piece) this.#chosen(piece, hanja, always);
  }

  #buttons(): HTMLButtonElement[] {
    return Array.from(this.#box.querySelectorAll("button"));
  }

  #key(event: KeyboardEvent): void {
    const buttons = this.#buttons();
    const at = buttons.findIndex((button) => button === document.activeElement);
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === "Escape") this.close();
    else if (step !== undefined) buttons[(at + step + buttons.length) % buttons.length]?.focus();
    else if (/^[1-9]$/.test(event.key)) buttons[Number(event.key) - 1]?.click();
    else return;
    event.preventDefault();
  }

  /** Below the word, or above it, or where there is room. */
  #place(word: HTMLElement): void {
    const { left, bottom, top } = word.getBoundingClientRect();
    const { width, height } = this.#box.getBoundingClientRect();
    const [right, low] = [innerWidth - width - EDGE, innerHeight - height - EDGE];
    const y = bottom <= low ? bottom : top - height >= EDGE ? top - height : low;
    this.#box.style.left = `${Math.max(EDGE, Math.min(left, right)) + scrollX}px`;
    this.#box.style.top = `${Math.max(EDGE, y) + scrollY}px`;
  }
}

function percent(score: number): string {
  return `${(100 * score).toFixed(score < 0.1 ? 1 : 0)} %`;
}
