import { readFileSync } from "node:fs";

import { defineConfig, type Plugin } from "vite";

/** The licences go where the code goes: the project's, and those of the libraries, which ask for it. */
const licences: Plugin = {
  name: "licences",
  generateBundle() {
    for (const [fileName, path] of [
      ["LICENSE", "../LICENSE"],
      ["LICENSE.eventsource-parser", "../node_modules/eventsource-parser/LICENSE"],
      ["LICENSE.noble-hashes", "../node_modules/@noble/hashes/LICENSE"],
    ] as const) {
      this.emitFile({ type: "asset", fileName, source: readFileSync(new URL(path, import.meta.url)) });
    }
  },
};

/** One module, and others that are loaded where they are wanted. */
export default defineConfig({
  plugins: [licences],
  build: {
    target: "es2022",
    lib: { entry: "src/index.ts", formats: ["es"] },
    rolldownOptions: {
      // What modules share stays in the one that every page loads; the others import it from there.
      preserveEntrySignatures: "allow-extension",
      // Vite leaves the white space in libraries.
      output: { entryFileNames: "[name].js", chunkFileNames: "[name].js", minify: true },
    },
  },
});
