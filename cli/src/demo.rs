//! `moiety demo`: the demo library, seven questions, and their answers over gRPC.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use moiety_engine::EngineOptions;
use moiety_rpc::{Client, ImportOptions, ServerOptions, wire};
use serde::Deserialize;

use crate::{
    error::{CliError, Result, at},
    import::{Books, Import, ensure_collection},
    model_dir::{ModelArgs, find_shipped},
    progress,
    reader::{self, Reading, Source},
    serve::{DEFAULT_ADDRESS, Local, stop_signal},
    structure, table,
};

const COLLECTION: &str = "demo";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Go on serving the demo library when the questions are answered
    #[arg(long)]
    serve: bool,
    /// Where to serve
    #[arg(long, default_value = DEFAULT_ADDRESS)]
    listen: SocketAddr,
    /// Data directory [default: a temporary one]
    #[arg(long)]
    data: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
}

/// One question, and the records that a chemist would accept among its first three.
#[derive(Deserialize)]
struct Question {
    kind: Kind,
    query: String,
    expect: Vec<String>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Text,
    Structure,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let molecules = find_shipped("demo/molecules.jsonl")?;
    let temporary = tempfile::tempdir().map_err(at(Path::new("temporary directory")))?;
    let data = args.data.clone().unwrap_or_else(|| temporary.path().to_path_buf());
    let listen = if args.serve { args.listen } else { SocketAddr::from(([127, 0, 0, 1], 0)) };
    let server =
        Local::start(data, EngineOptions::default(), listen, &args.model, ServerOptions::default())
            .await?;
    let client = Client::connect(&server.address.to_string()).await?;
    load(&client, &molecules).await?;
    let questions = questions(&molecules.with_file_name("queries.jsonl"))?;
    let mut wrong = 0;
    for question in &questions {
        wrong += usize::from(!ask(&client, question).await?);
    }
    outln!(
        "\n{} of {} questions found an expected record among the first three",
        questions.len() - wrong,
        questions.len()
    );
    if args.serve {
        outln!(
            "serving the demo library on {} (Ctrl-C stops); in another terminal:",
            server.address
        );
        let program = program_name();
        outln!("  {program} search --collection {COLLECTION} --text \"a sweetener\" --explain");
        stop_signal().await;
    }
    drop(client);
    server.stop().await?;
    if wrong > 0 { Err(CliError::Demo { wrong, asked: questions.len() }) } else { Ok(()) }
}

/// The program as a shell in the working directory finds it.
fn program_name() -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("moiety"));
    let on_path = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|dir| Some(dir.as_path()) == program.parent())
    });
    if on_path {
        return "moiety".to_owned();
    }
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| Some(program.strip_prefix(here).ok()?.to_path_buf()));
    relative.unwrap_or(program).display().to_string()
}

async fn load(client: &Client, file: &Path) -> Result<()> {
    ensure_collection(client, COLLECTION, None).await?;
    let session = client.import(COLLECTION, ImportOptions::default()).await?;
    let mut import = Import::new(session, 64, Books::new(None, None, progress::bar(0, "loading")));
    for row in reader::open(&Source::new(file)?, Reading::default())?.rows {
        import.take(row).await?;
    }
    let summary = import.finish().await?;
    outln!("loaded {} molecules of the demo library", summary.created + summary.replaced);
    Ok(())
}

fn questions(file: &Path) -> Result<Vec<Question>> {
    let text = std::fs::read_to_string(file).map_err(at(file))?;
    let parse = |line| serde_json::from_str(line);
    let questions: serde_json::Result<Vec<Question>> = text.lines().map(parse).collect();
    questions.map_err(|e| CliError::Usage(format!("{}: {e}", file.display())))
}

/// Asks and prints; true when an expected record is among the first three.
async fn ask(client: &Client, question: &Question) -> Result<bool> {
    let asked = match question.kind {
        Kind::Text => wire::query::Asked::Text(question.query.clone()),
        Kind::Structure => wire::query::Asked::Molecule(structure::structure(&question.query)),
    };
    let request = wire::QueryRequest {
        collection: COLLECTION.into(),
        query: Some(wire::Query { asked: Some(asked) }),
        target: wire::Side::Molecule.into(),
        limit: 3,
        ..Default::default()
    };
    let response = client.query(request).await?;
    outln!("\n» {}\n{}", question.query, table::hits(&response));
    let id = |hit: &wire::Hit| Some(hit.record.as_ref()?.record.as_ref()?.id.clone());
    Ok(response.hits.iter().filter_map(id).any(|id| question.expect.contains(&id)))
}
