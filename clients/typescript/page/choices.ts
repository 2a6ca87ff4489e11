/** Spellings that the reader has chosen. They move with the text, and end when it is edited. */

import type { Range, Splice } from "../src/index.js";

interface Choice extends Range {
  readonly spelling: string;
}

/** The choices of a document. */
export class Choices {
  #choices: Choice[] = [];

  /** Write the word there so. */
  choose(range: Range, spelling: string): void {
    this.#choices = this.#choices.filter((choice) => choice.end <= range.start || choice.start >= range.end);
    this.#choices.push({ ...range, spelling });
  }

  /** What was chosen for exactly this range. */
  at(range: Range | undefined): string | undefined {
    return this.#choices.find(({ start, end }) => start === range?.start && end === range.end)?.spelling;
  }

  /** The text was edited. */
  edited({ start, end, text }: Splice): void {
    const grown = text.length - (end - start);
    this.#choices = this.#choices.flatMap((choice) => {
      if (choice.end <= start) return [choice];
      if (choice.start >= end) return [{ ...choice, start: choice.start + grown, end: choice.end + grown }];
      return [];
    });
  }
}
