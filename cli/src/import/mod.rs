//! `moiety import`: a file of records into a collection, acknowledged chunk by chunk, resumable.

mod known;
mod preview;
mod progress_file;
mod rejects;

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use indicatif::ProgressBar;
use moiety_rpc::{Client, ImportOptions, ImportSession, wire};
use progress_file::ProgressFile;
use rejects::{Rejects, RejectsPath};

use crate::{
    connect::ServerArgs,
    error::{CliError, Result, at},
    progress,
    reader::{self, CellType, Columns, Format, Opened, Reading, Reject, Row, Rows, Source},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// File of records, gzipped or not; `-` reads standard input, with --format
    ///
    /// A file is read twice: first for its fields and for the type of each column, all cells looked at, then for its records.
    /// Standard input is copied to a temporary file for that; an import of it that stops begins anew.
    file: PathBuf,
    /// Collection to fill; made if it is not there
    #[arg(long)]
    collection: String,
    /// What the server promises of writes to a collection that is made here [default: fsync]
    #[arg(long)]
    durability: Option<Durability>,
    /// Format, where the name of the file does not tell
    #[arg(long)]
    format: Option<Format>,
    #[command(flatten)]
    columns: Columns,
    /// Records in a chunk; each chunk is acknowledged when it is durable
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    chunk: u32,
    /// Where lines that are not taken go, with their reasons [default: FILE.COLLECTION.rejects.tsv here, or with a number where
    /// an earlier import left one]
    #[arg(long)]
    rejects: Option<PathBuf>,
    /// Say what the columns are taken for, show the first ten records, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Begin at the first line even where an earlier import of this file stopped in the middle
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Durability {
    /// A power cut: each write is synced
    Fsync,
    /// The same; writes that come together share a sync
    Grouped,
    /// A crash of the server, not of the machine
    Wal,
}

impl From<Durability> for wire::Durability {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Fsync => Self::Fsync,
            Durability::Grouped => Self::Grouped,
            Durability::Wal => Self::Wal,
        }
    }
}

/// Bytes of records in a chunk; the rest of a message is for what is around them.
const CHUNK_BYTES: usize = Client::max_message_bytes() - 4096;

/// What to say where a file gives no identifiers.
const NUMBERED: &str = "identifiers are made of the file's name and line numbers, so the same molecules in another file, or after \
    lines were added above them, become other records; name a column with --id-column, or `name` for the names of a SMILES \
    or SD file";

/// What an import did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) created: u64,
    pub(crate) replaced: u64,
    pub(crate) rejected: u64,
    /// Records that were sent with an identifier made of the line number.
    pub(crate) numbered: u64,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let source = Source::new(&args.file)?;
    let connection = args.server.connect().await?;
    let client = &connection.client;
    let collection = config(client, &args.collection).await?;
    let indexed = collection.as_ref().map(indexed_fields).unwrap_or_default();
    let reading =
        Reading { format: args.format, columns: Some(&args.columns), indexed: Some(&indexed) };
    let Opened { rows, mapping } = reader::open(&source, reading)?;
    outln!("{}:\n{mapping}", args.file.display());
    if mapping.numbers_lines() {
        errln!("moiety: {NUMBERED}");
    }
    let rows = match collection {
        Some(_) => known::warn(client, &args.collection, rows).await,
        None => rows,
    };
    if args.dry_run {
        preview::show(rows);
        return connection.close().await;
    }
    let made = ensure_collection(client, &args.collection, args.durability).await?;
    if !made && args.durability.is_some() {
        outln!("{} is there and keeps its durability", args.collection);
    }
    let import = Files::of(&args, &source)?;
    let summary = import.run(client, &args, (rows, made)).await?;
    connection.close().await?;
    outln!("{summary}");
    Ok(())
}

/// What an import reads and writes beside the collection.
struct Files<'a> {
    source: &'a Source,
    rejects: RejectsPath,
    progress_path: PathBuf,
    progress: Option<ProgressFile>,
}

impl<'a> Files<'a> {
    fn of(args: &Args, source: &'a Source) -> Result<Self> {
        let name = args.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let base = format!("{name}.{}", args.collection);
        let rejects = RejectsPath::new(args.rejects.as_deref(), &base);
        check_apart(&args.file, rejects.first())?;
        let progress_path = PathBuf::from(format!("{base}.progress.json"));
        // What cannot be read twice cannot be gone on with.
        let progress = match source.is_file() {
            true => Some(ProgressFile::open(progress_path.clone(), args)?),
            false => None,
        };
        Ok(Self { source, rejects, progress_path, progress })
    }

    /// Imports what was not imported before; gives what to say of it.
    async fn run(
        mut self,
        client: &Client,
        args: &Args,
        (rows, made): (Rows, bool),
    ) -> Result<String> {
        let done_before = go_on_after(self.progress.as_mut(), made);
        let rejects_path = self.rejects.path(done_before)?;
        let rejects = Rejects::open(&rejects_path, done_before)?;
        let bar = progress::bar(count_lines(self.source)?, "importing");
        bar.set_position(done_before);
        let is_resumable = self.progress.is_some();
        let session = client.import(&args.collection, ImportOptions::default()).await?;
        let books = Books::new(Some(rejects), self.progress, bar);
        let import = Import::new(session, args.chunk as usize, books);
        let interrupted = |error| match is_resumable && self.progress_path.exists() {
            true => CliError::Interrupted(Box::new(error)),
            false => error,
        };
        let summary = import.take_all(rows).await.map_err(interrupted)?;
        Ok(summary.describe(&rejects_path))
    }
}

/// The collection, if it is there.
async fn config(client: &Client, name: &str) -> Result<Option<wire::CollectionConfig>> {
    let mut there = client.list_collections().await?.collections.into_iter();
    Ok(there.find_map(|collection| collection.config.filter(|config| config.name == name)))
}

/// What indexes of a collection want of their fields.
fn indexed_fields(config: &wire::CollectionConfig) -> BTreeMap<String, CellType> {
    // A path in backticks names the field between them.
    let typed = config.indexes.iter().map(|index| {
        (index.field.trim_matches('`').to_owned(), CellType::of_index(index.r#type()))
    });
    typed.collect()
}

/// Refuses to write the rejects over the file that is imported.
fn check_apart(file: &Path, rejects: &Path) -> Result<()> {
    match (file.canonicalize(), rejects.canonicalize()) {
        (Ok(file), Ok(rejects)) if file == rejects => Err(CliError::Usage(format!(
            "{} is the file to import; name another with --rejects",
            rejects.display()
        ))),
        _ => Ok(()),
    }
}

/// The line after which the import begins, told to the person if it is not the first.
fn go_on_after(progress: Option<&mut ProgressFile>, made: bool) -> u64 {
    let Some(progress) = progress.filter(|progress| progress.durable_line() > 0) else { return 0 };
    if made {
        outln!("the collection of the import that stopped is gone: beginning at the first line");
        progress.begin_anew();
    } else {
        outln!(
            "going on after line {}, the last one known to be durable (--restart begins anew)",
            progress.durable_line()
        );
    }
    progress.durable_line()
}

impl Summary {
    fn describe(&self, rejects: &Path) -> String {
        let mut counts =
            format!("{} new, {} replaced, {} rejected", self.created, self.replaced, self.rejected);
        if self.rejected > 0 {
            counts += &format!(" (see {})", rejects.display());
        }
        if self.numbered > 0 {
            counts += &format!("; {} have identifiers made of line numbers", self.numbered);
        }
        counts
    }
}

/// Makes the collection if it is not there; true if it was not.
pub(crate) async fn ensure_collection(
    client: &Client,
    name: &str,
    durability: Option<Durability>,
) -> Result<bool> {
    if config(client, name).await?.is_some() {
        return Ok(false);
    }
    let durability = durability.map_or(wire::Durability::Unspecified, Into::into).into();
    let config = wire::CollectionConfig { name: name.into(), durability, ..Default::default() };
    client.create_collection(config).await?;
    Ok(true)
}

/// Lines of the file, for the bar.
fn count_lines(source: &Source) -> Result<u64> {
    let mut input = source.open()?;
    let mut lines = 0;
    loop {
        let block = input.fill_buf().map_err(at(source.path()))?;
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
        let skip_to = books.progress.as_ref().map_or(0, ProgressFile::durable_line);
        Self { session, chunk_size, open: Vec::new(), open_bytes: 0, skip_to, books }
    }

    async fn take_all(mut self, rows: Rows) -> Result<Summary> {
        for row in rows {
            self.take(row).await?;
        }
        self.finish().await
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
        self.books.summary.numbered += u64::from(row.is_numbered);
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
