//! A PDF of one page, the smallest that every reader opens.

use std::fmt::Write as _;

/// An instruction whose page shows `title` (letters, digits and spaces).
pub fn instruction(title: &str) -> Vec<u8> {
    let page = format!("BT /F1 36 Tf 72 720 Td ({title}) Tj 0 -48 Td /F1 14 Tf (Step 1 of 1) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{page}\nendstream", page.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut pdf = "%PDF-1.4\n".to_owned();
    let mut offsets = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        offsets.push(pdf.len());
        append(&mut pdf, format_args!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let table_at = pdf.len();
    let size = objects.len() + 1;
    append(&mut pdf, format_args!("xref\n0 {size}\n0000000000 65535 f \n"));
    for offset in offsets {
        append(&mut pdf, format_args!("{offset:010} 00000 n \n"));
    }
    append(&mut pdf, format_args!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table_at}\n%%EOF\n"));
    pdf.into_bytes()
}

fn append(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cross_references_point_at_their_objects() {
        let pdf = String::from_utf8(instruction("Castle")).unwrap();
        let (_, entries) = pdf.split_once("65535 f \n").unwrap();
        for (number, entry) in (1..).zip(entries.lines().take(5)) {
            let offset: usize = entry[..10].parse().unwrap();
            assert!(pdf[offset..].starts_with(&format!("{number} 0 obj\n")));
        }
        let (_, end) = pdf.split_once("startxref\n").unwrap();
        let table_at: usize = end.lines().next().unwrap().parse().unwrap();
        assert!(pdf[table_at..].starts_with("xref\n"));
    }
}
