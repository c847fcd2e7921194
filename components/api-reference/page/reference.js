// Redoc comes as one script, which puts itself on `window`.
import redoc from "redoc/bundles/redoc.standalone.js?url";

const FONT = "system-ui, sans-serif";
const OPTIONS = {
  nativeScrollbars: true,
  requiredPropsFirst: true,
  theme: {
    colors: { primary: { main: "#1d4ed8" } },
    typography: { fontFamily: FONT, headings: { fontFamily: FONT }, code: { fontFamily: "ui-monospace, monospace" } },
  },
};

const script = document.createElement("script");
script.src = redoc;
script.onload = () => {
  window.Redoc.init("/api/mocs/uploads/openapi.json", OPTIONS, document.getElementById("reference"));
};
document.head.append(script);
