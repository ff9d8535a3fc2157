//! Commands whose output nobody reads to its end, as in `moiety search … | head -1`.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::{
    io::{Read, pipe},
    path::Path,
    process::{Command, Output, Stdio},
};

/// A command over this directory.
fn moiety(command: &str, data: &Path) -> Command {
    let mut moiety = Command::new(env!("CARGO_BIN_EXE_moiety"));
    // Where the model is.
    moiety.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    moiety.args([command, "--data"]).arg(data);
    moiety
}

/// Runs it with outputs that nobody reads.
fn unread(mut command: Command) -> (Option<i32>, Output) {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), output)
}

#[test]
fn a_command_whose_reader_goes_away_ends_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (code, output) = unread(moiety("info", &data));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("panicked") && !said.contains("roken pipe"), "{said}");
}

#[test]
fn a_failure_that_nobody_hears_is_a_failure_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let mut command = moiety("snapshot", dir.path());
    let status =
        command.args(["no-such-act"]).stdout(Stdio::null()).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(2));
    // The same where the command itself fails.
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_moiety"));
    let missing = dir.path().join("none.csv");
    let status = command
        .args(["import", "--collection", "c"])
        .arg(missing)
        .stdout(Stdio::null())
        .stderr(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut child = moiety("info", &dir.path().join("data"))
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(said.contains("cannot write the answer"), "{said}");
}
