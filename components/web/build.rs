//! Packs the built page.

fn main() -> std::io::Result<()> {
    moc_assets::WEB.pack("../..")
}
