//! `moiety import`: a file of records into a collection, acknowledged chunk by chunk, resumable.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use indicatif::ProgressBar;
use moiety_rpc::{Client, ImportOptions, ImportSession, wire};
use serde::{Deserialize, Serialize};

use crate::{
    connect::ServerArgs,
    error::{CliError, Result, at},
    progress,
    reader::{self, Columns, Format, Reject, Row},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// File of records; gzipped or not
    file: PathBuf,
    /// Collection to fill; made if it is not there
    #[arg(long)]
    collection: String,
    /// Format, where the name of the file does not tell
    #[arg(long)]
    format: Option<Format>,
    #[command(flatten)]
    columns: Columns,
    /// Records in a chunk; each chunk is acknowledged when it is durable
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    chunk: u32,
    /// Where lines that are not taken go, with their reasons [default: FILE.COLLECTION.rejects.tsv here]
    #[arg(long)]
    rejects: Option<PathBuf>,
    /// Begin at the first line even where an earlier import of this file stopped in the middle
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Bytes of records in a chunk; the rest of a message is for what is around them.
const CHUNK_BYTES: usize = Client::max_message_bytes() - 4096;

/// What an import did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) created: u64,
    pub(crate) replaced: u64,
    pub(crate) rejected: u64,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let name = args.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let base = format!("{name}.{}", args.collection);
    let progress_file = ProgressFile::open(PathBuf::from(format!("{base}.progress.json")), &args)?;
    let rejects_path = args.rejects.clone().unwrap_or_else(|| format!("{base}.rejects.tsv").into());
    let done_before = progress_file.state.durable_line;
    if done_before > 0 {
        println!(
            "going on after line {done_before}, the last one known to be durable (--restart begins anew)"
        );
    }
    let rejects = Rejects::open(&rejects_path, done_before)?;
    let rows = reader::open(&args.file, args.format, &args.columns)?;
    let connection = args.server.connect().await?;
    ensure_collection(&connection.client, &args.collection).await?;
    let bar = progress::bar(count_lines(&args.file)?, "importing");
    bar.set_position(done_before);
    let session = connection.client.import(&args.collection, ImportOptions::default()).await?;
    let mut import = Import::new(
        session,
        args.chunk as usize,
        Books::new(Some(rejects), Some(progress_file), bar),
    );
    for row in rows {
        import.take(row).await?;
    }
    let summary = import.finish().await?;
    connection.close().await?;
    println!(
        "{} new, {} replaced, {} rejected{}",
        summary.created,
        summary.replaced,
        summary.rejected,
        if summary.rejected > 0 {
            format!(" (see {})", rejects_path.display())
        } else {
            String::new()
        }
    );
    Ok(())
}

/// Makes the collection if it is not there.
pub(crate) async fn ensure_collection(client: &Client, name: &str) -> Result<()> {
    let there = client.list_collections().await?;
    let named = |c: &wire::Collection| c.config.as_ref().is_some_and(|config| config.name == name);
    if there.collections.iter().any(named) {
        return Ok(());
    }
    client
        .create_collection(wire::CollectionConfig { name: name.into(), ..Default::default() })
        .await?;
    Ok(())
}

/// Lines of the file, for the bar.
fn count_lines(path: &Path) -> Result<u64> {
    let mut input = reader::reader(path)?;
    let mut lines = 0;
    loop {
        let block = input.fill_buf().map_err(at(path))?;
        if block.is_empty() {
            return Ok(lines);
        }
        lines += block.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let read = block.len();
        input.consume(read);
    }
}

/// An import under way. A chunk's sequence number is the line of its last record.
pub(crate) struct Import {
    session: ImportSession,
    chunk_size: usize,
    open: Vec<Row>,
    /// What the open rows take of a message.
    open_bytes: usize,
    skip_to: u64,
    books: Books,
}

impl Import {
    pub(crate) fn new(session: ImportSession, chunk_size: usize, books: Books) -> Self {
        let skip_to = books.progress.as_ref().map_or(0, |file| file.state.durable_line);
        Self { session, chunk_size, open: Vec::new(), open_bytes: 0, skip_to, books }
    }

    /// Takes the next row of the file; rows that an earlier import made durable are passed over.
    pub(crate) async fn take(&mut self, row: std::result::Result<Row, Reject>) -> Result<()> {
        let row = match row {
            Ok(row) if row.line > self.skip_to => row,
            Err(reject) if reject.line > self.skip_to => return self.books.reject(reject),
            _ => return Ok(()),
        };
        let bytes = Client::message_bytes(&row.record);
        if bytes > CHUNK_BYTES {
            let reason = format!("a record of {bytes} bytes; a message takes {CHUNK_BYTES}");
            return self.books.reject(Reject { line: row.line, reason });
        }
        if self.open_bytes + bytes > CHUNK_BYTES {
            self.send().await?;
        }
        self.open.push(row);
        self.open_bytes += bytes;
        if self.open.len() == self.chunk_size { self.send().await } else { Ok(()) }
    }

    /// Sends what is left and waits for every acknowledgement.
    pub(crate) async fn finish(mut self) -> Result<Summary> {
        self.send().await?;
        let answers = self.session.finish().await?;
        answers.into_iter().try_for_each(|answer| self.books.acknowledge(answer))?;
        self.books.close()
    }

    async fn send(&mut self) -> Result<()> {
        let Some(last) = self.open.last() else { return Ok(()) };
        let sequence = last.line;
        let rows = std::mem::take(&mut self.open);
        self.open_bytes = 0;
        self.books.sent.push_back((sequence, rows.iter().map(|row| row.line).collect()));
        let records = rows.into_iter().map(|row| row.record).collect();
        let answers = self.session.send(sequence, records).await?;
        answers.into_iter().try_for_each(|answer| self.books.acknowledge(answer))
    }
}

/// What is known of an import: what was acknowledged, what was rejected, what is on its way.
pub(crate) struct Books {
    /// Lines of the records of chunks that are not acknowledged yet, by sequence number.
    sent: VecDeque<(u64, Vec<u64>)>,
    rejects: Option<Rejects>,
    progress: Option<ProgressFile>,
    bar: ProgressBar,
    summary: Summary,
}

impl Books {
    pub(crate) fn new(
        rejects: Option<Rejects>,
        progress: Option<ProgressFile>,
        bar: ProgressBar,
    ) -> Self {
        Self { sent: VecDeque::new(), rejects, progress, bar, summary: Summary::default() }
    }

    fn acknowledge(&mut self, answer: wire::ImportResponse) -> Result<()> {
        self.summary.created += u64::from(answer.created);
        self.summary.replaced += u64::from(answer.replaced);
        while self.sent.front().is_some_and(|(sequence, _)| *sequence < answer.durable_sequence) {
            self.sent.pop_front();
        }
        let lines = self.sent.pop_front().map(|(_, lines)| lines).unwrap_or_default();
        for error in answer.errors {
            let line =
                lines.get(error.position as usize).copied().unwrap_or(answer.durable_sequence);
            self.reject(Reject { line, reason: error.reason })?;
        }
        self.bar.set_position(answer.durable_sequence);
        match &mut self.progress {
            Some(progress) => progress.advance(answer.durable_sequence),
            None => Ok(()),
        }
    }

    fn reject(&mut self, reject: Reject) -> Result<()> {
        self.summary.rejected += 1;
        match &mut self.rejects {
            Some(rejects) => rejects.write(&reject),
            None => Err(CliError::Usage(format!("line {}: {}", reject.line, reject.reason))),
        }
    }

    fn close(self) -> Result<Summary> {
        self.bar.finish_and_clear();
        match self.progress {
            Some(progress) => progress.remove().map(|()| self.summary),
            None => Ok(self.summary),
        }
    }
}

/// Lines that were not taken: line, tab, reason. Made when the first comes.
pub(crate) struct Rejects {
    path: PathBuf,
    file: Option<File>,
}

impl Rejects {
    /// Keeps what an earlier import wrote of lines up to `durable_line`; the rest will come again.
    fn open(path: &Path, durable_line: u64) -> Result<Self> {
        let kept = match fs::read_to_string(path) {
            Ok(text) => {
                let line_of = |row: &&str| {
                    row.split('\t').next().and_then(|n| n.parse().ok()).unwrap_or(u64::MAX)
                };
                text.lines()
                    .filter(|row| line_of(row) <= durable_line)
                    .fold(String::new(), |kept, row| kept + row + "\n")
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { path: path.into(), file: None });
            }
            Err(e) => return Err(at(path)(e)),
        };
        fs::write(path, kept).map_err(at(path))?;
        Ok(Self { path: path.into(), file: None })
    }

    fn write(&mut self, reject: &Reject) -> Result<()> {
        if self.file.is_none() {
            let opened = OpenOptions::new()
                .create(true)
                .append(true)
                .open(&self.path)
                .map_err(at(&self.path))?;
            self.file = Some(opened);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let reason = reject.reason.replace(['\t', '\n', '\r'], " ");
        writeln!(file, "{}\t{reason}", reject.line).map_err(at(&self.path))
    }
}

/// Where an import stands, kept beside its rejects and replaced atomically.
pub(crate) struct ProgressFile {
    path: PathBuf,
    state: ProgressState,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ProgressState {
    file: String,
    place: String,
    collection: String,
    durable_line: u64,
}

impl ProgressFile {
    /// Takes up the state of an earlier import of the same file into the same place, unless told to begin anew.
    fn open(path: PathBuf, args: &Args) -> Result<Self> {
        let mut state = ProgressState {
            file: args.file.display().to_string(),
            place: args.server.place(),
            collection: args.collection.clone(),
            durable_line: 0,
        };
        match fs::read_to_string(&path) {
            Ok(text) if !args.restart => {
                let unusable = || {
                    CliError::Usage(format!(
                        "{} is not readable; remove it or give --restart",
                        path.display()
                    ))
                };
                let earlier: ProgressState = serde_json::from_str(&text).map_err(|_| unusable())?;
                state.durable_line = earlier.durable_line;
                if earlier != state {
                    return Err(CliError::Usage(format!(
                        "{} belongs to an import of {} into {}; remove it or give --restart",
                        path.display(),
                        earlier.file,
                        earlier.place
                    )));
                }
            }
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(at(&path)(e)),
            _ => {}
        }
        Ok(Self { path, state })
    }

    fn advance(&mut self, durable_line: u64) -> Result<()> {
        self.state.durable_line = durable_line;
        let new = self.path.with_extension("new");
        let json = serde_json::to_vec(&self.state).map_err(|e| CliError::Usage(e.to_string()))?;
        fs::write(&new, json).map_err(at(&new))?;
        fs::rename(&new, &self.path).map_err(at(&self.path))
    }

    fn remove(self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(at(&self.path)(e)),
            _ => Ok(()),
        }
    }
}
