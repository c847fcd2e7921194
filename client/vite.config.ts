import { readFileSync } from "node:fs";

import { defineConfig, type Plugin } from "vite";

/** The licences go where the code goes: the project's, and that of the hashes, which asks for it. */
const licences: Plugin = {
  name: "licences",
  generateBundle() {
    for (const [fileName, path] of [
      ["LICENSE", "../LICENSE"],
      ["LICENSE.noble-hashes", "../node_modules/@noble/hashes/LICENSE"],
    ] as const) {
      this.emitFile({ type: "asset", fileName, source: readFileSync(new URL(path, import.meta.url)) });
    }
  },
};

/** One module, and the checksums, which are loaded where they are wanted. */
export default defineConfig({
  plugins: [licences],
  build: {
    target: "es2022",
    lib: { entry: "src/index.ts", formats: ["es"] },
    rolldownOptions: {
      // Vite leaves the white space in libraries.
      output: { entryFileNames: "[name].js", chunkFileNames: "[name].js", minify: true },
    },
  },
});
