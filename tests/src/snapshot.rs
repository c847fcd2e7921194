//! Snapshots of whole responses, without what is different every time.

use insta::Settings;

/// Settings that put a word in the place of ids, times, addresses and the like.
pub fn redacted() -> Settings {
    let mut settings = Settings::clone_current();
    for (pattern, word) in [
        // Not every stack has a broadcaster.
        (r#",\n\s*"wsUrl": "[^"]+""#, ""),
        (r"token=[^\x22]+", "token=[signed]"),
        (r#""uploadId": "[^"]+""#, r#""uploadId": "[upload]""#),
        (r"https?://[^/\s]+/moc-uploads/", "[bucket]/"),
        (r"X-Amz-[^\x22]+", "[signed]"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[id]"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "[time]"),
        (r"unique[0-9a-f]{12}", "[unique]"),
        (r#""sequence": [1-9]\d*"#, r#""sequence": "[number]""#),
        (r#""elapsedMs": \d+"#, r#""elapsedMs": "[elapsed]""#),
    ] {
        settings.add_filter(pattern, word);
    }
    settings
}

/// Compares a [`Reply`](crate::Reply) with the snapshot of this name.
#[macro_export]
macro_rules! assert_response {
    ($name:literal, $reply:expr) => {{
        let shown = $reply.shown();
        $crate::redacted().bind(|| $crate::insta::assert_json_snapshot!($name, shown));
    }};
}
