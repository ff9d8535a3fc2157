//! Runs the Python programs of `benches/peers`, in an environment of their own, and reads the JSON that they print.

use std::{ffi::OsStr, path::Path, process::Command};

use serde_json::Value;

use crate::{BenchError, error::at};

/// How much of a failed program's words goes into the error, in bytes.
const REASON_BYTES: usize = 2_000;

/// Runs `benches/peers/<program>` with these arguments; its last line is the result.
pub fn measure(program: &str, arguments: &[&OsStr]) -> Result<Value, BenchError> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let runner = folder.join("run.sh");
    let ran = Command::new("bash").arg(&runner).arg(program).args(arguments).output();
    let output = ran.map_err(at(&runner))?;
    let failed = |reason: &str| BenchError::Peer { program: program.into(), reason: tail(reason) };
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str(last)
        .map_err(|e| failed(&format!("its last line is not JSON ({e}): {last}")))
}

fn tail(text: &str) -> String {
    let from = text.len().saturating_sub(REASON_BYTES);
    let from = (from..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    text[from..].trim().to_owned()
}
