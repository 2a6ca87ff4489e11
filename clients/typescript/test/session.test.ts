import assert from "node:assert/strict";
import { test } from "node:test";
import { ConvertError } from "../src/errors.js";
import { OffsetUnit, Rendering } from "../src/gen/hanjaserve/v1/hanjaserve_pb.js";
import { DEFAULT_RETRY } from "../src/retry.js";
import type { LiveOptions } from "../src/options.js";
import { LiveSession } from "../src/session.js";
import type { LiveEvent } from "../src/view.js";
import { Network } from "./network.js";

const GONE = new ConvertError("UNAVAILABLE", "gone");

function session(options: LiveOptions = {}, retry = DEFAULT_RETRY) {
  const network = new Network();
  const live = new LiveSession(network.connect, options, retry);
  const events: LiveEvent[] = [];
  live.subscribe((told) => events.push(...told));
  return { network, live, events, kinds: () => events.map(({ kind }) => kind) };
}

test("config first, then edits, in UTF-16 units", async () => {
  const { network, live } = session({ rendering: "ruby", glossary: [{ hangul: "수도" }] });
  live.edit(0, 0, "😀수");
  live.edit(3, 3, "도");
  const { call } = network;
  assert.deepEqual(call.kinds, ["config", "edit", "edit"]);
  assert.equal(call.config.offsetUnit, OffsetUnit.UTF16);
  assert.equal(call.config.options?.rendering, Rendering.RUBY);
  const source = call.config.options?.glossarySource;
  assert.ok(source?.case === "glossary" && source.value.entries[0]?.keep);
  call.start();
  const flushed = live.flush();
  call.result(2, 1, 4, "😀首都");
  await flushed;
  assert.deepEqual([live.text, live.source, live.isSettled], ["😀首都", "😀수도", true]);
});

test("bad edits change nothing", () => {
  const { network, live } = session();
  live.edit(0, 0, "😀");
  for (const [start, end, text, why] of [
    [1, 1, "가", /cuts a surrogate pair/], [0, 3, "", /end at 2 or earlier/], [2, 1, "", /must begin/],
    [0, 0, "\ud83d", /half a surrogate pair/],
  ] as const) {
    assert.throws(() => live.edit(start, end, text), why);
  }
  assert.throws(() => live.replace("\ude00"), /half a surrogate pair/);
  assert.deepEqual([live.source, live.revision, network.call.sent.length], ["😀", 1, 2]);
});

test("an input sends what has changed, and never half a pair", () => {
  const { network, live } = session();
  assert.deepEqual(live.input("수", 1), { start: 0, end: 0, text: "수" });
  assert.equal(live.input("수", 1), undefined);
  assert.deepEqual(live.input("수\ud83d", 2)?.text, "\ufffd");
  assert.deepEqual(live.input("수😀", 3), { start: 1, end: 2, text: "😀" });
  assert.equal(network.call.sent.length, 4);
});

test("a text that is too long stays here", () => {
  const { network, live } = session();
  network.call.start("token", 3);
  live.input("😀😀😀");
  assert.throws(() => live.input("😀😀😀가"), /4 code points, the limit is 3/);
  assert.deepEqual([live.source, live.revision], ["😀😀😀", 1]);
  live.input("가");
  assert.equal(live.revision, 2);
});

test("a lost connection: what was typed meanwhile goes to the next server, finals are kept", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { network, live, kinds, events } = session();
  const first = network.call;
  first.start("one");
  live.edit(0, 0, "학교. 수도");
  first.tell(
    { case: "segmentsChanged", value: { revision: 1n, added: [{ segmentId: 1n, length: 4 }, { segmentId: 2n, length: 2 }] } },
    { case: "result", value: { revision: 1n, segmentId: 1n, start: 0, end: 4, text: "學校. ", isFinal: true } },
    { case: "result", value: { revision: 1n, segmentId: 2n, start: 4, end: 6, text: "首都" } },
    { case: "done", value: { revision: 1n, firstRevision: 1n } },
  );
  first.tell({ case: "goAway", value: { resumeToken: "two", revision: 1n } });
  first.end(GONE);
  live.edit(6, 6, "는");
  assert.equal(network.calls.length, 1, "not at once");
  context.mock.timers.tick(1_000);
  const { resume } = network.call.config;
  assert.deepEqual(network.call.kinds, ["config"]);
  assert.deepEqual([resume?.resumeToken, resume?.revision, resume?.text, resume?.nextSegmentId], ["two", 2n, "학교. 수도는", 3n]);
  assert.deepEqual(resume?.finals.map(({ segmentId, start, end }) => [segmentId, start, end]), [[1n, 0, 4]]);
  assert.deepEqual(kinds(), ["segment", "segment", "done", "lost", "resumed"]);
  assert.equal(live.text, "學校. 首都", "shown until the new results come");
  network.call.start("three");
  network.call.tell(
    { case: "segmentsChanged", value: { revision: 2n, added: [{ segmentId: 1n, length: 4 }, { segmentId: 3n, length: 3 }] } },
    { case: "result", value: { revision: 2n, segmentId: 3n, start: 4, end: 7, text: "首都는" } },
    { case: "done", value: { revision: 2n, firstRevision: 2n } },
  );
  assert.equal(live.text, "學校. 首都는");
  const finals = events.filter((event) => event.kind === "segment" && event.segment.isFinal);
  assert.equal(finals.length, 1, "a final is told once");
});

test("a done that comes with the list of a later edit", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { network, live } = session();
  network.call.start();
  live.edit(0, 0, "학교. 수도");
  live.edit(0, 0, "\n");
  const added = [{ segmentId: 3n, length: 1 }, { segmentId: 1n, length: 4 }, { segmentId: 2n, length: 2 }];
  network.call.tell(
    { case: "segmentsChanged", value: { revision: 2n, added } },
    { case: "result", value: { revision: 2n, segmentId: 1n, start: 1, end: 5, text: "學校. ", isFinal: true } },
    { case: "done", value: { revision: 1n, firstRevision: 1n } },
  );
  network.call.end(GONE);
  context.mock.timers.tick(1_000);
  const finals = network.call.config.resume?.finals;
  assert.deepEqual(finals?.map(({ segmentId, start, end }) => [segmentId, start, end]), [[1n, 1, 5]]);
});

test("a final that was edited, or what is before it, is not kept", (context) => {
  for (const [at, text] of [[0, "가"], [1, "가"], [2, ""]] as const) {
    const { network, live } = session();
    context.mock.timers.enable({ apis: ["setTimeout"] });
    network.call.start();
    live.edit(0, 0, "학교.");
    network.call.result(1, 1, 3, "學校.", true);
    live.edit(at, text ? at : at + 1, text);
    network.call.end(GONE);
    context.mock.timers.tick(1_000);
    assert.deepEqual(network.call.config.resume?.finals, []);
    context.mock.timers.reset();
  }
});

test("lost before anything was answered: begins anew, with the document", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { network, live } = session();
  live.edit(0, 0, "수도");
  void live.commit();
  network.call.end(GONE);
  live.edit(2, 2, "는");
  context.mock.timers.tick(1_000);
  assert.deepEqual(network.call.kinds, ["config", "replace", "commit"]);
  assert.equal(network.call.config.resume, undefined);
  const replace = network.call.sent[1]?.message;
  assert.ok(replace?.case === "replace" && replace.value.text === "수도는" && replace.value.revision === 4n);
});

test("what was asked to be converted at once is asked for again, until it is done", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { network, live } = session();
  network.call.start();
  live.edit(0, 0, "수도");
  const flushed = live.flush();
  network.call.end(GONE);
  live.edit(2, 2, "는");
  const later = live.flush();
  context.mock.timers.tick(1_000);
  assert.deepEqual(network.call.kinds, ["config", "flush"]);
  network.call.start();
  network.call.result(2, 1, 3, "首都는");
  await Promise.all([flushed, later]);
  network.call.end(GONE);
  context.mock.timers.tick(10_000);
  assert.deepEqual([network.calls.length, network.call.kinds], [3, ["config"]]);
});

test("gives up when trying again is of no use, and tells everybody who waits", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const refused = session();
  const waiting = refused.live.flush();
  refused.network.call.end(new ConvertError("INVALID_ARGUMENT", "style"));
  await assert.rejects(waiting, /style/);
  assert.throws(() => refused.live.edit(0, 0, "가"), /style/);
  assert.deepEqual(refused.kinds(), ["ended"]);
  const lonely = session({}, { ...DEFAULT_RETRY, maxAttempts: 3 });
  for (let attempt = 0; attempt < 3; attempt += 1) {
    lonely.network.call.end(GONE);
    context.mock.timers.tick(10_000);
  }
  assert.deepEqual([lonely.network.calls.length, lonely.kinds()], [3, ["lost", "lost", "ended"]]);
});

test("a refused revision: a replace goes on, an input makes one", () => {
  const { network, live } = session();
  const { call } = network;
  call.start();
  live.edit(0, 0, "가");
  call.tell({ case: "rejected", value: { revision: 1n, status: { code: 8, message: "full" }, currentRevision: 0n } });
  assert.throws(() => live.edit(1, 1, "나"), /full/);
  live.input("가나");
  assert.deepEqual(call.kinds, ["config", "edit", "replace"]);
  call.tell({ case: "rejected", value: { revision: 1n, status: { code: 9, message: "late" }, currentRevision: 0n } });
  live.edit(2, 2, "다");
});

test("the newest revision wins; an older result is shown until it comes", () => {
  const { network, live } = session();
  const { call } = network;
  call.start();
  live.edit(0, 0, "수");
  live.edit(1, 1, "도");
  call.result(1, 1, 1, "水");
  assert.deepEqual([live.text, live.isSettled], ["水", false]);
  assert.deepEqual(live.place(0, 1), undefined, "an edit touches it that is not converted yet");
  call.result(2, 1, 2, "首都", false, 1);
  assert.deepEqual([live.text, live.isSettled, live.place(0, 2)], ["首都", true, [0, 2]]);
});

test("other options: the same document, everything anew", () => {
  const { network, live } = session();
  network.call.start();
  live.edit(0, 0, "수도.");
  network.call.result(1, 1, 3, "首都.", true);
  live.configure({ glossary: [{ hangul: "수도", hanja: "水道" }] });
  assert.equal(network.calls[0]?.aborted, true);
  const { resume, options } = network.call.config;
  assert.deepEqual([resume?.text, resume?.finals.length, options?.glossarySource.case], ["수도.", 0, "glossary"]);
  assert.deepEqual([live.text, live.isSettled], ["首都.", false]);
  network.call.start();
  network.call.result(2, 2, 3, "水道.");
  assert.deepEqual([live.text, live.isSettled], ["水道.", true]);
});

test("close waits for the last results, abort does not", async () => {
  const { network, live, kinds } = session();
  network.call.start();
  live.edit(0, 0, "수도");
  const closed = live.close();
  assert.equal(network.call.halfClosed, true);
  network.call.result(1, 1, 2, "首都", true);
  network.call.end();
  await closed;
  assert.deepEqual([live.text, live.isOver, kinds().at(-1)], ["首都", true, "ended"]);
  const other = session();
  const waiting = assert.rejects(other.live.flush(), /has ended/);
  other.live.abort();
  await waiting;
  assert.equal(other.network.call.aborted, true);
  assert.throws(() => other.live.edit(0, 0, "가"), /has ended/);
});

test("a server that contradicts itself ends the session", () => {
  const { network, events } = session();
  network.call.tell({ case: "segmentsChanged", value: { revision: 1n, index: 0, removed: 2, added: [] } });
  const last = events.at(-1);
  assert.ok(last?.kind === "ended" && last.error?.code === "INTERNAL");
});
