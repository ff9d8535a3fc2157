//! Every link of a document to a file of the repository leads to one that is there.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

const BUILD_OUTPUT: [&str; 4] = ["target", "data", "runs", "node_modules"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Markdown files below a directory, without what git ignores.
fn documents(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !BUILD_OUTPUT.contains(&name.as_str()) {
            documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Targets of `[words](target)` that are paths: no addresses of the web, no anchors of the same page, and no SMILES.
fn local_links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| Some(&rest[..rest.find([')', ' ', '\n'])?]))
        .filter(|target| target.contains(['/', '.']) && !target.contains("://"))
        .map(|target| target.split('#').next().unwrap_or_default())
}

#[test]
fn every_link_to_a_file_of_the_repository_leads_to_one() {
    let mut files = Vec::new();
    documents(&root(), &mut files);
    assert!(files.len() > 5, "documents are found");
    let broken: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let text = fs::read_to_string(file).expect("a document");
            let dir = file.parent().expect("a file lies in a directory").to_path_buf();
            local_links(&text)
                .filter(|target| !dir.join(target).exists())
                .map(|target| format!("{}: {target}", file.display()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn links_are_told_from_addresses_and_anchors() {
    let text = "[a](b.md#part) [c](https://x.org) [d](#here) [e](../f/)";
    assert_eq!(local_links(text).collect::<Vec<_>>(), ["b.md", "../f/"]);
}
