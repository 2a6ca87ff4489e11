/** Against a real server behind a real bridge, whose address the environment tells; see tests/web. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { WebSocket } from "ws";
import { Client, ConvertError, type LiveSegment } from "../src/index.js";
import type { WebSocketClass } from "../src/socket.js";

const url = process.env["HANJASERVE_WEB"];
const expected = process.env["HANJASERVE_EXPECTED"] ?? "";
const TEXT = "대한민국. 😀 수도";
const options = { skip: url ? false : "HANJASERVE_WEB is not set" };

function client(base = url ?? ""): Client {
  return new Client(base, { webSocket: WebSocket as unknown as WebSocketClass, retry: { maxAttempts: 2 } });
}

test("single calls", options, async () => {
  const found = await client().convert(TEXT, { maxAlternatives: 2, withKept: true });
  assert.equal(found.text, expected);
  for (const { start, end, hangul } of found.spans) assert.equal(TEXT.slice(start, end), hangul);
  const [one, other] = await client().convertBatch([TEXT, "물"]);
  assert.ok(!(one instanceof ConvertError) && one?.text === expected);
  assert.ok(!(other instanceof ConvertError) && other?.text === "물");
  const kept = await client().convert(TEXT, { glossary: { id: "names" } });
  assert.equal(kept.text, TEXT, "whoever runs this has stored both words to be kept");
  assert.equal((await client().serverInfo()).ready, true);
});

test("a live session", options, async () => {
  const live = client().live({ withKept: true, maxAlternatives: 8 });
  const finals = new Map<number, LiveSegment>();
  live.subscribe((events) => {
    for (const event of events) if (event.kind === "segment" && event.segment.isFinal) finals.set(event.segment.id, event.segment);
  });
  for (let length = 1; length <= TEXT.length; length += 1) live.input(TEXT.slice(0, length));
  await live.flush();
  assert.equal(live.text, expected);
  for (const { segment, start } of live.view.placed()) {
    for (const span of segment.spans) assert.equal(TEXT.slice(start + span.start, start + span.end), span.hangul);
  }
  live.configure({ glossary: [{ hangul: "수도" }, { hangul: "대한민국" }] });
  await live.flush();
  assert.equal(live.text, TEXT);
  live.configure({});
  await live.commit();
  await live.close();
  assert.equal(live.text, expected);
  assert.equal(Array.from(finals.values()).at(-1)?.isFinal, true);
});

test("errors say what to do", options, async () => {
  await assert.rejects(client().convert("가", { style: "baroque" }), (error: ConvertError) => {
    return error.code === "INVALID_ARGUMENT" && error.message.includes("baroque");
  });
  await assert.rejects(client().live({ style: "baroque" }).flush(), /baroque/);
  await assert.rejects(client().live({ glossary: { id: "none" } }).flush(), /none/);
  const lonely = client("http://127.0.0.1:1/");
  await assert.rejects(lonely.convert("가"), /is `hanjaserve web` running/);
  await assert.rejects(lonely.live().flush(), /the connection is lost/);
});
