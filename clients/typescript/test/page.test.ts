import assert from "node:assert/strict";
import { test } from "node:test";
import { Choices } from "../page/choices.js";
import { KeptWords } from "../page/glossary.js";
import { type Piece, converted, passagesOf, written } from "../page/pieces.js";
import { DEFAULT_RETRY } from "../src/retry.js";
import { LiveSession } from "../src/session.js";
import { SpanSource } from "../src/gen/hanjaserve/v1/hanjaserve_pb.js";
import { Network } from "./network.js";

function piece(source: string, hanja = "", chosen?: string): Piece {
  return { source, hanja, score: 1, alternatives: [], range: { start: 0, end: source.length }, chosen };
}

test("renderings", () => {
  const word = piece("수도", "首都");
  assert.deepEqual(
    (["hanja", "hangul-hanja", "hanja-hangul", "hangul"] as const).map((rendering) => written(word, rendering)),
    ["首都", "수도(首都)", "首都(수도)", "수도"],
  );
  assert.equal(written(piece("수도", "首都", "水道"), "hangul-hanja"), "수도(水道)");
  assert.equal(written(piece("수도", "首都", "수도"), "hangul-hanja"), "수도");
  const passages = [{ id: 1, isFinal: true, error: undefined, pieces: [word, piece("<b>&")] }];
  assert.equal(converted(passages, "hanja"), "首都<b>&");
  assert.equal(converted(passages, "ruby"), "<ruby>首都<rp>(</rp><rt>수도</rt><rp>)</rp></ruby>&#60;b&#62;&#38;");
});

test("a choice moves with its word, and ends when that is edited", () => {
  const choices = new Choices();
  choices.choose({ start: 2, end: 4 }, "水道");
  choices.edited({ start: 0, end: 0, text: "가나" });
  choices.edited({ start: 6, end: 6, text: "는" });
  assert.equal(choices.at({ start: 4, end: 6 }), "水道");
  choices.choose({ start: 4, end: 6 }, "首都");
  assert.equal(choices.at({ start: 4, end: 6 }), "首都");
  assert.equal(choices.at(undefined), undefined);
  choices.edited({ start: 5, end: 5, text: "x" });
  assert.equal(choices.at({ start: 4, end: 6 }), undefined);
});

test("a chosen word stays chosen while the conversion lags behind", () => {
  const network = new Network();
  const live = new LiveSession(network.connect, {}, DEFAULT_RETRY);
  const choices = new Choices();
  const show = () => converted(passagesOf(live, choices), "hanja");
  network.call.start();
  live.edit(0, 0, "수도 수도");
  const span = (start: number, hangul: string, hanja: string) =>
    ({ start, end: start + hangul.length, hangul, hanja, source: hanja ? SpanSource.MODEL : SpanSource.KEPT });
  const spans = [span(0, "수도", "首都"), span(2, " ", ""), span(3, "수도", "首都")];
  network.call.tell(
    { case: "segmentsChanged", value: { revision: 1n, added: [{ segmentId: 1n, length: 5 }] } },
    { case: "result", value: { revision: 1n, segmentId: 1n, start: 0, end: 5, text: "首都 首都", spans } },
    { case: "done", value: { revision: 1n, firstRevision: 1n } },
  );
  choices.choose({ start: 3, end: 5 }, "水道");
  assert.equal(show(), "首都 水道");
  const splice = live.input("가 수도 수도", 2);
  assert.ok(splice);
  choices.edited(splice);
  // What touches the edit has no place yet; what is behind it has.
  assert.deepEqual(passagesOf(live, choices)[0]?.pieces.map(({ range }) => range?.start), [undefined, 4, 5]);
  assert.equal(show(), "首都 水道");
});

test("kept words outlive the page, and broken ones do no harm", () => {
  const stored = new Map<string, string>();
  const storage = { getItem: (key: string) => stored.get(key) ?? null, setItem: (key: string, value: string) => stored.set(key, value) };
  const open = () => new KeptWords(() => storage as unknown as Storage);
  open().keep("수도", "水道");
  const words = open();
  words.keep("의사", "의사");
  words.keep("수도", "首都");
  assert.deepEqual(open().entries, [{ hangul: "의사" }, { hangul: "수도", hanja: "首都" }]);
  words.forget("의사");
  assert.equal(open().entries.length, 1);
  const [key] = stored.keys();
  for (const broken of ["{", "null", "7", '[null, 3, {"hanja": "水"}, {"hangul": 1}]']) {
    stored.set(key ?? "", broken);
    assert.deepEqual(open().entries, [], broken);
  }
  const shut = new KeptWords(() => { throw new Error("not allowed"); });
  shut.keep("수도", "水道");
  assert.equal(shut.entries.length, 1);
});
