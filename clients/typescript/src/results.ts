/** What comes back: words with their spellings, and conversions. Offsets are UTF-16 units. */

import type { Status } from "./gen/google/rpc/status_pb.js";
import { type Conversion as ConversionMessage, type Span as SpanMessage, SpanSource as Wire } from "./gen/hanjaserve/v1/hanjaserve_pb.js";
import { ConvertError, codeName } from "./errors.js";

/** Another way to write a word. */
export interface Alternative {
  readonly hanja: string;
  /** The probability that the model gives it, from 0 to 1. */
  readonly score: number;
}

/** Where a span comes from: the model, a glossary, Hanja that stood in the text, or text that stays. */
export type SpanSource = "model" | "glossary" | "reading" | "kept";

/** A word that was converted, or with source "kept" the text between two of them. */
export interface Span {
  /** Where it starts in the text, or in its segment of a live document. */
  readonly start: number;
  /** Where it ends (exclusive). */
  readonly end: number;
  readonly hangul: string;
  /** Empty for what is kept. */
  readonly hanja: string;
  /** The probability that the model gives the word, from 0 to 1. */
  readonly score: number;
  /** Other choices, best first. */
  readonly alternatives: readonly Alternative[];
  readonly source: SpanSource;
}

/** A converted text. */
export interface Conversion {
  readonly text: string;
  readonly spans: readonly Span[];
}

const SOURCES: Partial<Record<Wire, SpanSource>> = {
  [Wire.GLOSSARY]: "glossary",
  [Wire.READING]: "reading",
  [Wire.KEPT]: "kept",
};

/** A span; `place` maps its offsets to UTF-16 units. */
export function spanOf(message: SpanMessage, place: (at: number) => number = (at) => at): Span {
  return {
    start: place(message.start),
    end: place(message.end),
    hangul: message.hangul,
    hanja: message.hanja,
    score: message.score,
    alternatives: message.alternatives.map(({ hanja, score }) => ({ hanja, score })),
    source: SOURCES[message.source] ?? "model",
  };
}

/** The conversion of a text. Calls other than live ones count in code points, so offsets are mapped. */
export function conversionOf(source: string, message: ConversionMessage): Conversion {
  const place = utf16Places(source);
  return { text: message.text, spans: message.spans.map((span) => spanOf(span, place)) };
}

/** The error for a google.rpc.Status. */
export function errorOf(status: Status): ConvertError {
  return new ConvertError(codeName(status.code), status.message);
}

/** Maps offsets in code points to offsets in UTF-16 units; they must rise from call to call. */
function utf16Places(text: string): (at: number) => number {
  let point = 0;
  let unit = 0;
  return (at) => {
    for (; point < at; point += 1) unit += (text.codePointAt(unit) ?? 0) > 0xffff ? 2 : 1;
    return unit;
  };
}
