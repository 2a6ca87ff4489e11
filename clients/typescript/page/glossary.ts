/** Words that the reader wants to be written so always, kept in this browser and nowhere else. */

import type { GlossaryEntry } from "../src/index.js";

const KEY = "hanjaserve.glossary";

/** The kept words. */
export class KeptWords {
  readonly #storage: () => Storage;
  #entries: GlossaryEntry[];

  /** @param storage - Gives the storage, or throws if the browser allows none: then words last as long as the page. */
  constructor(storage: () => Storage) {
    this.#storage = storage;
    try {
      this.#entries = parsed(storage().getItem(KEY));
    } catch {
      this.#entries = [];
    }
  }

  get entries(): readonly GlossaryEntry[] {
    return this.#entries;
  }

  /** Write a word so from now on; if the spelling is the word itself, leave it in Hangul. */
  keep(hangul: string, spelling: string): void {
    const entry = spelling === hangul ? { hangul } : { hangul, hanja: spelling };
    this.#set([...this.#entries.filter((known) => known.hangul !== hangul), entry]);
  }

  /** Let the server decide again. */
  forget(hangul: string): void {
    this.#set(this.#entries.filter((known) => known.hangul !== hangul));
  }

  #set(entries: GlossaryEntry[]): void {
    this.#entries = entries;
    try {
      this.#storage().setItem(KEY, JSON.stringify(entries));
    } catch {
      // It is full or shut.
    }
  }
}

/** What was stored, by this version or another one; what is not understood is left out. */
function parsed(text: string | null): GlossaryEntry[] {
  const found: unknown = JSON.parse(text ?? "[]");
  return Array.isArray(found) ? found.flatMap(entryOf) : [];
}

function entryOf(value: { hangul?: unknown; hanja?: unknown } | null): GlossaryEntry[] {
  const { hangul, hanja } = value ?? {};
  if (typeof hangul !== "string") return [];
  return [typeof hanja === "string" ? { hangul, hanja } : { hangul }];
}
