/** What the page shows: the converted words and the text between them, each where it is in the source. */

import type { Alternative, LiveSegment, LiveSession, Range, Rendering } from "../src/index.js";
import type { Choices } from "./choices.js";

/** A word, or the text between two of them. */
export interface Piece {
  /** As it was typed. */
  readonly source: string;
  /** As the server writes it; empty for text that is no word. */
  readonly hanja: string;
  readonly score: number;
  readonly alternatives: readonly Alternative[];
  /** Where it is in the source; undefined while the conversion lags behind an edit of it. */
  readonly range: Range | undefined;
  /** What the reader has chosen instead, if anything. */
  readonly chosen: string | undefined;
}

/** The pieces of a segment. */
export interface Passage {
  readonly id: number;
  readonly isFinal: boolean;
  readonly error: string | undefined;
  readonly pieces: readonly Piece[];
}

/** What a session has been converted to, with the choices of the reader. */
export function passagesOf(session: LiveSession, choices: Choices): Passage[] {
  return Array.from(session.view.placed(), ({ segment, start, end }) => {
    const whole = session.place(start, end);
    const place = (from: number, to: number): Range | undefined => {
      // A segment that was not edited has moved as one.
      const now = whole ? [whole[0] + from, whole[0] + to] as const : session.place(start + from, start + to);
      return now && { start: now[0], end: now[1] };
    };
    return { id: segment.id, isFinal: segment.isFinal, error: segment.error?.message, pieces: piecesOf(segment, place, choices) };
  });
}

/** A piece as a string. */
export function written(piece: Piece, rendering: Rendering): string {
  const { source } = piece;
  const hanja = spelling(piece);
  if (hanja === source) return source;
  switch (rendering) {
    case "hangul":
      return source;
    case "hangul-hanja":
      return `${source}(${hanja})`;
    case "hanja-hangul":
      return `${hanja}(${source})`;
    case "ruby":
      return `<ruby>${escaped(hanja)}<rp>(</rp><rt>${escaped(source)}</rt><rp>)</rp></ruby>`;
    case "hanja":
      return hanja;
  }
}

/** How a piece is spelled: as chosen, else as converted, else as typed. */
export function spelling({ source, hanja, chosen }: Piece): string {
  return chosen ?? (hanja || source);
}

/** All of it as a string; HTML if the rendering is ruby. */
export function converted(passages: readonly Passage[], rendering: Rendering): string {
  const pieces = passages.flatMap((passage) => passage.pieces);
  const show = (piece: Piece) => {
    const text = written(piece, rendering);
    return rendering === "ruby" && text === piece.source ? escaped(text) : text;
  };
  return pieces.map(show).join("");
}

function piecesOf(
  segment: LiveSegment,
  place: (start: number, end: number) => Range | undefined,
  choices: Choices,
): Piece[] {
  if (!segment.spans.length) {
    const range = place(0, segment.end - segment.start);
    return [{ source: segment.text, hanja: "", score: 0, alternatives: [], range, chosen: undefined }];
  }
  return segment.spans.map(({ start, end, hangul, hanja, score, alternatives }) => {
    const range = place(start, end);
    return { source: hangul, hanja, score, alternatives, range, chosen: hanja ? choices.at(range) : undefined };
  });
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
