//! Builds the page.

fn main() -> std::io::Result<()> {
    let sources = ["index.html", "page", "tsconfig.json", "vite.config.ts", "../../client/src"];
    moc_assets::build("/", &sources, &[])
}
