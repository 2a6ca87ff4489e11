/** A server that the test plays itself, over connections that it can lose. */

import { type MessageInitShape, create } from "@bufbuild/protobuf";
import type { Connect, Receiver } from "../src/connection.js";
import type { ConvertError } from "../src/errors.js";
import { type LiveConfig, type LiveEventSchema, type LiveRequest, LiveResponseSchema } from "../src/gen/hanjaserve/v1/hanjaserve_pb.js";

type Event = NonNullable<MessageInitShape<typeof LiveEventSchema>["event"]>;

/** The server's end of one call. */
export class Call {
  readonly sent: LiveRequest[] = [];
  halfClosed = false;
  aborted = false;
  readonly #receiver: Receiver;

  constructor(receiver: Receiver) {
    this.#receiver = receiver;
  }

  /** What came, by kind. */
  get kinds(): (string | undefined)[] {
    return this.sent.map(({ message }) => message.case);
  }

  get config(): LiveConfig {
    const first = this.sent[0]?.message;
    if (first?.case !== "config") throw new Error(`the first message is ${first?.case}`);
    return first.value;
  }

  tell(...events: Event[]): void {
    this.#receiver.received(create(LiveResponseSchema, { events: events.map((event) => ({ event })) }));
  }

  start(token = "token", maxCodePoints = 1000): void {
    this.tell({ case: "started", value: { resumeToken: token, limits: { maxCodePoints } } });
  }

  /** The whole document is one segment, and becomes this text. */
  result(revision: number, segmentId: number, length: number, text: string, isFinal = false, removed = 0): void {
    const added = [{ segmentId: BigInt(segmentId), length }];
    this.tell(
      { case: "segmentsChanged", value: { revision: BigInt(revision), index: 0, removed, added } },
      { case: "result", value: { revision: BigInt(revision), segmentId: BigInt(segmentId), start: 0, end: length, text, isFinal } },
      { case: "done", value: { revision: BigInt(revision), firstRevision: BigInt(revision) } },
    );
  }

  end(error?: ConvertError): void {
    if (!this.aborted) this.#receiver.ended(error);
  }
}

/** Remembers the calls that were begun. */
export class Network {
  readonly calls: Call[] = [];

  readonly connect: Connect = (receiver) => {
    const call = new Call(receiver);
    this.calls.push(call);
    return {
      send: (message) => call.sent.push(message),
      halfClose: () => { call.halfClosed = true; },
      abort: () => { call.aborted = true; },
    };
  };

  /** The newest call. */
  get call(): Call {
    const last = this.calls.at(-1);
    if (!last) throw new Error("nobody has called");
    return last;
  }
}
