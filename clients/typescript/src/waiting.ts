/** Callers who wait for something to become true. */

import type { ConvertError } from "./errors.js";

interface Waiter {
  readonly met: () => boolean;
  readonly resolve: () => void;
  readonly reject: (error: ConvertError) => void;
}

/** Those who wait for conditions of one session. */
export class Waiting {
  #waiters: Waiter[] = [];

  /** Resolves once the condition is met; `look` sees whether it is. */
  async until(met: () => boolean): Promise<void> {
    if (met()) return;
    await new Promise<void>((resolve, reject) => this.#waiters.push({ met, resolve, reject }));
  }

  /** See which conditions are met; with an error, the others never will be. */
  look(error: ConvertError | undefined): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      if (waiter.met()) waiter.resolve();
      else if (error) waiter.reject(error);
      else this.#waiters.push(waiter);
    }
  }
}
