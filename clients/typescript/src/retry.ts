/** When to try again: pure arithmetic, with the random source as a parameter. */

import type { ConvertError } from "./errors.js";

/** How often and how patiently to try. */
export interface RetryPolicy {
  /** Tries in all; 1 never tries again. A live session counts from its last answer on. */
  readonly maxAttempts: number;
  /** The delay before the second try; it doubles with every further one. */
  readonly initialDelayMs: number;
  /** The longest delay, unless the server asks for a longer one. */
  readonly maxDelayMs: number;
}

export const DEFAULT_RETRY: RetryPolicy = { maxAttempts: 5, initialDelayMs: 100, maxDelayMs: 5_000 };

/**
 * Of a live session that has begun: somebody types on meanwhile, and a server takes its time to start again.
 * Two minutes at most.
 */
export const RESUMING_RETRY: RetryPolicy = { ...DEFAULT_RETRY, maxAttempts: 30 };

/** The tries of one call, or of one session. */
export class Attempts {
  readonly #policy: RetryPolicy;
  readonly #random: () => number;
  #failed = 0;

  constructor(policy: RetryPolicy, random: () => number = Math.random) {
    this.#policy = policy;
    this.#random = random;
  }

  /** Start counting anew, because something was answered. */
  progressed(): void {
    this.#failed = 0;
  }

  /**
   * Milliseconds to wait before the next try; half of it is random, so that callers that failed
   * together do not come back together.
   *
   * @throws the error itself, when trying again is of no use.
   */
  delayAfter(error: ConvertError): number {
    this.#failed += 1;
    if (!error.isTransient || this.#failed >= this.#policy.maxAttempts) throw error;
    const { initialDelayMs, maxDelayMs } = this.#policy;
    const longest = Math.min(initialDelayMs * 2 ** Math.min(this.#failed - 1, 60), maxDelayMs);
    return Math.max(longest * (0.5 + 0.5 * this.#random()), error.retryAfterMs ?? 0);
  }
}
