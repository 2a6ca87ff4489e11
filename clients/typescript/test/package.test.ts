/** What `npm pack` gives, as a project that installs it sees it: its files, its names, its types. Needs no network. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, sep } from "node:path";
import { after, before, test } from "node:test";

const source = process.cwd(); // test.mjs runs the tests in the package's folder.
const folder = mkdtempSync(join(tmpdir(), "hanjaserve-package-"));
const copy = join(folder, "copy");
const project = join(folder, "project");
const installed = join(project, "node_modules", "hanjaserve");

function run(program: string, args: string[], cwd: string): string {
  // What `npm test` sets, and the user's own settings, aren't part of what is tested.
  const own = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
  const settings = { npm_config_userconfig: join(folder, "npmrc"), npm_config_cache: join(folder, "cache"), npm_config_offline: "true" };
  try {
    return execFileSync(program, args, { cwd, env: { ...Object.fromEntries(own), ...settings }, encoding: "utf8", stdio: "pipe", timeout: 60_000 });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${basename(program)} ${args.join(" ")}\n${stdout}${stderr}`, { cause: error });
  }
}

function filesIn(path: string): string[] {
  const entries = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return entries.map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1).replaceAll(sep, "/")).sort();
}

before(() => {
  // A copy, so that the build of whoever runs this stays as it is; with a build in it that is out of date.
  const left = ["node_modules", "dist"].map((name) => join(source, name));
  cpSync(source, copy, { recursive: true, filter: (path) => !left.includes(path) });
  symlinkSync(join(source, "node_modules"), join(copy, "node_modules"));
  mkdirSync(join(copy, "dist"));
  writeFileSync(join(copy, "dist", "removed.js"), "");
  writeFileSync(join(copy, "dist", "index.js"), "");

  mkdirSync(installed, { recursive: true });
  run("npm", ["pack", "--pack-destination", folder], copy);
  const [tarball] = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  run("tar", ["-xzf", join(folder, tarball ?? ""), "-C", installed, "--strip-components", "1"], folder);

  // Only what the package says it depends on is there.
  const { dependencies } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as { dependencies: object };
  for (const name of Object.keys(dependencies)) {
    const link = join(project, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(source, "node_modules", name), link);
  }
  writeFileSync(join(project, "package.json"), JSON.stringify({ type: "module" }));
});

after(() => rmSync(folder, { recursive: true }));

test("a build of every source, and nothing else", () => {
  const sources = filesIn(join(source, "src")).map((name) => `dist/${name.replace(/\.ts$/, "")}`);
  const built = sources.flatMap((name) => [`${name}.js`, `${name}.d.ts`]);
  assert.deepEqual(filesIn(installed), [...built, "LICENSE", "README.md", "package.json"].sort());
  assert.ok(built.includes("dist/gen/hanjaserve/v1/hanjaserve_pb.js"));
});

test("what it exports is there", () => {
  // tsc would find index.d.ts beside index.js whatever "types" says; other tools don't.
  const { exports } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as { exports: object };
  assert.deepEqual(exports, { ".": { types: "./dist/index.d.ts", default: "./dist/index.js" } });
  for (const name of ["index.d.ts", "index.js"]) assert.ok(filesIn(join(installed, "dist")).includes(name), name);
});

test("nothing about the machine that built it", () => {
  for (const name of filesIn(installed)) {
    const text = readFileSync(join(installed, name), "utf8");
    for (const trace of [source, folder, "registry."]) assert.ok(!text.includes(trace), `${trace} is in ${name}`);
  }
  assert.doesNotMatch(readFileSync(join(source, "package-lock.json"), "utf8"), /:\/\/|"resolved"/);
});

test("its names, by its name", () => {
  const script = 'console.log(Object.keys(await import("hanjaserve")).join())';
  const names = run(process.execPath, ["--input-type=module", "--eval", script], project).trim();
  assert.equal(names, "Client,ConvertError,LiveSession,Typing,applySplice,spliceBetween");
});

test("its types, with what the README shows", () => {
  const readme = readFileSync(join(installed, "README.md"), "utf8");
  const shown = /```ts\n(.*?)```/s.exec(readme)?.[1] ?? "";
  assert.match(shown, /client\.convert\(/);
  assert.match(shown, /client\.live\(/);
  const more = `
    import { applySplice, ConvertError, LiveSession, spliceBetween, Typing } from "hanjaserve";
    import type { Alternative, ClientOptions, CodeName, Connect, Connection, Conversion, ConvertOptions, Field, GlossaryEntry } from "hanjaserve";
    import type { GlossaryReference, LiveEvent, LiveListener, LiveOptions, LiveSegment, LiveView, Placed, Range, Receiver } from "hanjaserve";
    import type { Rendering, RetryPolicy, ServerInfo, Span, SpanSource, Splice } from "hanjaserve";
    const found: Conversion = await client.convert("수도", { rendering: "ruby" });
    const session: LiveSession = live;
    // @ts-expect-error: were the types lost, this would be allowed.
    client.live({ rendering: "none of them" });
  `;
  // The dots stand for what a reader fills in.
  writeFileSync(join(project, "shown.ts"), shown.replaceAll("...", "") + more);
  const options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext"];
  run(process.execPath, [join(source, "node_modules", "typescript", "bin", "tsc"), ...options, "shown.ts"], project);
});
