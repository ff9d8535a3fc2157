//! `moiety search`: one query, a table that a person likes to read, or JSON lines.

use clap::ValueEnum;
use moiety_rpc::{Client, ClientError, wire};
use serde_json::json;

use crate::{
    connect::ServerArgs,
    error::{CliError, Result, at},
    explain, output, plan, structure, table,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Collection to search
    #[arg(long)]
    collection: String,
    #[command(flatten)]
    query: QueryArgs,
    /// Side of the records that is searched [default: molecule]
    #[arg(long, value_enum, default_value_t = Side::Molecule)]
    target: Side,
    /// Most hits
    #[arg(long, short, default_value_t = 10)]
    limit: u32,
    /// Whether candidates are scored again by their parts
    #[arg(long, value_enum, default_value_t = Rerank::Default)]
    rerank: Rerank,
    /// Weights of the levels in the score, as in `1,0.35,0` [default: the server's, from validation]
    #[arg(long, value_name = "GLOBAL,FRAGMENT,TOKEN", value_parser = weights)]
    weights: Option<wire::LevelWeights>,
    /// Candidates that are scored again; 0 takes the server's default
    #[arg(long, default_value_t = 0)]
    candidates: u32,
    /// Compare every record
    #[arg(long)]
    exact: bool,
    /// Only records whose payload field is this: FIELD=VALUE; repeat to narrow
    #[arg(long = "where", value_name = "FIELD=VALUE")]
    conditions: Vec<String>,
    /// Only records that pass, as in: `mw < 300 and smarts("C(=O)[OX2H1]") and tags in ["drug"]`
    #[arg(long)]
    filter: Option<String>,
    /// Say how the filter was answered
    #[arg(long)]
    plan: bool,
    /// Say for the first hits which parts matched which
    #[arg(long, value_name = "HITS", num_args = 0..=1, default_missing_value = "1", default_value_t = 0)]
    explain: u32,
    /// Print a JSON object a hit
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// What is asked; exactly one.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct QueryArgs {
    /// Words
    #[arg(long)]
    text: Option<String>,
    /// A structure as SMILES or InChI
    #[arg(long, visible_alias = "inchi")]
    smiles: Option<String>,
    /// A file with a mol block
    #[arg(long)]
    mol: Option<std::path::PathBuf>,
    /// A stored record
    #[arg(long)]
    id: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Side {
    Molecule,
    Text,
}

#[derive(Clone, Copy, ValueEnum)]
enum Rerank {
    /// As the model's validation says
    Default,
    /// The global vector alone
    Off,
    /// All three levels
    Levels,
}

impl Side {
    fn to_wire(self) -> wire::Side {
        match self {
            Self::Molecule => wire::Side::Molecule,
            Self::Text => wire::Side::Text,
        }
    }
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let query = args.query.to_wire()?;
    let request = args.request(query.clone())?;
    let connection = args.server.connect().await?;
    let response = connection.client.query(request).await.map_err(|e| args.query.refused(e))?;
    if args.json {
        response.hits.iter().enumerate().for_each(|(i, hit)| outln!("{}", hit_json(i + 1, hit)));
    } else {
        outln!("{}", table::hits(&response));
    }
    for warning in response.filter.iter().flat_map(|filter| &filter.warnings) {
        errln!("moiety: {warning}");
    }
    if let (true, Some(filter)) = (args.plan, &response.filter) {
        outln!("{}", plan::describe(filter));
    }
    let query_text = args.query.text.as_deref();
    for hit in response.hits.iter().take(args.explain as usize).take_while(|_| output::is_read()) {
        let request = args.explained(query.clone(), hit);
        let explanation = connection.client.explain(request).await?;
        outln!("{}", explain::describe(hit, query_text, &explanation));
    }
    connection.close().await
}

impl QueryArgs {
    fn to_wire(&self) -> Result<wire::Query> {
        use wire::query::Asked;
        let asked = match self {
            Self { text: Some(text), .. } => Asked::Text(text.clone()),
            Self { smiles: Some(smiles), .. } => Asked::Molecule(structure::structure(smiles)),
            Self { mol: Some(path), .. } => {
                let block = std::fs::read_to_string(path).map_err(at(path))?;
                Asked::Molecule(wire::Structure {
                    format: Some(wire::structure::Format::MolBlock(block)),
                })
            }
            Self { id, .. } => {
                Asked::Stored(wire::StoredId { id: id.clone().unwrap_or_default(), side: 0 })
            }
        };
        Ok(wire::Query { asked: Some(asked) })
    }
}

impl QueryArgs {
    /// What was refused, and how to ask where a name stands in place of a structure.
    fn refused(&self, error: ClientError) -> CliError {
        let is_structure = matches!(&error, ClientError::Refused { violations, .. }
            if violations.iter().any(|violation| violation.field == "query.molecule"));
        match &self.smiles {
            Some(text) if is_structure && may_be_words(text) => CliError::Usage(format!(
                "{error}\na name or words are asked with --text: --text {text:?}"
            )),
            _ => error.into(),
        }
    }
}

/// Whether a text that is no structure may be a name: short, and without the signs that only structures have.
fn may_be_words(text: &str) -> bool {
    text.len() <= 80 && !text.starts_with("InChI=") && !text.contains(['=', '#', '@', '\\', '/'])
}

impl Args {
    /// Asks why a hit scored as it did.
    fn explained(&self, query: wire::Query, hit: &wire::Hit) -> wire::ExplainRequest {
        let record = hit.record.as_ref().and_then(|stored| stored.record.as_ref());
        wire::ExplainRequest {
            collection: self.collection.clone(),
            query: Some(query),
            id: record.map(|record| record.id.clone()).unwrap_or_default(),
            target: self.target.to_wire().into(),
            weights: match self.rerank {
                Rerank::Off => Some(wire::LevelWeights { global: 1.0, fragment: 0.0, token: 0.0 }),
                Rerank::Default | Rerank::Levels => self.weights,
            },
            filter: None,
        }
    }

    fn request(&self, query: wire::Query) -> Result<wire::QueryRequest> {
        let mode = match self.rerank {
            Rerank::Default => wire::RerankMode::Default,
            Rerank::Off => wire::RerankMode::Off,
            Rerank::Levels => wire::RerankMode::Levels,
        };
        let search = if self.exact { wire::SearchMode::Exact } else { wire::SearchMode::Planned };
        Ok(wire::QueryRequest {
            collection: self.collection.clone(),
            query: Some(query),
            target: self.target.to_wire().into(),
            limit: self.limit,
            filter: filter(&self.conditions, self.filter.as_deref())?,
            rerank: Some(wire::Rerank {
                mode: mode.into(),
                candidates: self.candidates,
                weights: self.weights,
            }),
            mode: search.into(),
            ef_search: 0,
        })
    }
}

/// Three numbers with commas between them.
fn weights(text: &str) -> std::result::Result<wire::LevelWeights, String> {
    let numbers: Vec<f32> = text
        .split(',')
        .map(|part| part.trim().parse().map_err(|e| format!("{part:?}: {e}")))
        .collect::<std::result::Result<_, _>>()?;
    match numbers[..] {
        [global, fragment, token] => Ok(wire::LevelWeights { global, fragment, token }),
        _ => Err(format!("{} numbers, where three are needed, as in 1,0.35,0", numbers.len())),
    }
}

/// All conditions together; a value that reads as JSON is that, else a string.
fn filter(conditions: &[String], expression: Option<&str>) -> Result<Option<wire::Filter>> {
    let conditions = conditions.iter().map(|text| condition(text));
    let expression = expression.map(|text| Ok(Client::filter(text)));
    let filters: Vec<wire::Filter> = conditions.chain(expression).collect::<Result<_>>()?;
    if filters.len() < 2 {
        return Ok(filters.into_iter().next());
    }
    Ok(Some(wire::Filter { node: Some(wire::filter::Node::All(wire::FilterList { filters })) }))
}

fn condition(text: &str) -> Result<wire::Filter> {
    let (field, value) = text.split_once('=').ok_or_else(|| {
        CliError::Usage(format!("--where {text}: give it as FIELD=VALUE, as in class=alkaloid"))
    })?;
    let value =
        serde_json::from_str(value).unwrap_or_else(|_| serde_json::Value::String(value.into()));
    let object = serde_json::Map::from_iter([(String::new(), value)]);
    let mut converted = moiety_rpc::convert::payload_to_wire(&object).fields;
    let equals = converted.remove("").unwrap_or_default();
    let test = Some(wire::condition::Test::Equals(equals));
    let condition = wire::Condition { field: field.into(), test };
    Ok(wire::Filter { node: Some(wire::filter::Node::Condition(condition)) })
}

/// A hit as one JSON object; scores have six digits, as the Python example prints them.
fn hit_json(rank: usize, hit: &wire::Hit) -> serde_json::Value {
    let round = |score: f32| (f64::from(score) * 1e6).round() / 1e6;
    let stored = hit.record.clone().unwrap_or_default();
    let levels = hit.levels.unwrap_or_default();
    let record = stored.record.clone().unwrap_or_default();
    let payload = record.payload.unwrap_or_default();
    let payload = moiety_rpc::convert::payload_from_wire(payload, "payload")
        .map_or(serde_json::Value::Null, serde_json::Value::Object);
    json!({
        "rank": rank,
        "id": record.id,
        "score": round(hit.score),
        "levels": {
            "global": levels.global.map(round),
            "fragment": levels.fragment.map(round),
            "token": levels.token.map(round),
        },
        "smiles": structure::smiles(&stored),
        "text": record.text,
        "payload": payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_place_of_a_structure_is_told_where_to_go() {
        for name in ["aspirin", "2,4-dinitrophenol", "benzo[a]pyrene", "a sweet acid"] {
            assert!(may_be_words(name), "{name}");
        }
        for broken in ["CC(=O", "InChI=1S/CH4", "C[C@H", &"C(".repeat(60)] {
            assert!(!may_be_words(broken), "{broken}");
        }
    }

    #[test]
    fn condition_without_an_equals_sign_says_how_to_write_it() {
        assert!(
            filter(&["class".into()], None)
                .expect_err("no value")
                .to_string()
                .contains("FIELD=VALUE")
        );
        let both = filter(&["class=dye".into()], Some("year < 1900")).expect("conditions");
        assert!(
            matches!(both.and_then(|both| both.node), Some(wire::filter::Node::All(all)) if all.filters.len() == 2)
        );
        let one = filter(&[], Some("year < 1900")).expect("a condition");
        assert!(matches!(one.and_then(|one| one.node), Some(wire::filter::Node::Expression(_))));
        assert!(filter(&[], None).expect("none").is_none());
    }
}
