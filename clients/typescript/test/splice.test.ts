import assert from "node:assert/strict";
import { test } from "node:test";
import { applySplice, spliceBetween, splitsPair } from "../src/splice.js";
import { Random } from "./random.js";

test("what was typed, deleted, replaced", () => {
  assert.equal(spliceBetween("수도", "수도"), undefined);
  assert.deepEqual(spliceBetween("", "수"), { start: 0, end: 0, text: "수" });
  assert.deepEqual(spliceBetween("수는", "수도는", 2), { start: 1, end: 1, text: "도" });
  assert.deepEqual(spliceBetween("수도는", "수는", 1), { start: 1, end: 2, text: "" });
  assert.deepEqual(spliceBetween("숟", "수도", 2), { start: 0, end: 1, text: "수도" });
});

test("of equal letters, the one at the caret", () => {
  assert.deepEqual(spliceBetween("가가", "가가가", 1), { start: 0, end: 0, text: "가" });
  assert.deepEqual(spliceBetween("가가", "가가가", 2), { start: 1, end: 1, text: "가" });
  assert.deepEqual(spliceBetween("가가가", "가가", 1), { start: 1, end: 2, text: "" });
  // A caret that has nothing to do with the change, as after undo, costs nothing.
  assert.deepEqual(spliceBetween("가나다", "가라다", 0), { start: 1, end: 2, text: "라" });
});

test("no half of a surrogate pair", () => {
  // 😀 and 😁 share their first unit, 😀 and 🨀 their second.
  assert.deepEqual(spliceBetween("a😀b", "a😁b"), { start: 1, end: 3, text: "😁" });
  assert.deepEqual(spliceBetween("a\u{1F600}b", "a\u{1FA00}b"), { start: 1, end: 3, text: "\u{1FA00}" });
});

test("any two texts", () => {
  const random = new Random(7);
  const text = () => Array.from({ length: random.below(6) }, () => random.pick(["가", "나", "😀", "😁", "\u{1FA00}"])).join("");
  for (let round = 0; round < 5_000; round += 1) {
    const [before, after] = [text(), text()];
    const caret = random.pick([undefined, random.below(after.length + 1)]);
    const splice = spliceBetween(before, after, caret);
    if (!splice) {
      assert.equal(before, after);
      continue;
    }
    assert.equal(applySplice(before, splice), after);
    assert.ok(splice.text.isWellFormed());
    assert.ok(!splitsPair(before, splice.start) && !splitsPair(before, splice.end));
  }
});
