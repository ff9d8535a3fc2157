//! One meaning of a cell, a field and an option in all formats.

use std::fs;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// Reads a file of this name and content.
fn read_with(
    name: &str,
    content: &[u8],
    reading: Reading<'_>,
) -> Result<Vec<std::result::Result<Row, Reject>>> {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join(name);
    fs::write(&path, content).expect("file");
    Ok(open(&Source::new(&path)?, reading)?.rows.collect())
}

fn read(name: &str, content: &str) -> Vec<std::result::Result<Row, Reject>> {
    read_with(name, content.as_bytes(), Reading::default()).expect("file")
}

fn refused(name: &str, content: &str, columns: Columns) -> String {
    let reading = Reading { columns: Some(&columns), ..Reading::default() };
    read_with(name, content.as_bytes(), reading).expect_err("refused").to_string()
}

fn record(rows: &[std::result::Result<Row, Reject>], at: usize) -> &wire::Record {
    &rows[at].as_ref().expect("row").record
}

fn payload(record: &wire::Record) -> Map<String, Value> {
    let payload = record.payload.clone().expect("payload");
    moiety_rpc::convert::payload_from_wire(payload, "payload").expect("payload")
}

const MOL: &str = "\n\n\n  1  0  0  0  0  0  0  0  0  0999 V2000\n    0.0000    0.0000    0.0000 O   0  0\nM  END\n";

/// An SD file with these fields.
fn sdf(fields: &[(&str, &str)]) -> String {
    let fields: String =
        fields.iter().map(|(name, value)| format!("> <{name}>\n{value}\n\n")).collect();
    format!("{MOL}{fields}$$$$\n")
}

/// Bytes of any kind, and lines that begin like those of a file.
fn near_a_file() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "[CNOc1()=#@\\\\/ \t|]{0,12}( [a-z]{0,4})?",
        "(id|smiles|text|[a-z]{1,3})([,\t\";](id|smiles|text|\"?[A-Z\n]{0,3}\"?)){0,4}",
        r#"\{"(id|smiles|text|payload)": ?("C{0,3}"|[0-9{}\[\]]{0,24})(, ?"[a-z]": null)?\}?"#,
        "(> *<[a-z]{0,4}>|M  END|[$]{4}|  1  0  0  0  0  0  0  0  0  0999 V2000)",
    ];
    let lines = prop::collection::vec((line, 0usize..3), 0..12).prop_map(|lines| {
        let ended = |(line, end): (String, usize)| line + ["\n", "\r\n", "\r"][end];
        lines.into_iter().map(ended).collect::<String>().into_bytes()
    });
    let gzipped = |mut bytes: Vec<u8>| {
        bytes.splice(0..0, [0x1f, 0x8b]);
        bytes
    };
    let random = prop::collection::vec(any::<u8>(), 0..400);
    prop_oneof![4 => lines, 2 => random.clone(), 1 => random.prop_map(gzipped)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_file_of_any_bytes_is_read_to_its_end(bytes in near_a_file()) {
        for format in Format::value_variants() {
            let reading = Reading { format: Some(*format), ..Reading::default() };
            let Ok(rows) = read_with("file", &bytes, reading) else { continue };
            let mut last = 0;
            for row in rows {
                let line = row.map_or_else(|reject| reject.line, |row| row.line);
                prop_assert!(line > last, "{format:?}: line {line} after {last}");
                last = line;
            }
            prop_assert!(last <= bytes.len() as u64 + 2, "{format:?}: line {last}");
        }
    }

    #[test]
    fn a_table_is_the_same_records_as_csv_tsv_sdf_and_json_lines(
        cells in prop::collection::vec(("[a-z]{1,4}", "[ ]{0,2}|[A-Za-z][a-z ]{0,6}[a-z]", -1000i32..1000, any::<bool>()), 1..5)
    ) {
        let table = |delimiter: &str| {
            let row = |(id, text, n, has): &(String, String, i32, bool)| {
                let n = if *has { format!("{n}.50") } else { String::new() };
                ["O", id, text, &n].join(delimiter) + "\n"
            };
            let header = ["smiles", "id", "text", "n"].join(delimiter);
            format!("{header}\n{}", cells.iter().map(row).collect::<String>())
        };
        let records = |(id, text, n, has): &(String, String, i32, bool)| {
            let n = if *has { format!("{n}.50") } else { String::new() };
            sdf(&[("id", id), ("text", text), ("n", &n)])
        };
        let lines = |(id, text, n, has): &(String, String, i32, bool)| {
            let n = has.then(|| format!("{n}.50").parse::<f64>().expect("number"));
            json!({ "smiles": "O", "id": format!(" {id} "), "text": text, "n": n }).to_string() + "\n"
        };
        let all = [
            read("a.csv", &table(",")),
            read("a.tsv", &table("\t")),
            read("b.csv", &table(";")),
            read("a.sdf", &cells.iter().map(records).collect::<String>()),
            read("a.jsonl", &cells.iter().map(lines).collect::<String>()),
        ];
        for (at, cell) in cells.iter().enumerate() {
            for rows in &all {
                let record = record(rows, at);
                prop_assert_eq!(&record.id, &cell.0);
                prop_assert_eq!(record.text.as_deref(), Some(cell.1.trim()).filter(|text| !text.is_empty()));
                let n = cell.3.then(|| format!("{}.50", cell.2).parse::<f64>().expect("number"));
                prop_assert_eq!(payload(record).get("n").and_then(Value::as_f64), n);
            }
        }
    }
}

#[test]
fn formats_are_known_by_name_also_when_gzipped() {
    for (name, format) in [
        ("a.smi.gz", Format::Smiles),
        ("a.cxsmiles", Format::Smiles),
        ("a.smiles", Format::Smiles),
        ("A.SDF", Format::Sdf),
        ("a.mol", Format::Sdf),
        ("a.tab", Format::Tsv),
    ] {
        assert_eq!(guess(name).expect("known"), format, "{name}");
    }
    assert!(guess("a.xyz").is_err());
}

#[test]
fn a_table_without_a_header_is_told_from_one_with() {
    assert!(is_row_of_smiles("Cc1ccccc1O\tchembl\n"));
    assert!(is_row_of_smiles("CCO\n"));
    assert!(!is_row_of_smiles("CID\tSMILES\n"));
    assert!(!is_row_of_smiles("C\tsmiles\n"));
    assert!(!is_row_of_smiles("name\tvalue\n"));
    assert!(!is_row_of_smiles("\n"));
}

#[test]
fn byte_order_marks_are_passed_over_and_utf16_says_what_to_do() {
    let rows = read("a.jsonl", "\u{feff}{\"smiles\": \"CCO\"}\n");
    assert_eq!((rows.len(), rows[0].is_ok()), (1, true));
    let wide = read_with("b.csv", b"\xff\xfei\0d\0", Reading::default()).expect_err("UTF-16");
    assert!(wide.to_string().contains("iconv"));
}

#[test]
fn a_row_without_structure_and_text_is_rejected_with_its_line() {
    let rows = read("a.csv", "id,smiles\na,CCO\nb,\n");
    assert!(rows[1].as_ref().is_err_and(|r| r.line == 3 && r.reason.contains("neither")));
}

#[test]
fn blank_cells_are_absent_in_every_format() {
    let rows = read(
        "a.jsonl",
        "{\"id\":\"a\",\"smiles\":\"CCO\",\"text\":\"\"}\n{\"id\":\" \",\"smiles\":\"CCO\"}\n{\"id\":\" b \",\"smiles\":null,\"text\":\"x\"}\n{\"id\":1.0,\"smiles\":\"C\"}\n",
    );
    let found: Vec<_> = (0..4)
        .map(|at| (record(&rows, at).id.as_str(), record(&rows, at).text.as_deref()))
        .collect();
    assert_eq!(found, [("a", None), ("a:2", None), ("b", Some("x")), ("1.0", None)]);
    let rows = read(
        "a.sdf",
        &[sdf(&[("ID", ""), ("B", "2")]), sdf(&[("ID", " x "), ("DESCRIPTION", ""), ("B", "")])]
            .concat(),
    );
    assert_eq!((record(&rows, 0).id.as_str(), record(&rows, 1).id.as_str()), ("a:1", "x"));
    assert_eq!(record(&rows, 1).text, None);
    assert!(payload(record(&rows, 1)).is_empty());
}

#[test]
fn a_column_that_is_asked_for_is_found_in_any_case_or_the_fields_are_listed() {
    let files = [
        ("a.csv", "smiles,chembl_id\nO,X1\n".to_owned()),
        ("a.sdf", sdf(&[("chembl_id", "X1"), ("pref", "P")])),
        ("a.jsonl", "{\"smiles\": \"O\", \"chembl_id\": \"X1\"}\n".to_owned()),
    ];
    for (name, content) in &files {
        let columns = Columns { id_column: Some("CHEMBL_ID".into()), ..Columns::default() };
        let reading = Reading { columns: Some(&columns), ..Reading::default() };
        let rows = read_with(name, content.as_bytes(), reading).expect("the field is there");
        assert_eq!(record(&rows, 0).id, "X1", "{name}");
        assert_eq!(record(&read(name, content), 0).id, "X1", "{name}: a usual name");
        let asked = Columns { id_column: Some("nonsense".into()), ..Columns::default() };
        let error = refused(name, content, asked);
        assert!(error.contains("`nonsense`") && error.contains("chembl_id"), "{name}: {error}");
    }
}

#[test]
fn a_name_of_its_own_place_can_be_the_identifier() {
    let columns = Columns { id_column: Some("Name".into()), ..Columns::default() };
    let reading = Reading { columns: Some(&columns), ..Reading::default() };
    let files = [
        ("a.smi", "O  water\nO\n".to_owned()),
        ("a.sdf", [format!("water{}", sdf(&[])), sdf(&[])].concat()),
        ("a.csv", "smiles,name\nO,water\nO,\n".to_owned()),
        ("a.jsonl", "{\"smiles\": \"O\", \"name\": \"water\"}\n{\"smiles\": \"O\"}\n".to_owned()),
    ];
    for (name, content) in &files {
        let rows = read_with(name, content.as_bytes(), reading).expect("names are there");
        assert_eq!(record(&rows, 0).id, "water", "{name}");
        assert!(record(&rows, 1).id.starts_with("a:"), "{name}");
    }
    let asked = Columns { id_column: Some("nonsense".into()), ..Columns::default() };
    assert!(refused("a.smi", "O water\n", asked).ends_with("the file has: name"));
}

#[test]
fn the_header_of_a_smiles_file_says_what_its_names_are() {
    let file = "smiles\tid\nO[C@H](Br)[C@H](F)C |&1:1,3|\tZ1\nCCO ethanol\nCC\n";
    let rows = read("a.cxsmiles", file);
    let ids: Vec<_> = (0..3).map(|at| record(&rows, at).id.as_str()).collect();
    assert_eq!(ids, ["Z1", "ethanol", "a:4"]);
    assert_eq!(payload(record(&rows, 0))["name"], json!("Z1"));
    let rows = read("a.smi", "SMILES;Description\nCCO;an alcohol\n");
    assert_eq!(record(&rows, 0).text.as_deref(), Some("an alcohol"));
    let rows = read("a.smi", "CCO;ethyl alcohol\nCC;ethane\n");
    assert_eq!(payload(record(&rows, 0))["name"], json!("ethyl alcohol"));
    assert_eq!(record(&rows, 1).id, "a:2");
}

#[test]
fn what_json_lines_call_payload_is_payload_whatever_its_name() {
    let rows = read(
        "a.jsonl",
        "{\"smiles\":\"O\",\"payload\":{\"id\":7,\"description\":\"wet\",\"gone\":null},\"n\":1}\n",
    );
    assert_eq!((record(&rows, 0).id.as_str(), record(&rows, 0).text.as_deref()), ("a:1", None));
    assert_eq!(
        payload(record(&rows, 0)),
        *json!({"id": 7, "description": "wet", "n": 1}).as_object().expect("object")
    );
}

#[test]
fn numbers_are_typed_by_their_column_and_by_the_index_of_their_field() {
    let table = "id,smiles,MolWt,AlogP,code\na,O,60.10,1e0,007\nb,O,59,+0.5,12\nc,O,None,9007199254740993,3\n";
    let rows = read("a.csv", table);
    let first = payload(record(&rows, 0));
    assert_eq!(
        (&first["MolWt"], &first["AlogP"], &first["code"]),
        (&json!(60.1), &json!(1), &json!("007"))
    );
    let third = payload(record(&rows, 2));
    assert_eq!(
        (third.get("MolWt"), &third["AlogP"], &third["code"]),
        (None, &json!("9007199254740993"), &json!("3"))
    );
    let indexed = BTreeMap::from([
        ("MolWt".to_owned(), CellType::Text),
        ("code".to_owned(), CellType::Number),
    ]);
    let reading = Reading { indexed: Some(&indexed), ..Reading::default() };
    let rows = read_with("a.csv", table.as_bytes(), reading).expect("file");
    let first = payload(record(&rows, 0));
    assert_eq!((&first["MolWt"], &first["code"]), (&json!("60.10"), &json!("007")));
    assert_eq!(payload(record(&rows, 1))["code"], json!(12));
}

#[test]
fn integers_that_would_be_rounded_are_rejected_in_json_lines_and_kept_as_identifiers() {
    let rows = read(
        "a.jsonl",
        "{\"id\":12345678901234567890,\"smiles\":\"C\"}\n{\"smiles\":\"C\",\"n\":9007199254740993}\n{\"smiles\":\"C\",\"n\":{\"m\":[123456789012345678901]}}\n",
    );
    assert_eq!(record(&rows, 0).id, "12345678901234567890");
    assert!(rows[1].as_ref().is_err_and(|r| r.reason.contains("9007199254740993")));
    assert!(rows[2].as_ref().is_err_and(|r| r.reason.contains("123456789012345678901")));
}

#[test]
fn payloads_join_and_bad_lines_say_why() {
    let rows = read(
        "f.jsonl",
        "{\"id\": 7, \"smiles\": \"CCO\", \"year\": 1, \"payload\": {\"a\": true}}\n[1]\n{\"text\": {}}\n",
    );
    assert_eq!((record(&rows, 0).id.as_str(), payload(record(&rows, 0)).len()), ("7", 2));
    assert!(rows[1].as_ref().is_err_and(|r| r.line == 2 && r.reason.contains("JSON object")));
    assert!(rows[2].as_ref().is_err_and(|r| r.reason.contains("`text`")));
    let nested = |levels| {
        format!("{{\"text\": \"x\", \"deep\": {}1{}}}\n", "[".repeat(levels), "]".repeat(levels))
    };
    let rows = read("f.jsonl", &[nested(25), nested(24), nested(200)].concat());
    assert!(rows[0].as_ref().is_err_and(|r| r.reason.contains("`deep` is nested")));
    assert!(rows[1].is_ok());
    assert!(rows[2].as_ref().is_err_and(|r| r.reason.contains("at column")));
}

#[test]
fn a_table_of_any_delimiter_is_read_with_a_word() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("a.csv");
    fs::write(&path, "id;smiles\nx;CCO\n").expect("file");
    let opened = open(&Source::new(&path).expect("file"), Reading::default()).expect("file");
    assert!(opened.mapping.to_string().contains("delimited by ';'"), "{}", opened.mapping);
    let columns = Columns { delimiter: Some('!'), ..Columns::default() };
    let reading = Reading { columns: Some(&columns), ..Reading::default() };
    let rows = read_with("a.csv", b"id!smiles\nx!CCO\n", reading).expect("file");
    assert_eq!(record(&rows, 0).id, "x");
}

#[test]
fn a_delimiter_is_refused_where_there_is_none() {
    for (name, content) in [("a.sdf", sdf(&[])), ("a.jsonl", "{\"smiles\":\"O\"}\n".to_owned())] {
        let asked = Columns { delimiter: Some(';'), ..Columns::default() };
        let error = refused(name, &content, asked);
        assert!(error.contains("--delimiter") && error.contains("--format"), "{error}");
    }
    let asked = Columns { delimiter: Some('é'), ..Columns::default() };
    assert!(refused("a.smi", "O\n", asked).contains("one byte"));
}

#[test]
fn lines_that_end_with_cr_and_lf_are_counted_as_others_and_leave_no_cr() {
    let rows =
        read("t.csv", "id,smiles,text\r\na,CCO,x\r\n\r\nb,CC,\"two\r\nlines\"\r\nc,C\r\nd,CN,y");
    let lines = rows.iter().map(|row| row.as_ref().map_or_else(|r| r.line, |row| row.line));
    assert_eq!(lines.collect::<Vec<_>>(), [2, 4, 6, 7]);
    assert!(rows[2].is_err());
    for (at, expected) in [(0, "x"), (1, "two\r\nlines"), (3, "y")] {
        assert_eq!(record(&rows, at).text.as_deref(), Some(expected), "{at}");
    }
    assert_eq!(read("t.csv", "\r\nid,smiles\r\na,CCO\r\n")[0].as_ref().map(|row| row.line), Ok(3));
    let old = refused("t.csv", "id,smiles\ra,CCO\r", Columns::default());
    assert!(old.contains("convert"), "{old}");
}

#[test]
fn rows_that_do_not_fit_the_header_are_rejected_and_not_cut_to_fit() {
    let rows =
        read("t.csv", "id,smiles,text\na,CCO\nb,CC,one, two\nc,CC,fine,,\nd,C,\"two\nlines\"\n");
    let reason = |at: usize| rows[at].as_ref().map_err(|reject| reject.clone()).err();
    assert!(reason(0).is_some_and(|r| r.line == 2 && r.reason.starts_with("2 cells")));
    assert!(reason(1).is_some_and(|r| r.line == 3 && r.reason.contains("quote a cell")));
    assert_eq!((reason(2), reason(3)), (None, None));
    let open = read("t.csv", "id,smiles,text\na,CCO,x\nb,\"CC,x\nc,CC,x\nd,CC,x\n");
    let last = open.last().and_then(|row| row.as_ref().err()).expect("rejected");
    assert_eq!((open.len(), last.line), (2, 3));
    assert!(last.reason.contains("quote left open"), "{}", last.reason);
}

#[test]
fn a_table_without_a_known_column_says_what_to_do() {
    let refuse = |content: &str| refused("t.csv", content, Columns::default());
    assert!(refuse("CCO,ethanol\n").contains("--format smiles"));
    assert!(refuse("").contains("no header"));
    assert!(refuse("a,b\n").contains("--molecule-column"));
    let asked = Columns { molecule_column: Some("structure".into()), ..Columns::default() };
    let error = refused("t.csv", "a,b\n1,2\n", asked);
    assert!(error.contains("`structure`") && error.contains("a, b"), "{error}");
}

#[test]
fn names_of_sd_files_and_of_smiles_lines_join_the_payload() {
    let rows = read("a.smi", "[Cl-][Pt++]1([Cl-])NCCN1 |C:3.2,6.6,0.0,2.1| plat\nCCO ethanol\n");
    assert_eq!(payload(record(&rows, 0))["name"], json!("plat"));
    let given = record(&rows, 0).molecule.clone().and_then(|molecule| molecule.format);
    assert!(matches!(given, Some(wire::structure::Format::Smiles(s)) if s.ends_with("2.1|")));
}
