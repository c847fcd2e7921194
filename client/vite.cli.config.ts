import { chmodSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { defineConfig, type Plugin } from "vite";

const { version } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8")) as { version: string };

/** The program imports the client from the module that the package has anyway. */
const client: Plugin = {
  name: "client",
  enforce: "pre",
  resolveId: (source) => (source === "../src/index.js" ? { id: "./index.js", external: true } : undefined),
};

/** Whoever runs it from a clone need not name Node.js; npm does the same where it installs it. */
const executable: Plugin = {
  name: "executable",
  writeBundle: ({ dir = "" }) => chmodSync(join(dir, "cli.js"), 0o755),
};

/** The command line: one module for Node.js with the libraries that it uses, so that the package depends on none. */
export default defineConfig({
  plugins: [client, executable],
  define: { VERSION: JSON.stringify(version) },
  ssr: { noExternal: true },
  build: {
    ssr: "cli/main.ts",
    target: "node20",
    emptyOutDir: false,
    license: { fileName: "LICENSE.cli.md" },
    rolldownOptions: { output: { entryFileNames: "cli.js", codeSplitting: false } },
  },
});
