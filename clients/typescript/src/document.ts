/**
 * The client's own copy of a live document, and what it must tell a server to go on with it. No I/O.
 *
 * A final segment survives a lost connection if nothing that it depends on was edited in between: its
 * text, and the 64 code points before it. Which edits those are is known from a log of the edits that
 * are not done yet.
 */

import { type MessageInitShape, create } from "@bufbuild/protobuf";
import { type LiveRequest, LiveRequestSchema, type LiveResume, LiveResumeSchema } from "./gen/hanjaserve/v1/hanjaserve_pb.js";
import { ConvertError } from "./errors.js";
import { type Splice, splitsPair } from "./splice.js";
import type { LiveView, Placed } from "./view.js";

/** UTF-16 units before a segment that its conversion may depend on: 64 code points have no more. */
const CONTEXT = 128;

interface Edit {
  readonly revision: number;
  readonly splices: readonly Splice[];
}

/** A range of the text, and the revision that touched it. */
interface Hot {
  readonly revision: number;
  readonly start: number;
  readonly end: number;
}

/** The document of one session. */
export class LiveDocument {
  /** As the caller has edited it. */
  text = "";
  /** The last one that was made. */
  revision = 0;
  #log: Edit[] = [];

  /**
   * Change some places; all offsets count in the text as it is.
   *
   * @throws ConvertError if the splices are not in order, overlap, are not in the text, cut a surrogate
   * pair, or bring half of one.
   */
  edit(splices: readonly Splice[]): LiveRequest {
    const parts: string[] = [];
    let done = 0;
    splices.forEach((splice, number) => {
      this.#check(splice, number, done);
      parts.push(this.text.slice(done, splice.start), splice.text);
      done = splice.end;
    });
    this.text = parts.join("") + this.text.slice(done);
    this.#note(splices);
    return request({ case: "edit", value: { revision: BigInt(this.revision), splices: [...splices] } });
  }

  /** Change all of it. */
  replace(text: string): LiveRequest {
    checkWellFormed(text, "the text");
    this.#note([{ start: 0, end: this.text.length, text }]);
    this.text = text;
    return request({ case: "replace", value: { revision: BigInt(this.revision), text } });
  }

  /** Make every segment final. */
  commit(): LiveRequest {
    this.#note([]);
    return request({ case: "commit", value: { revision: BigInt(this.revision) } });
  }

  /** A revision without a change, which the next `resume` tells. */
  skip(): void {
    this.#note([]);
  }

  /** Revisions up to this one are done. */
  forget(done: number): void {
    const first = this.#log.findIndex((edit) => edit.revision > done);
    this.#log = first < 0 ? [] : this.#log.slice(first);
  }

  /** Where a range of the document at an earlier revision is now; undefined if it was edited since. */
  place(start: number, end: number, revision: number): [start: number, end: number] | undefined {
    return moved(start, end, this.#log.filter((edit) => edit.revision > revision));
  }

  /**
   * What a server must know to go on.
   *
   * @param keepFinals - False converts everything anew, as after a change of the options.
   */
  resume(view: LiveView, token: string, keepFinals = true): LiveResume {
    const finals = keepFinals ? [...this.#surviving(view)] : [];
    return create(LiveResumeSchema, {
      resumeToken: token,
      revision: BigInt(this.revision),
      text: this.text,
      finals: finals.map(({ segment, start, end }) => ({ segmentId: BigInt(segment.id), start, end })),
      nextSegmentId: BigInt(view.nextId),
    });
  }

  #check({ start, end, text }: Splice, number: number, done: number): void {
    const here = `splice ${number} is [${start}, ${end})`;
    if (!(done <= start && start <= end && end <= this.text.length)) {
      const allowed = `it must begin at ${done} or later, and end at ${this.text.length} or earlier`;
      throw new ConvertError("INVALID_ARGUMENT", `${here}: ${allowed}`);
    }
    if (splitsPair(this.text, start) || splitsPair(this.text, end)) {
      throw new ConvertError("INVALID_ARGUMENT", `${here}: it cuts a surrogate pair`);
    }
    checkWellFormed(text, `the text of splice ${number}`);
  }

  #note(splices: readonly Splice[]): void {
    this.revision += 1;
    this.#log.push({ revision: this.revision, splices });
  }

  /** Final segments that are as they were, and where they are in the text now. */
  *#surviving(view: LiveView): Generator<Placed> {
    const unseen = this.#log.filter((edit) => edit.revision > view.revision);
    const hot = this.#hotRanges();
    for (const { segment, start, end } of view.placed()) {
      const now = segment.isFinal ? moved(start, end, unseen) : undefined;
      if (!now) continue;
      const touched = hot.some((h) => h.revision > segment.revision && now[0] <= h.end && now[1] >= h.start);
      if (!touched) yield { segment, start: now[0], end: now[1] };
    }
  }

  /** What each edit since the last done can have changed, in the text now. */
  #hotRanges(): Hot[] {
    let found: Hot[] = [];
    for (const edit of this.#log) {
      found = found.map(({ revision, start, end }) => ({
        revision,
        start: place(start, edit, false),
        end: place(end, edit, true),
      }));
      let grown = 0;
      for (const splice of edit.splices) {
        const start = splice.start + grown;
        found.push({ revision: edit.revision, start, end: start + splice.text.length + CONTEXT });
        grown += growth(splice);
      }
    }
    return found;
  }
}

function request(message: MessageInitShape<typeof LiveRequestSchema>["message"]): LiveRequest {
  return create(LiveRequestSchema, message ? { message } : {});
}

function checkWellFormed(text: string, what: string): void {
  if (!text.isWellFormed()) throw new ConvertError("INVALID_ARGUMENT", `${what} holds half a surrogate pair`);
}

function growth({ start, end, text }: Splice): number {
  return text.length - (end - start);
}

/** Where a range is after edits; undefined if one of them touches it. */
function moved(start: number, end: number, edits: readonly Edit[]): [number, number] | undefined {
  for (const { splices } of edits) {
    let shift = 0;
    for (const splice of splices) {
      if (splice.start <= end && splice.end >= start) return undefined;
      if (splice.end < start) shift += growth(splice);
    }
    start += shift;
    end += shift;
  }
  return [start, end];
}

/** Where a position is after an edit: behind what the edit put there, or before it. */
function place(at: number, edit: Edit, behind: boolean): number {
  let shift = 0;
  for (const splice of edit.splices) {
    if (at < splice.start || (at === splice.start && !behind)) break;
    const passed = at > splice.end || (at === splice.end && behind);
    if (!passed) return splice.start + shift + (behind ? splice.text.length : 0);
    shift += growth(splice);
  }
  return at + shift;
}
