/**
 * A LiveConvert call over a WebSocket of `hanjaserve web`.
 *
 *     binary frames  LiveRequest, LiveResponse: one message each
 *     text frames    "half-close" from the client; from the server, last, how the call ended:
 *                    {"code": "UNAVAILABLE", "message": "…", "retryAfterMs": 500}
 */

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Connect, Connection, Receiver } from "./connection.js";
import { Code, type CodeName, ConvertError } from "./errors.js";
import { type LiveRequest, LiveRequestSchema, type LiveResponse, LiveResponseSchema } from "./gen/hanjaserve/v1/hanjaserve_pb.js";

/** The part of the WebSocket class that is used; browsers, Node 22 and the package ws have it. */
export type WebSocketClass = new (url: string) => WebSocket;

const HALF_CLOSE = "half-close";
/** Beyond this the bridge cuts the connection, which trying again would not help. */
const MAX_MESSAGE_BYTES = 32 * 2 ** 20;

/** Connects to a URL such as ws://127.0.0.1:8080/live. */
export function overWebSocket(url: string, socketClass: WebSocketClass): Connect {
  return (receiver) => new SocketConnection(new socketClass(url), receiver);
}

class SocketConnection implements Connection {
  readonly #socket: WebSocket;
  readonly #receiver: Receiver;
  #waiting: (Uint8Array<ArrayBuffer> | string)[] | undefined = [];
  #over = false;

  constructor(socket: WebSocket, receiver: Receiver) {
    this.#socket = socket;
    this.#receiver = receiver;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => this.#opened());
    socket.addEventListener("message", ({ data }) => this.#received(data));
    socket.addEventListener("close", () => this.#end(new ConvertError("UNAVAILABLE", "the connection is lost")));
    // A close event follows, and tells as much: browsers say nothing of the reason.
    socket.addEventListener("error", () => undefined);
  }

  send(message: LiveRequest): void {
    const data = toBinary(LiveRequestSchema, message);
    if (data.length <= MAX_MESSAGE_BYTES) return this.#write(data);
    const text = `a message has ${data.length} bytes, the limit is ${MAX_MESSAGE_BYTES}: send less at once`;
    // Not at once: whoever sends expects no answer before it comes back.
    queueMicrotask(() => this.#end(new ConvertError("RESOURCE_EXHAUSTED", text)));
  }

  halfClose(): void {
    this.#write(HALF_CLOSE);
  }

  abort(): void {
    this.#over = true;
    this.#socket.close();
  }

  #write(data: Uint8Array<ArrayBuffer> | string): void {
    if (this.#waiting) this.#waiting.push(data);
    else if (!this.#over) this.#socket.send(data);
  }

  #opened(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const data of waiting) this.#write(data);
  }

  #received(data: unknown): void {
    if (this.#over) return;
    if (!(data instanceof ArrayBuffer)) return this.#end(errorOfStatus(String(data)));
    let message: LiveResponse;
    try {
      message = fromBinary(LiveResponseSchema, new Uint8Array(data));
    } catch {
      return this.#end(new ConvertError("INTERNAL", "a message of the server can't be read: are both of one version?"));
    }
    this.#receiver.received(message);
  }

  #end(error: ConvertError | undefined): void {
    if (this.#over) return;
    this.abort();
    this.#receiver.ended(error);
  }
}

function errorOfStatus(text: string): ConvertError | undefined {
  const status = parsed(text);
  const code = isCode(status.code) ? status.code : "UNKNOWN";
  const retryAfterMs = typeof status.retryAfterMs === "number" ? status.retryAfterMs : undefined;
  return code === "OK" ? undefined : new ConvertError(code, String(status.message ?? ""), retryAfterMs);
}

/** What is not a status was not sent by the bridge. */
function parsed(text: string): { code?: unknown; message?: unknown; retryAfterMs?: unknown } {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return { message: text.slice(0, 200) };
  }
}

function isCode(value: unknown): value is CodeName {
  return typeof value === "string" && value in Code;
}
