//! Packs the pages of the components that have one.

fn main() -> std::io::Result<()> {
    if std::env::var_os("CARGO_FEATURE_WASI").is_some() {
        moc_assets::WEB.pack("..")?;
        moc_assets::API_REFERENCE.pack("..")?;
    }
    Ok(())
}
