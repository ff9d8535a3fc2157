//! What a command prints. A reader that goes away, as `head` does, is no fault: what comes after is dropped in silence, and the
//! command ends as it would have ended.
//!
//! `println!` and `eprintln!` panic there, so a lint keeps them out of this room.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
    sync::Mutex,
};

use crate::error::{CliError, Result};

/// Prints a line on standard output.
macro_rules! outln {
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}

/// Prints a line on standard error.
macro_rules! errln {
    ($($text:tt)*) => { $crate::output::error_line(format_args!($($text)*)) };
}

/// The first failure of standard output; nothing is written after it.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes a line to standard output at once.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let mut failed = FAILED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if failed.is_none() {
        *failed = write(&mut io::stdout().lock(), text).err();
    }
}

/// Writes a line to standard error; where that fails there is no one to tell.
pub(crate) fn error_line(text: fmt::Arguments<'_>) {
    let _ = write(&mut io::stderr().lock(), text);
}

/// One write for the whole, so that a reader who leaves after its first line has all of it.
fn write(out: &mut impl Write, text: fmt::Arguments<'_>) -> io::Result<()> {
    out.write_all(format!("{text}\n").as_bytes())?;
    out.flush()
}

/// Whether someone may still read what is printed. Commands that only answer stop where nobody does.
pub(crate) fn is_read() -> bool {
    FAILED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_none()
}

/// Tells at the end of a command that something it printed was lost, unless its reader went away.
pub(crate) fn check() -> Result<()> {
    let failed = FAILED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    match failed {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => Err(CliError::Output(error)),
        _ => Ok(()),
    }
}
