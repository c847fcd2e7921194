//! Packs the built page and the document that it shows.

fn main() -> std::io::Result<()> {
    let document = ("../../shared/contract/openapi.json", "/api/mocs/uploads/openapi.json");
    moc_assets::pack("/api/mocs/uploads/docs", &[document])
}
