// node build.mjs BUNDLE [FOLDER]: a folder (dist) with the page, onnxruntime-web and an ONNX bundle, for any web server.
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const [bundle, folder = join(here, "dist")] = process.argv.slice(2);
const engine = join(here, "node_modules", "onnxruntime-web", "dist");
const manifest = bundle && join(bundle, "edgespeech.json");
for (const [path, advice] of [
  [manifest, "usage: node build.mjs BUNDLE [FOLDER]; BUNDLE is what `edgespeech export --engine onnx` writes"],
  [engine, "onnxruntime-web is not installed; run npm install in " + here],
]) {
  if (path && existsSync(path)) continue;
  console.error(`${path ?? "no bundle"}${path ? " is missing" : ""}: ${advice}`);
  process.exit(2);
}

const { graphs, engine: name } = JSON.parse(readFileSync(manifest, "utf8"));
if (name !== "onnx" || !graphs.single) {
  console.error(`${bundle} is for ${name}: this page needs one for onnx, with graphs of free shapes`);
  process.exit(2);
}
const parts = ["single", "window"].map((graph) => graphs[graph]).filter(Boolean);
const files = {
  "index.html": join(here, "index.html"),
  "edgespeech.js": join(here, "edgespeech.js"),
  "bundle/edgespeech.json": manifest,
};
for (const file of new Set(parts.flatMap((graph) => [graph.file, graph.weights]).filter(Boolean))) {
  files[`bundle/${file}`] = join(bundle, file);
}
// Each form of the engine is a module that opens one WebAssembly file by a second module.
for (const device of ["wasm", "webgpu"]) {
  const module = `ort.${device}.min.mjs`;
  const [opener] = readFileSync(join(engine, module), "utf8").match(/ort-wasm-simd-threaded[\w.]*\.mjs/);
  for (const file of [module, opener, opener.replace(".mjs", ".wasm")]) files[`ort/${file}`] = join(engine, file);
}

rmSync(folder, { recursive: true, force: true });
const version = createHash("sha256");
for (const [target, source] of Object.entries(files)) {
  mkdirSync(dirname(join(folder, target)), { recursive: true });
  cpSync(source, join(folder, target));
  version.update(target).update(readFileSync(source));
}
const list = JSON.stringify(["./", ...Object.keys(files)]);
const worker = readFileSync(join(here, "sw.js"), "utf8");
writeFileSync(join(folder, "sw.js"), `const FILES = ${list};\nconst VERSION = "${version.digest("hex")}";\n${worker}`);
console.log(`${folder}: ${Object.keys(files).length + 1} files; node serve.mjs ${folder}`);
