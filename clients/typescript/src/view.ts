/**
 * What a live session has been converted to so far: the client's side of the protocol, without I/O.
 *
 *     events of the server -> LiveView -> segments, text, events for the caller
 *
 * A view is a list of segments with the newest result of each. It may lag behind the document that is
 * being typed; `revision` says which revision of it the list belongs to.
 */

import type { Invalidated, LiveEvent as EventMessage, SegmentResult, SegmentsChanged } from "./gen/hanjaserve/v1/hanjaserve_pb.js";
import { ConvertError } from "./errors.js";
import { type Span, errorOf, spanOf } from "./results.js";

/** A converted segment of a live document. */
export interface LiveSegment {
  /** Names it for the whole session. */
  readonly id: number;
  /** Which revision of the document it was converted from. */
  readonly revision: number;
  /** Where it starts in the document of that revision. */
  readonly start: number;
  /** Where it ends (exclusive). */
  readonly end: number;
  /** Its text in the rendering that was asked for. */
  readonly text: string;
  /** Its words; offsets count from the start of the segment. */
  readonly spans: readonly Span[];
  /** It stays so unless it, or the text before it on its line, is edited. */
  readonly isFinal: boolean;
  /** Why it was not converted; `text` is the source text then. */
  readonly error?: ConvertError;
}

/** What happens in a live session. */
export type LiveEvent =
  /** A segment was converted. */
  | { readonly kind: "segment"; readonly segment: LiveSegment }
  /** Segments that were final are not any more: they were edited, or a new result follows. */
  | { readonly kind: "invalidated"; readonly ids: readonly number[] }
  /** All results of a revision are there, and revisions from `first` on have ended with it. */
  | { readonly kind: "done"; readonly first: number; readonly revision: number }
  /** The server has refused a revision; `replace` the document to go on. */
  | { readonly kind: "rejected"; readonly revision: number; readonly error: ConvertError }
  /** The connection is lost; the next try is in so many milliseconds. */
  | { readonly kind: "lost"; readonly error: ConvertError; readonly retryInMs: number }
  /** The session goes on over a new connection; finals are as they were. */
  | { readonly kind: "resumed"; readonly revision: number }
  /** The session is over: closed by the caller, or by an error. */
  | { readonly kind: "ended"; readonly error?: ConvertError };

/** A segment that has a result, and where it is in the document of the view's revision. */
export interface Placed {
  readonly segment: LiveSegment;
  readonly start: number;
  readonly end: number;
}

interface Head {
  readonly id: number;
  readonly length: number;
}

/** The segments of a session. */
export class LiveView {
  /** Which revision of the document the list of segments belongs to. */
  revision = 0;
  /** The last revision of which all results are there. */
  done = 0;
  /** Greater than every segment id so far. */
  nextId = 1;
  #list: Head[] = [];
  #results = new Map<number, LiveSegment>();
  #restarted = false;

  /** The converted document; segments without a result yet are missing. */
  get text(): string {
    return Array.from(this.placed(), ({ segment }) => segment.text).join("");
  }

  /** The segments that have a result, in the order of the text. */
  *placed(): Generator<Placed> {
    let start = 0;
    for (const { id, length } of this.#list) {
      const segment = this.#results.get(id);
      const end = start + length;
      if (segment) yield { segment, start, end };
      start = end;
    }
  }

  /** A new connection: the server will tell the whole list again, with these segments still final. */
  restart(finals: ReadonlySet<number>): void {
    this.#restarted = true;
    for (const id of this.#results.keys()) if (!finals.has(id)) this.#unfinish(id);
  }

  /**
   * Take in an event of the server.
   *
   * @returns what the caller is told; undefined for what is not its business.
   * @throws ConvertError if the event does not fit what came before.
   */
  apply({ event }: EventMessage): LiveEvent | undefined {
    switch (event.case) {
      case "segmentsChanged":
        this.#splice(event.value);
        return undefined;
      case "result":
        return this.#result(event.value);
      case "invalidated":
        return this.#invalidate(event.value);
      case "done":
        this.done = Number(event.value.revision);
        // The list that came with it may be that of a later edit already.
        this.revision = Math.max(this.revision, this.done);
        return { kind: "done", first: Number(event.value.firstRevision), revision: this.done };
      case "rejected": {
        const { revision, status } = event.value;
        const error = status ? errorOf(status) : new ConvertError("UNKNOWN", "refused without a reason");
        return { kind: "rejected", revision: Number(revision), error };
      }
      default:
        return undefined;
    }
  }

  #splice(change: SegmentsChanged): void {
    const added = change.added.map((head) => ({ id: Number(head.segmentId), length: head.length }));
    const known = new Set(added.map(({ id }) => id));
    if (this.#restarted) {
      this.#restarted = false;
      this.#list = [];
      for (const id of this.#results.keys()) if (!known.has(id)) this.#results.delete(id);
    }
    const end = change.index + change.removed;
    if (end > this.#list.length) {
      const range = `${change.index} to ${end} of a list of ${this.#list.length}`;
      throw new ConvertError("INTERNAL", `the server replaced segments ${range}`);
    }
    const gone = this.#list.slice(change.index, end);
    this.#list = [...this.#list.slice(0, change.index), ...added, ...this.#list.slice(end)];
    for (const { id } of gone) if (!known.has(id)) this.#results.delete(id);
    this.nextId = added.reduce((next, { id }) => Math.max(next, id + 1), this.nextId);
    this.revision = Number(change.revision);
  }

  #result(message: SegmentResult): LiveEvent {
    const segment: LiveSegment = {
      id: Number(message.segmentId),
      revision: Number(message.revision),
      start: message.start,
      end: message.end,
      text: message.text,
      spans: message.spans.map((span) => spanOf(span)),
      isFinal: message.isFinal,
      ...(message.error && { error: errorOf(message.error) }),
    };
    this.#results.set(segment.id, segment);
    return { kind: "segment", segment };
  }

  #invalidate(message: Invalidated): LiveEvent {
    const ids = message.segmentIds.map(Number);
    for (const id of ids) this.#unfinish(id);
    return { kind: "invalidated", ids };
  }

  /** Show a result until the next one comes, but do not take it for final. */
  #unfinish(id: number): void {
    const found = this.#results.get(id);
    if (found?.isFinal) this.#results.set(id, { ...found, isFinal: false });
  }
}
