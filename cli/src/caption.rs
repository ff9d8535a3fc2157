//! `moiety caption`: what the model writes about structures, as a table or as JSON lines.

use comfy_table::{Cell, Table};
use moiety_rpc::wire;
use serde_json::{Value, json};

use crate::{
    asked::{Answer, Asked, Structures, all_read, answers},
    connect::Connection,
    error::Result,
    table::shorten,
    writing::{self, AT_ONCE, CommandArgs},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    structures: Structures,
    #[command(flatten)]
    command: CommandArgs,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let asked = args.structures.read()?;
    let connection = args.command.connect().await?;
    let (captioned, info) = caption(&connection, &asked, args.command.options()).await?;
    args.command.print(&captioned, in_json, table, info.as_ref());
    connection.close().await?;
    all_read(&captioned)
}

type Captioned = Answer<Vec<wire::GeneratedText>>;

async fn caption(
    connection: &Connection,
    asked: &[Asked<wire::Structure>],
    options: wire::GenerateOptions,
) -> Result<(Vec<Captioned>, Option<wire::AnswerInfo>)> {
    let mut captioned = Vec::with_capacity(asked.len());
    let mut info = None;
    for chunk in asked.chunks(AT_ONCE) {
        let molecules = chunk.iter().map(|asked| asked.item.clone()).collect();
        let request = wire::CaptionRequest { molecules, options: Some(options) };
        let response = connection.client.caption(request).await?;
        let items = response.items.into_iter().map(|item| (item.position, item.captions));
        captioned.extend(answers(chunk, items, response.errors));
        info = response.info;
    }
    Ok((captioned, info))
}

fn in_json(answer: &Captioned) -> Value {
    match &answer.outcome {
        Err(reason) => json!({ "structure": answer.shown, "error": reason }),
        Ok(captions) => {
            let captions: Vec<Value> = captions.iter().map(writing::json).collect();
            json!({ "structure": answer.shown, "captions": captions })
        }
    }
}

/// One line a caption.
fn table(captioned: &[Captioned]) -> Table {
    let mut table = writing::table(["structure", "score", "generated caption"]);
    for answer in captioned {
        let shown = shorten(&answer.shown, 40);
        match &answer.outcome {
            Err(reason) => {
                let reason = format!("not read: {}", shorten(reason, 80));
                table.add_row([shown.as_str(), "", &reason]);
            }
            Ok(captions) => captions.iter().for_each(|caption| {
                let score = format!("{:.3}", caption.score);
                table.add_row([&shown, &score, &writing::shown(caption)].map(Cell::new));
            }),
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captioned() -> Vec<Captioned> {
        let caption = wire::GeneratedText {
            text: "The molecule is an alcohol".into(),
            origin: wire::TextOrigin::Generated.into(),
            score: -0.5,
            log_probability: -3.0,
            ending: wire::TextEnding::Cut.into(),
        };
        vec![
            Answer { shown: "CCO".into(), outcome: Ok(vec![caption]) },
            Answer { shown: "C1".into(), outcome: Err("ring open".into()) },
        ]
    }

    #[test]
    fn json_lines_say_that_a_caption_is_generated() {
        let all = captioned();
        let caption = &in_json(&all[0])["captions"][0];
        assert_eq!((&caption["generated"], &caption["complete"]), (&json!(true), &json!(false)));
        assert_eq!(in_json(&all[1])["error"], "ring open");
    }

    #[test]
    fn tables_name_what_could_not_be_read_and_what_was_cut() {
        let text = table(&captioned()).to_string();
        assert!(text.contains("alcohol […]") && text.contains("not read: ring open"), "{text}");
        assert!(text.contains("generated caption"), "{text}");
    }
}
