/** Hangul to Hanja conversion: the client of hanjaserve for browsers and Node. */

export { Client, type ClientOptions, type ServerInfo } from "./client.js";
export type { Connect, Connection, Receiver } from "./connection.js";
export { type CodeName, ConvertError } from "./errors.js";
export type { ConvertOptions, GlossaryEntry, GlossaryReference, LiveOptions, Rendering } from "./options.js";
export type { Alternative, Conversion, Span, SpanSource } from "./results.js";
export type { RetryPolicy } from "./retry.js";
export { type LiveListener, LiveSession } from "./session.js";
export { type Splice, applySplice, spliceBetween } from "./splice.js";
export { Typing, type Field, type Range } from "./typing.js";
export type { LiveEvent, LiveSegment, LiveView, Placed } from "./view.js";
