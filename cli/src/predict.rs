//! `moiety predict`: what the property heads say about structures, as a table or as JSON lines.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use moiety_rpc::{limits::MAX_ENCODE, wire};
use serde_json::{Map, Value, json};
use wire::task_prediction::Prediction;

use crate::{
    asked::{Answer, Asked, Structures, all_read, answers},
    connect::{Connection, PlaceArgs},
    error::Result,
    table::{WIDTH, shorten},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    structures: Structures,
    /// Ask this head only; repeat for several
    #[arg(long = "head", value_name = "NAME")]
    head: Vec<String>,
    /// Print a JSON object a structure
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let asked = args.structures.read()?;
    let connection = args.place.connect().await?;
    let predicted = predict(&connection, &asked, &args.head).await?;
    if args.json {
        predicted.iter().for_each(|answer| outln!("{}", in_json(answer)));
    } else {
        outln!("{}", table(&predicted));
    }
    connection.close().await?;
    all_read(&predicted)
}

type Predicted = Answer<Vec<wire::HeadPrediction>>;

async fn predict(
    connection: &Connection,
    asked: &[Asked<wire::Structure>],
    heads: &[String],
) -> Result<Vec<Predicted>> {
    let mut predicted = Vec::with_capacity(asked.len());
    for chunk in asked.chunks(MAX_ENCODE) {
        let molecules = chunk.iter().map(|asked| asked.item.clone()).collect();
        let response = connection.client.predict(molecules, heads.to_vec()).await?;
        let items = response.items.into_iter().map(|item| (item.position, item.predictions));
        predicted.extend(answers(chunk, items, response.errors));
    }
    Ok(predicted)
}

fn in_json(answer: &Predicted) -> Value {
    let heads = match &answer.outcome {
        Ok(heads) => heads,
        Err(reason) => return json!({ "structure": answer.shown, "error": reason }),
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
    json!({ "structure": answer.shown, "predictions": heads.iter().map(head).collect::<Vec<_>>() })
}

fn number(task: &wire::TaskPrediction) -> f64 {
    match task.prediction {
        Some(Prediction::Probability(x) | Prediction::Value(x)) => x,
        None => f64::NAN,
    }
}

/// One line a task; what is far is marked.
fn table(predicted: &[Predicted]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header(["structure", "head", "task", "prediction", "nearest known molecule"]);
    for answer in predicted {
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

    fn answer() -> Predicted {
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
        let line = in_json(&answer());
        assert_eq!(line["predictions"][0]["tasks"]["permeable"], 0.25);
        assert_eq!(line["predictions"][0]["far"], true);
        let bad: Predicted = Answer { shown: "C1".into(), outcome: Err("ring open".into()) };
        assert_eq!(in_json(&bad)["error"], "ring open");
    }

    #[test]
    fn tables_warn_of_what_is_far() {
        let text = table(&[answer()]);
        assert!(text.contains("25%") && text.contains("far"), "{text}");
    }
}
