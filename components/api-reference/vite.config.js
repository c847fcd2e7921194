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

export default defineConfig({
  base: "/api/mocs/uploads/docs/",
  plugins: [withoutLogo],
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false }, target: "es2022" },
});
