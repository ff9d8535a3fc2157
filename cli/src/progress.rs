//! Progress bars that look the same everywhere.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over a known number of things, with rate and time left.
pub(crate) fn bar(total: u64, what: &str) -> ProgressBar {
    let template = "{msg:>12} {wide_bar} {human_pos}/{human_len} {per_sec} ETA {eta}";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_message(what.to_owned())
}
