//! The library's messages, cut to what a user can act on.

/// Words behind which the part worth telling begins; the last one found counts.
const PREFIXES: [&str; 5] = [
    "failed: ",
    "failed at Kekulize: ",
    "MolSanitizeException: ",
    "invalid SMILES syntax at ",
    "failed (SanitizeFailed): ",
];

/// The heart of a message, in one line.
pub(super) fn heart(message: &str) -> String {
    let cut =
        PREFIXES.iter().fold(message, |text, prefix| text.rsplit(prefix).next().unwrap_or(text));
    let words: Vec<&str> = cut.split_whitespace().collect();
    let text = words.join(" ");
    if let Some(found) = text.strip_prefix("could not kekulize molecule; remaining atoms: ") {
        let atoms = found.replace("AtomId(", "").replace(['[', ']', ')'], "");
        return format!(
            "cannot kekulize aromatic atoms {atoms} (is a hydrogen missing, as in [nH]?)"
        );
    }
    let symbol = |before: &str| text.strip_prefix(before)?.split('\'').next();
    if let Some(token) = symbol("unsupported SMILES token '") {
        return format!("'{token}' is no SMILES token");
    }
    match text.strip_prefix("invalid atom at byte ").and_then(|rest| rest.split_once(": ")) {
        Some((_, atom)) => format!("'{atom}' is no atom"),
        None => match text.strip_prefix("byte ").and_then(|rest| rest.split_once(": ")) {
            Some((_, rest)) => rest.to_owned(),
            None => text,
        },
    }
}

/// The first of the numbers behind any of `markers`.
pub(super) fn number_after(message: &str, markers: &[&str]) -> Option<usize> {
    markers.iter().find_map(|marker| {
        let start = message.find(marker)? + marker.len();
        let digits: String = message[start..].chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_to_their_heart() {
        let cases = [
            (
                "SMILES hydrogen removal failed: sanitization failed at Properties: property-cache \
                 valence assignment failed: Explicit valence for atom # 1 C, 5, is greater than permitted",
                "Explicit valence for atom # 1 C, 5, is greater than permitted",
            ),
            (
                "sanitization failed at Kekulize: could not kekulize molecule; remaining atoms: \
                 [AtomId(0), AtomId(1)]",
                "cannot kekulize aromatic atoms 0, 1 (is a hydrogen missing, as in [nH]?)",
            ),
            ("SMILES parsing failed: invalid atom at byte 0: Xx", "'Xx' is no atom"),
            (
                "SMILES parsing failed: unsupported SMILES token '?' at byte 1",
                "'?' is no SMILES token",
            ),
            ("invalid SMILES syntax at byte 2: expected atom or ring", "expected atom or ring"),
        ];
        for (message, expected) in cases {
            assert_eq!(heart(message), expected);
        }
        assert_eq!(number_after("aromatic atom 12 is", &["atom # ", "aromatic atom "]), Some(12));
    }
}
