import { defineConfig } from "vite";

/** One module, and the checksums, which are loaded where they are wanted. */
export default defineConfig({
  build: {
    target: "es2022",
    lib: { entry: "src/index.ts", formats: ["es"] },
    rolldownOptions: {
      // Vite leaves the white space in libraries.
      output: { entryFileNames: "[name].js", chunkFileNames: "[name].js", minify: true },
    },
  },
});
