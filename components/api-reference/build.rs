//! Builds the page that shows the OpenAPI document.

fn main() -> std::io::Result<()> {
    let sources = ["index.html", "page", "vite.config.js"];
    let document = ("../../shared/contract/openapi.json", "/api/mocs/uploads/openapi.json");
    moc_assets::build("/api/mocs/uploads/docs", &sources, &[document])
}
