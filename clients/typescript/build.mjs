// Builds the script of the page: `node build.mjs [FILE]`, by default into the Python package that serves it.
import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const here = import.meta.dirname;

const { metafile, outputFiles } = await build({
  entryPoints: [`${here}/page/main.ts`],
  absWorkingDir: here,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  banner: { js: "// Built from clients/typescript by `npm run build`; do not edit." },
  metafile: true,
  write: false,
});

// The licences of what is in it ask to be kept. Each file begins with its own, in line comments.
const libraries = Object.keys(metafile.inputs).filter((name) => name.includes("node_modules/")).sort();
const notices = libraries.map((name) => readFileSync(`${here}/${name}`, "utf8").match(/^(\/\/.*\n)+/)?.[0] ?? "");
// Where one goes on with the file's first comment, the notice alone is in another file.
const kept = [...new Set(notices)].filter((one, _, all) => one && !all.some((other) => other && other !== one && one.startsWith(other)));
const script = outputFiles[0].text + kept.join("\n");
writeFileSync(process.argv[2] ?? `${here}/../hanjaserve/web/assets/page.js`, script);
