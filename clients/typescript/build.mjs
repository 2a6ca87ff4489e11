// Builds the script of the page: `node build.mjs [FILE]`, by default into the Python package that serves it.
import { build } from "esbuild";

const here = import.meta.dirname;

await build({
  entryPoints: [`${here}/page/main.ts`],
  outfile: process.argv[2] ?? `${here}/../hanjaserve/web/assets/page.js`,
  absWorkingDir: here,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "eof",
  banner: { js: "// Built from clients/typescript by `npm run build`; do not edit." },
});
