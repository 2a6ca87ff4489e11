import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_RETRY } from "../src/retry.js";
import { LiveSession } from "../src/session.js";
import { type Field, Typing } from "../src/typing.js";
import { Network } from "./network.js";

/** A text field to which nobody but its user may write. */
class FakeField extends EventTarget {
  selectionStart = 0;
  selectionEnd = 0;
  #value = "";

  get value(): string {
    return this.#value;
  }

  /** The browser changes the value, puts the caret behind it, and says so. */
  change(value: string, caret: number, events: readonly (readonly [string, string?])[]): void {
    for (const [type, data] of events) {
      if (type === "input") {
        this.#value = value;
        this.selectionStart = this.selectionEnd = caret;
      }
      this.dispatchEvent(Object.assign(new Event(type), { data }));
    }
  }
}

function typist() {
  const network = new Network();
  const live = new LiveSession(network.connect, {}, DEFAULT_RETRY);
  const field = new FakeField();
  const trouble: (Error | undefined)[] = [];
  const typing = new Typing(field as unknown as Field, () => live, (_, error) => trouble.push(error));
  return { network, live, field, typing, trouble };
}

test("a syllable is composed: every state is sent, each once", () => {
  const { network, live, field, typing } = typist();
  field.change("ㅅ", 1, [["compositionstart", ""], ["compositionupdate", "ㅅ"], ["input"]]);
  assert.deepEqual([live.source, typing.composing], ["ㅅ", { start: 0, end: 1 }]);
  field.change("수", 1, [["compositionupdate", "수"], ["input"]]);
  assert.deepEqual(typing.composing, { start: 0, end: 1 }, "where it began, wherever the caret is now");
  field.change("숟", 1, [["compositionupdate", "숟"], ["input"]]);
  // ㅗ takes the ㄷ with it: 수 is done, and 도 begins.
  field.change("수", 1, [["compositionupdate", "수"], ["input"], ["compositionend", "수"]]);
  field.change("수도", 2, [["compositionstart", ""], ["compositionupdate", "도"], ["input"]]);
  assert.deepEqual([live.source, typing.composing], ["수도", { start: 1, end: 2 }]);
  field.change("수도", 2, [["compositionend", "도"]]);
  assert.equal(typing.composing, undefined);
  assert.deepEqual([live.source, live.revision, network.call.sent.length], ["수도", 5, 6]);
});

test("the order of events of other browsers", () => {
  const { live, field, typing } = typist();
  field.change("수", 1, [["compositionstart", ""], ["compositionupdate", "수"], ["compositionend", "수"], ["input"]]);
  assert.deepEqual([live.source, live.revision, typing.composing], ["수", 1, undefined]);
});

test("a composition that is given up", () => {
  const { live, field, typing } = typist();
  field.change("ㅅ", 1, [["compositionstart", ""], ["compositionupdate", "ㅅ"], ["input"]]);
  field.change("", 0, [["compositionupdate", ""], ["input"], ["compositionend", ""]]);
  assert.deepEqual([live.source, typing.composing], ["", undefined]);
});

test("what can't be sent is told", () => {
  const { network, field, trouble, live } = typist();
  network.call.start("token", 1);
  field.change("가나", 2, [["input"]]);
  assert.match(String(trouble[0]), /2 code points, the limit is 1/);
  field.change("가", 1, [["input"]]);
  assert.deepEqual([trouble[1], live.source], [undefined, "가"]);
});
