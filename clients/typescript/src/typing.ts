/**
 * Joins a text field to a live session.
 *
 * An input method composes a syllable in the field before it is done: ㅅ, 수, 숟, 수도. Its half-composed
 * states are text like any other, and the server lets them pass. So every state is sent; the one rule is
 * that nobody writes to the field, which would end the composition. Which event comes last differs between
 * browsers, so the value is read at each of them, and what is the same is not sent twice.
 */

import type { ConvertError } from "./errors.js";
import type { LiveSession } from "./session.js";
import type { Splice } from "./splice.js";

/** A range of a text. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** The part of a text field that is used. */
export type Field = Pick<HTMLTextAreaElement, "value" | "selectionStart" | "selectionEnd" | "addEventListener">;

/** Sends what is typed into a field. */
export class Typing {
  /** Where a syllable is being composed, if one is. */
  composing: Range | undefined;
  readonly #field: Field;
  readonly #session: () => LiveSession;
  readonly #typed: (splice: Splice | undefined, error: ConvertError | undefined) => void;

  /**
   * @param session - Tells the session that is typed into.
   * @param typed - Told of every event: the change, if there is one, or why it was not sent.
   */
  constructor(field: Field, session: () => LiveSession, typed: (splice?: Splice, error?: ConvertError) => void) {
    this.#field = field;
    this.#session = session;
    this.#typed = typed;
    field.addEventListener("input", () => this.read());
    field.addEventListener("compositionstart", () => this.#compose(""));
    field.addEventListener("compositionupdate", ({ data }) => this.#compose(data));
    field.addEventListener("compositionend", () => {
      this.composing = undefined;
      this.read();
    });
  }

  /** Send what has changed since the last time, if anything has. */
  read(): void {
    const { value, selectionEnd } = this.#field;
    try {
      this.#typed(this.#session().input(value, selectionEnd), undefined);
    } catch (error) {
      this.#typed(undefined, error as ConvertError);
    }
  }

  #compose(data: string): void {
    const start = this.composing?.start ?? this.#field.selectionStart;
    this.composing = { start, end: start + data.length };
  }
}
