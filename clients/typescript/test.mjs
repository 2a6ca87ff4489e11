// Builds the tests and runs them with Node's own test runner; arguments name some of them.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

const here = import.meta.dirname;
const wanted = process.argv.slice(2);
const found = readdirSync(`${here}/test`).filter((name) => name.endsWith(".test.ts"));
const names = wanted.length ? found.filter((name) => wanted.includes(name.replace(".test.ts", ""))) : found;
if (!names.length) throw new Error(`there is no test ${wanted.join(", ")} in ${here}/test`);

const folder = mkdtempSync(join(tmpdir(), "hanjaserve-"));
try {
  await build({
    entryPoints: names.map((name) => `${here}/test/${name}`),
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    sourcemap: "inline",
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  });
  const files = readdirSync(folder).map((name) => join(folder, name));
  const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...files], { stdio: "inherit", cwd: here });
  process.exitCode = status ?? 1;
} finally {
  rmSync(folder, { recursive: true });
}
