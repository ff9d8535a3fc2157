//! `moiety predict`: what the property heads say about structures, as a table or as JSON lines.

use std::path::{Path, PathBuf};

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use moiety_rpc::{limits::MAX_ENCODE, wire};
use serde_json::{Map, Value, json};
use wire::task_prediction::Prediction;

use crate::{
    connect::{Connection, ServerArgs},
    error::{CliError, Result, at},
    reader::{self, Columns, Format},
    structure,
    table::{WIDTH, shorten},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Structures, as SMILES or InChI
    #[arg(required_unless_present = "file")]
    structures: Vec<String>,
    /// A file of structures, in any format that `import` reads
    #[arg(long, conflicts_with = "structures")]
    file: Option<PathBuf>,
    /// How the file is written [default: by its name]
    #[arg(long, requires = "file")]
    format: Option<Format>,
    #[command(flatten)]
    columns: Columns,
    /// Ask this head only; repeat for several
    #[arg(long = "head", value_name = "NAME")]
    head: Vec<String>,
    /// Predict inside this process: no server, no data directory
    #[arg(long, conflicts_with_all = ["server", "data"])]
    local: bool,
    /// Print a JSON object a structure
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let asked = asked(&args)?;
    let scratch = tempfile::tempdir().map_err(at(Path::new("temporary directory")))?;
    let connection = match args.local {
        true => args.server.open(scratch.path()).await?,
        false => args.server.connect().await?,
    };
    let answers = predict(&connection, &asked, &args.head).await?;
    if args.json {
        answers.iter().for_each(|answer| println!("{}", answer.json()));
    } else {
        println!("{}", table(&answers));
    }
    connection.close().await?;
    match answers.iter().filter(|answer| answer.outcome.is_err()).count() {
        0 => Ok(()),
        unread => Err(CliError::Usage(format!("{unread} of {} could not be read", answers.len()))),
    }
}

/// A structure that is asked about, with what to call it.
struct Asked {
    shown: String,
    structure: wire::Structure,
}

/// What came back for it: predictions, or the reason why there are none.
struct Answer {
    shown: String,
    outcome: std::result::Result<Vec<wire::HeadPrediction>, String>,
}

fn asked(args: &Args) -> Result<Vec<Asked>> {
    let Some(file) = &args.file else {
        let asked =
            |text: &String| Asked { shown: text.clone(), structure: structure::structure(text) };
        return Ok(args.structures.iter().map(asked).collect());
    };
    let mut all = Vec::new();
    for row in reader::open(file, args.format, &args.columns)? {
        match row {
            Ok(row) => match row.record.molecule {
                Some(structure) => all.push(Asked { shown: row.record.id, structure }),
                None => eprintln!("{}, line {}: no structure", file.display(), row.line),
            },
            Err(reject) => eprintln!("{}, line {}: {}", file.display(), reject.line, reject.reason),
        }
    }
    Ok(all)
}

async fn predict(
    connection: &Connection,
    asked: &[Asked],
    heads: &[String],
) -> Result<Vec<Answer>> {
    let mut answers = Vec::with_capacity(asked.len());
    for chunk in asked.chunks(MAX_ENCODE) {
        let molecules = chunk.iter().map(|asked| asked.structure.clone()).collect();
        let response = connection.client.predict(molecules, heads.to_vec()).await?;
        let missing = || Err("the server said nothing about it".to_owned());
        let mut outcomes: Vec<_> = chunk.iter().map(|_| missing()).collect();
        for item in response.items {
            if let Some(outcome) = outcomes.get_mut(item.position as usize) {
                *outcome = Ok(item.predictions);
            }
        }
        for error in response.errors {
            if let Some(outcome) = outcomes.get_mut(error.position as usize) {
                *outcome = Err(error.reason);
            }
        }
        let answer = |(asked, outcome): (&Asked, _)| Answer { shown: asked.shown.clone(), outcome };
        answers.extend(chunk.iter().zip(outcomes).map(answer));
    }
    Ok(answers)
}

impl Answer {
    fn json(&self) -> Value {
        let heads = match &self.outcome {
            Ok(heads) => heads,
            Err(reason) => return json!({ "structure": self.shown, "error": reason }),
        };
        let head = |head: &wire::HeadPrediction| {
            let tasks = head.tasks.iter().map(|task| (task.task.clone(), number(task).into()));
            json!({
                "head": head.head,
                "tasks": tasks.collect::<Map<String, Value>>(),
                "nearest_similarity": head.nearest_similarity,
                "far": head.domain() == wire::Domain::Far,
            })
        };
        json!({ "structure": self.shown, "predictions": heads.iter().map(head).collect::<Vec<_>>() })
    }
}

fn number(task: &wire::TaskPrediction) -> f64 {
    match task.prediction {
        Some(Prediction::Probability(x) | Prediction::Value(x)) => x,
        None => f64::NAN,
    }
}

/// One line a task; what is far is marked.
fn table(answers: &[Answer]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header(["structure", "head", "task", "prediction", "nearest known molecule"]);
    for answer in answers {
        let shown = shorten(&answer.shown, 40);
        match &answer.outcome {
            Err(reason) => {
                table.add_row([shown.as_str(), "", "", "not read", &shorten(reason, 80)]);
            }
            Ok(heads) => {
                for (head, task) in heads.iter().flat_map(|h| h.tasks.iter().map(move |t| (h, t))) {
                    table.add_row([
                        Cell::new(&shown),
                        Cell::new(&head.head),
                        Cell::new(&task.task),
                        Cell::new(in_words(task)).set_alignment(CellAlignment::Right),
                        Cell::new(nearness(head)),
                    ]);
                }
            }
        }
    }
    table.to_string()
}

fn in_words(task: &wire::TaskPrediction) -> String {
    match task.prediction {
        Some(Prediction::Probability(p)) => format!("{:.0}%", 100.0 * p),
        Some(Prediction::Value(value)) => format!("{value:.2}"),
        None => String::new(),
    }
}

fn nearness(head: &wire::HeadPrediction) -> String {
    match head.domain() {
        wire::Domain::Far => format!("{:.2}, far: do not rely on it", head.nearest_similarity),
        _ => format!("{:.2}", head.nearest_similarity),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        let prediction = Some(Prediction::Probability(0.25));
        let task = wire::TaskPrediction { task: "permeable".into(), prediction };
        let head = wire::HeadPrediction {
            head: "bbbp".into(),
            tasks: vec![task],
            nearest_similarity: 0.125,
            domain: wire::Domain::Far.into(),
        };
        Answer { shown: "CCO".into(), outcome: Ok(vec![head]) }
    }

    #[test]
    fn json_lines_carry_every_number_and_errors_their_reason() {
        let line = answer().json();
        assert_eq!(line["predictions"][0]["tasks"]["permeable"], 0.25);
        assert_eq!(line["predictions"][0]["far"], true);
        let bad = Answer { shown: "C1".into(), outcome: Err("ring open".into()) };
        assert_eq!(bad.json()["error"], "ring open");
    }

    #[test]
    fn tables_warn_of_what_is_far() {
        let text = table(&[answer()]);
        assert!(text.contains("25%") && text.contains("far"), "{text}");
    }
}
