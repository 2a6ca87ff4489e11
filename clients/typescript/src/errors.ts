/**
 * What a call may fail with. The codes are those of gRPC, which the server speaks:
 * https://grpc.io/docs/guides/status-codes/
 */

/** A gRPC status code by its name. */
export const Code = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type CodeName = keyof typeof Code;

/** A call that failed. */
export class ConvertError extends Error {
  /** The gRPC status. */
  readonly code: CodeName;
  /** When the server wants to be asked again, in milliseconds; absent if it did not say. */
  readonly retryAfterMs: number | undefined;

  constructor(code: CodeName, message: string, retryAfterMs?: number) {
    super(message);
    this.name = "ConvertError";
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether nothing is wrong with the request, so that trying again may help. */
  get isTransient(): boolean {
    return this.code === "UNAVAILABLE" || (this.code === "RESOURCE_EXHAUSTED" && this.retryAfterMs !== undefined);
  }
}

/** The name of a status code; UNKNOWN for a number that is none. */
export function codeName(number: number): CodeName {
  const found = (Object.keys(Code) as CodeName[]).find((name) => Code[name] === number);
  return found ?? "UNKNOWN";
}
