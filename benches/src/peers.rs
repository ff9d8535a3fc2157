//! Runs the Python programs of `benches/peers`, in an environment of their own, and reads the JSON that they print.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

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

/// A program that answers requests, so that it can be measured in turns with Moiety.
pub struct Session {
    program: String,
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Session {
    /// Starts `benches/peers/<program>` with these arguments.
    pub fn start(program: &str, arguments: &[&OsStr]) -> Result<Self, BenchError> {
        let runner = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join("run.sh");
        let mut command = Command::new("bash");
        command.arg(&runner).arg(program).args(arguments);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.map_err(at(&runner))?;
        let (requests, answers) = (child.stdin.take(), child.stdout.take());
        let (Some(requests), Some(answers)) = (requests, answers) else {
            return Err(BenchError::Peer { program: program.into(), reason: "no pipes".into() });
        };
        let answers = BufReader::new(answers);
        Ok(Self { program: program.into(), child, requests, answers })
    }

    /// Sends a request and waits for its answer.
    pub fn ask(&mut self, request: &Value) -> Result<Value, BenchError> {
        let sent = writeln!(self.requests, "{request}").and_then(|()| self.requests.flush());
        sent.map_err(|error| self.failed(error.to_string()))?;
        self.answer()
    }

    /// Waits for the next line that it says.
    pub fn answer(&mut self) -> Result<Value, BenchError> {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        read.map_err(|error| self.failed(error.to_string()))?;
        serde_json::from_str(&line).map_err(|_| self.failed(format!("it answered {line:?}")))
    }

    fn failed(&self, reason: String) -> BenchError {
        BenchError::Peer { program: self.program.clone(), reason }
    }
}

impl Drop for Session {
    /// It ends when nothing more can be asked; ended here, a bench that failed leaves nothing running.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tail(text: &str) -> String {
    let from = text.len().saturating_sub(REASON_BYTES);
    let from = (from..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    text[from..].trim().to_owned()
}
