//! The moiety command.
fn main() {}
