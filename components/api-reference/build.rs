//! Packs the built page and the document that it shows.

fn main() -> std::io::Result<()> {
    moc_assets::API_REFERENCE.pack("../..")
}
