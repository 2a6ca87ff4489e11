/** What a live session needs of a network: messages in order, both ways, until one side ends. */

import type { ConvertError } from "./errors.js";
import type { LiveRequest, LiveResponse } from "./gen/hanjaserve/v1/hanjaserve_pb.js";

/** One LiveConvert call. */
export interface Connection {
  /** Send a message; before the connection is there it waits. */
  send(message: LiveRequest): void;
  /** Say that nothing more will be sent; results still come. */
  halfClose(): void;
  /** End it at once. Nothing is reported any more. */
  abort(): void;
}

/** Who is told what happens to a call. */
export interface Receiver {
  received(message: LiveResponse): void;
  /** The call is over; without an error if both sides wanted that. Comes once, and last. */
  ended(error: ConvertError | undefined): void;
}

/** Begins a call. */
export type Connect = (receiver: Receiver) => Connection;
