import { defaultClientConditions, defineConfig } from "vite";

// The application that `npm run dev` passes calls on to.
const application = process.env.MOC_URL ?? "http://127.0.0.1:3000";

export default defineConfig({
  // The client's sources instead of its build, so that a change of them shows at once.
  resolve: { conditions: ["moc-uploads-source", ...defaultClientConditions] },
  build: {
    target: "es2022",
    // Nothing inline: the page's policy takes scripts, styles and pictures from files alone.
    assetsInlineLimit: 0,
    modulePreload: false,
    // One script: a page that was opened before the application was replaced finds no chunks of its own any more.
    rolldownOptions: { output: { codeSplitting: false } },
    reportCompressedSize: false,
    // The libraries' licences ask to go where their code goes.
    license: { fileName: "assets/licences.md" },
  },
  server: { proxy: { "/api": application }, fs: { allow: ["../.."] } },
});
