/**
 * The client: single conversions over HTTP, live sessions over a WebSocket, both of `hanjaserve web`.
 *
 *     const client = new Client("http://127.0.0.1:8080");
 *     (await client.convert("대한민국의 수도는 서울이다")).text;    // 大韓民國의 首都는 서울이다
 *
 * Single calls speak the Connect protocol (https://connectrpc.com/docs/protocol/), unary, in protobuf.
 */

import { type DescMessage, type DescMethodUnary, type MessageInitShape, type MessageShape, create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, type CodeName, ConvertError } from "./errors.js";
import { HanjaService } from "./gen/hanjaserve/v1/hanjaserve_pb.js";
import { type ConvertOptions, type LiveOptions, optionsMessage } from "./options.js";
import { type Conversion, conversionOf, errorOf } from "./results.js";
import { Attempts, DEFAULT_RETRY, RESUMING_RETRY, type RetryPolicy } from "./retry.js";
import { LiveSession } from "./session.js";
import { type WebSocketClass, overWebSocket } from "./socket.js";

/** How to reach the server, and when to try again. */
export interface ClientOptions {
  readonly retry?: Partial<RetryPolicy>;
  /** Node before 22 has no WebSocket of its own: pass that of the package ws. */
  readonly webSocket?: WebSocketClass;
  /** Another fetch, as for tests. */
  readonly fetch?: typeof globalThis.fetch;
}

/** What is served. */
export interface ServerInfo {
  readonly version: string;
  readonly model: string;
  readonly modelRevision: string;
  readonly runner: string;
  readonly styles: readonly string[];
  readonly ready: boolean;
}

/** Converts Hangul to Hanja on a hanjaserve server, by way of `hanjaserve web`. */
export class Client {
  readonly #base: URL;
  readonly #retry: RetryPolicy;
  readonly #resuming: RetryPolicy;
  readonly #fetch: typeof globalThis.fetch;
  readonly #webSocket: WebSocketClass | undefined;

  /** @param base - The address that `hanjaserve web` prints. */
  constructor(base: string | URL, options: ClientOptions = {}) {
    this.#base = new URL(base);
    this.#retry = { ...DEFAULT_RETRY, ...options.retry };
    this.#resuming = { ...RESUMING_RETRY, ...options.retry };
    this.#fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.#webSocket = options.webSocket ?? globalThis.WebSocket;
  }

  /** Convert one text. */
  async convert(text: string, options: ConvertOptions = {}): Promise<Conversion> {
    const request = { text: text.toWellFormed(), options: optionsMessage(options) };
    const { conversion } = await this.#call(HanjaService.method.convert, request);
    if (!conversion) throw new ConvertError("INTERNAL", "the server sent no conversion");
    return conversionOf(request.text, conversion);
  }

  /** Convert some texts at once; of each its conversion, or why it has none, in the same order. */
  async convertBatch(texts: readonly string[], options: ConvertOptions = {}): Promise<(Conversion | ConvertError)[]> {
    const sent = texts.map((text) => text.toWellFormed());
    const request = { texts: sent, options: optionsMessage(options) };
    const { results } = await this.#call(HanjaService.method.batchConvert, request);
    if (results.length !== sent.length) {
      throw new ConvertError("INTERNAL", `the server sent ${results.length} results for ${sent.length} texts`);
    }
    return results.map(({ outcome }, number) => {
      if (outcome.case === "conversion") return conversionOf(sent[number] ?? "", outcome.value);
      return outcome.case ? errorOf(outcome.value) : new ConvertError("INTERNAL", "the server sent no result");
    });
  }

  /** What is served. */
  async serverInfo(): Promise<ServerInfo> {
    const { version, model, modelRevision, runner, styles, ready } = await this.#call(HanjaService.method.getServerInfo, {});
    return { version, model, modelRevision, runner, styles, ready };
  }

  /** Convert a document while it is edited. */
  live(options: LiveOptions = {}): LiveSession {
    if (!this.#webSocket) throw new Error("there is no WebSocket here: pass one, such as that of the package ws");
    const url = new URL("live", this.#base);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return new LiveSession(overWebSocket(url.href, this.#webSocket), options, this.#retry, this.#resuming);
  }

  async #call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>> {
    const url = new URL(`${method.parent.typeName}/${method.name}`, this.#base);
    const body = toBinary(method.input, create(method.input, request)) as Uint8Array<ArrayBuffer>;
    const attempts = new Attempts(this.#retry);
    for (;;) {
      try {
        return fromBinary(method.output, await this.#post(url, body));
      } catch (error) {
        if (!(error instanceof ConvertError)) throw error;
        const delay = attempts.delayAfter(error);
        await new Promise((resolve) => setTimeout(resolve, delay));
      }
    }
  }

  async #post(url: URL, body: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
    const headers = { "Content-Type": "application/proto", "Connect-Protocol-Version": "1" };
    let response: Response;
    try {
      response = await this.#fetch(url, { method: "POST", headers, body });
    } catch {
      throw new ConvertError("UNAVAILABLE", `no answer from ${url.origin}: is \`hanjaserve web\` running?`);
    }
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    throw errorOfBody(response.status, await response.text());
  }
}

/** The error of a call that failed; one that is not of the protocol comes from something in between. */
function errorOfBody(status: number, text: string): ConvertError {
  try {
    const { code, message }: { code?: unknown; message?: unknown } = JSON.parse(text);
    const name = String(code).toUpperCase();
    if (name in Code) return new ConvertError(name as CodeName, String(message ?? ""));
  } catch {
    // Not JSON.
  }
  return new ConvertError("UNKNOWN", `HTTP status ${status}: ${text.slice(0, 200)}`);
}
