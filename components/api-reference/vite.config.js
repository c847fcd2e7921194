import { readFileSync } from "node:fs";

import { defineConfig } from "vite";

const LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg";

/** The page needs no network: Redoc would fetch its maker's logo. */
const withoutLogo = {
  name: "without-logo",
  generateBundle(_, bundle) {
    const redoc = Object.values(bundle).find((file) => file.fileName.includes("redoc.standalone"));
    const source = Buffer.from(redoc.source).toString();
    if (!source.includes(LOGO)) throw new Error("Redoc has no logo any more: this is not needed");
    redoc.source = source.replace(LOGO, "data:,");
  },
};

/** The licences ask to go where the code goes. */
const licences = {
  name: "licences",
  generateBundle() {
    for (const [name, path] of [
      ["redoc.LICENSE.txt", "LICENSE"],
      ["redoc.standalone.js.LICENSE.txt", "bundles/redoc.standalone.js.LICENSE.txt"],
    ]) {
      const source = readFileSync(new URL(`../../node_modules/redoc/${path}`, import.meta.url));
      this.emitFile({ type: "asset", fileName: `assets/${name}`, source });
    }
  },
};

export default defineConfig({
  base: "/api/mocs/uploads/docs/",
  plugins: [withoutLogo, licences],
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false }, target: "es2022" },
});
