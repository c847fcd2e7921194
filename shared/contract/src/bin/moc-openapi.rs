//! Writes the OpenAPI document to standard output.

fn main() {
    print!("{}", moc_contract::openapi::document());
}
