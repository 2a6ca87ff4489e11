/**
 * A live session: type into it, and read what it is converted to.
 *
 *     const live = client.live({ rendering: "hangul-hanja" });
 *     live.edit(0, 0, "수도는 서울이다");
 *     await live.flush();
 *     live.text;                              // 수도(首都)는 서울이다
 *
 * When the connection is lost, or the server says that it goes away, the session connects again and goes
 * on: what is typed meanwhile is in the document, and goes to the next server with it. What both sides
 * must agree on (`view`, `document`) is pure and has its own tests.
 */

import { create } from "@bufbuild/protobuf";
import type { Connect, Connection } from "./connection.js";
import { LiveDocument } from "./document.js";
import { ConvertError } from "./errors.js";
import { type LiveConfig, type LiveRequest, LiveRequestSchema, type LiveResponse, type LiveStarted } from "./gen/hanjaserve/v1/hanjaserve_pb.js";
import { type LiveOptions, configMessage } from "./options.js";
import { Attempts, type RetryPolicy } from "./retry.js";
import { type Splice, spliceBetween } from "./splice.js";
import { type LiveEvent, LiveView } from "./view.js";
import { Waiting } from "./waiting.js";

/** Takes all events of one message at once: they belong together. */
export type LiveListener = (events: readonly LiveEvent[]) => void;

/** A document that is converted while it is edited. Made by `Client.live`. */
export class LiveSession {
  /** What the document is converted to so far, segment by segment. */
  readonly view = new LiveView();
  readonly #connect: Connect;
  #attempts: Attempts;
  readonly #resuming: RetryPolicy;
  readonly #document = new LiveDocument();
  readonly #listeners = new Set<LiveListener>();
  #options: LiveOptions;
  #connection: Connection | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #token = "";
  #maxCodePoints = Infinity;
  #keepFinals = true;
  #commit = 0;
  #flush = 0;
  #replaced = 0;
  #closing = false;
  #refusal: ConvertError | undefined;
  #over: { readonly error?: ConvertError } | undefined;
  readonly #waiting = new Waiting();

  constructor(connect: Connect, options: LiveOptions, retry: RetryPolicy, resuming: RetryPolicy = retry) {
    this.#connect = connect;
    this.#options = options;
    this.#attempts = new Attempts(retry);
    this.#resuming = resuming;
    this.#call();
  }

  /** The document as it was typed. */
  get source(): string {
    return this.#document.text;
  }

  /** The last revision that was made. */
  get revision(): number {
    return this.#document.revision;
  }

  /** The converted document, as far as results are there. */
  get text(): string {
    return this.view.text;
  }

  /** Whether the session has ended. */
  get isOver(): boolean {
    return this.#over !== undefined;
  }

  /** Whether everything that was typed is converted. */
  get isSettled(): boolean {
    return this.#isDone(this.revision);
  }

  /** Be told what happens; returns how to stop that. */
  subscribe(listener: LiveListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Replace [start, end) of the document; an insertion if both are equal.
   *
   * @throws ConvertError if the offsets are not in the document, or the session has ended or refused an
   * edit: then `replace` goes on.
   */
  edit(start: number, end: number, text: string): void {
    this.editPlaces([{ start, end, text }]);
  }

  /** Change several places at once; all offsets count in the document as it is. See `edit`. */
  editPlaces(splices: readonly Splice[]): void {
    this.#check();
    this.#send(this.#document.edit(splices));
  }

  /** Make this the document; segments that stay the same are not converted again. See `edit`. */
  replace(text: string): void {
    this.#refusal = undefined;
    this.#check();
    const message = this.#document.replace(text);
    this.#replaced = this.revision;
    this.#send(message);
  }

  /**
   * Take over the value of an input: sends what has changed. Halves of surrogate pairs become U+FFFD.
   *
   * @param caret - Where the caret is, which tells apart what else is the same.
   * @returns the change; undefined if there is none.
   * @throws ConvertError if the text is longer than the server takes, or the session has ended. The
   * document stays as it was.
   */
  input(value: string, caret?: number): Splice | undefined {
    const text = value.toWellFormed();
    const splice = spliceBetween(this.source, text, caret);
    if (!splice) return undefined;
    this.#checkLength(text);
    if (this.#refusal) this.replace(text);
    else this.editPlaces([splice]);
    return splice;
  }

  /** Make every segment final, and wait for the results. */
  async commit(): Promise<void> {
    this.#check();
    const message = this.#document.commit();
    this.#commit = this.revision;
    this.#send(message);
    await this.#waiting.until(() => this.#isDone(this.#commit));
  }

  /** Have everything converted that was typed, and wait for the results. */
  async flush(): Promise<void> {
    this.#check();
    const wanted = (this.#flush = this.revision);
    this.#send(flushRequest());
    await this.#waiting.until(() => this.#isDone(wanted));
  }

  /** Convert the same document in another way from now on. What is shown stays until the results come. */
  configure(options: LiveOptions): void {
    this.#check();
    this.#options = options;
    this.#keepFinals = false;
    this.#document.skip();
    this.#connection?.abort();
    this.#call();
  }

  /** Try to connect now, rather than when it is time. */
  retryNow(): void {
    if (this.#timer !== undefined) this.#call();
  }

  /** Make every segment final, wait for the results, and end the session. */
  async close(): Promise<void> {
    if (this.#over) return;
    this.#closing = true;
    this.#connection?.halfClose();
    await this.#waiting.until(() => this.#over !== undefined);
  }

  /** End the session at once. */
  abort(): void {
    this.#end(undefined);
  }

  /** Where a range of the view's document is in `source`; undefined if it was edited since. */
  place(start: number, end: number): [start: number, end: number] | undefined {
    return this.#document.place(start, end, this.view.revision);
  }

  #send(message: LiveRequest): void {
    // Without a connection there is nothing to queue for: the next one begins with the document.
    this.#connection?.send(message);
  }

  #check(): void {
    const error = this.#why();
    if (error) throw error;
  }

  #isDone(revision: number): boolean {
    return this.#token !== "" && this.view.done >= revision;
  }

  #checkLength(text: string): void {
    if (text.length <= this.#maxCodePoints) return;
    const length = Array.from(text).length;
    if (length <= this.#maxCodePoints) return;
    const message = `the text has ${length} code points, the limit is ${this.#maxCodePoints}`;
    throw new ConvertError("INVALID_ARGUMENT", message);
  }

  #tell(events: readonly LiveEvent[]): void {
    this.#waiting.look(this.#why());
    for (const listener of this.#listeners) listener(events);
  }

  /** Why nothing can be done any more, or before a `replace`; undefined if it can. */
  #why(): ConvertError | undefined {
    if (this.#over) return this.#over.error ?? new ConvertError("FAILED_PRECONDITION", "the session has ended");
    return this.#refusal;
  }

  /** One call, from config to half-close. */
  #call(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const connection = this.#connect({
      received: (message) => this.#receive(message),
      ended: (error) => this.#lost(error),
    });
    this.#connection = connection;
    const config = this.#config();
    connection.send(create(LiveRequestSchema, { message: { case: "config", value: config } }));
    // Nothing was answered yet, so there is nothing to resume: tell the document, which may skip revisions.
    if (!this.#token && this.revision > 0) connection.send(this.#document.replace(this.source));
    if (this.#commit > this.view.done) {
      connection.send(this.#document.commit());
      this.#commit = this.revision;
    }
    if (this.#flush > this.view.done) connection.send(flushRequest());
    if (this.#closing) connection.halfClose();
    if (config.resume) this.#tell([{ kind: "resumed", revision: this.revision }]);
  }

  #config(): LiveConfig {
    const config = configMessage(this.#options);
    if (!this.#token) return config;
    config.resume = this.#document.resume(this.view, this.#token, this.#keepFinals);
    this.view.restart(new Set(config.resume.finals.map(({ segmentId }) => Number(segmentId))));
    return config;
  }

  #receive(response: LiveResponse): void {
    this.#attempts.progressed();
    const told: LiveEvent[] = [];
    try {
      for (const event of response.events) {
        if (event.event.case === "started") this.#started(event.event.value);
        else if (event.event.case === "goAway") this.#token = event.event.value.resumeToken;
        else {
          const found = this.view.apply(event);
          if (found) told.push(found);
        }
      }
    } catch (error) {
      return this.#end(error instanceof ConvertError ? error : new ConvertError("INTERNAL", String(error)));
    }
    for (const event of told) {
      // What was sent before a replace may be refused after it, which matters no more.
      if (event.kind === "rejected" && event.revision > this.#replaced) this.#refusal ??= event.error;
    }
    this.#document.forget(this.view.done);
    this.#tell(told);
  }

  #started(started: LiveStarted): void {
    if (!this.#token) this.#attempts = new Attempts(this.#resuming);
    this.#token = started.resumeToken;
    this.#maxCodePoints = started.limits?.maxCodePoints ?? Infinity;
    this.#keepFinals = true;
  }

  #lost(error: ConvertError | undefined): void {
    this.#connection = undefined;
    if (!error && this.#closing) return this.#end(undefined);
    const reason = error ?? new ConvertError("UNAVAILABLE", "the server ended the session");
    try {
      const retryInMs = this.#attempts.delayAfter(reason);
      this.#timer = setTimeout(() => this.#call(), retryInMs);
      this.#tell([{ kind: "lost", error: reason, retryInMs }]);
    } catch {
      this.#end(reason);
    }
  }

  #end(error: ConvertError | undefined): void {
    if (this.#over) return;
    this.#over = error ? { error } : {};
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#connection?.abort();
    this.#connection = undefined;
    this.#tell([{ kind: "ended", ...this.#over }]);
  }
}

function flushRequest(): LiveRequest {
  return create(LiveRequestSchema, { message: { case: "flush", value: {} } });
}
