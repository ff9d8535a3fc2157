//! Stems of English words: Porter's algorithm ("An algorithm for suffix stripping", Program 14, 1980) with the later
//! corrections of its author and the short words and irregular forms that NLTK adds, whose stems these are.

/// Words whose stems the rules would miss.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// Suffixes of the second step and what takes their place after a stem with a measure above 0.
const DOUBLE_SUFFIXES: [(&str, &str); 21] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

/// Suffixes of the third step, as above.
const DERIVED_SUFFIXES: [(&str, &str); 7] = [
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];

/// Suffixes of the fourth step, which fall after a stem with a measure above 1.
const LAST_SUFFIXES: [&str; 19] = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou",
    "ism", "ate", "iti", "ous", "ive", "ize",
];

/// The stem of a lower-case word. Words of one or two letters, and those with letters outside ASCII, are their own stems.
pub(super) fn stem(word: &str) -> String {
    if !word.is_ascii() {
        return word.into();
    }
    if let Some((_, stem)) = IRREGULAR.iter().find(|(irregular, _)| *irregular == word) {
        return (*stem).into();
    }
    if word.len() <= 2 {
        return word.into();
    }
    let word = without_plural(word);
    let word = without_tense(&word);
    let word = with_final_i(&word);
    let word = with_single_suffix(&word);
    let word = replaced(&word, &DERIVED_SUFFIXES);
    let word = without_last_suffix(&word);
    without_double_l(without_final_e(&word)).into()
}

/// Step 1a.
fn without_plural(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("ies") {
        let end = if word.len() == 4 { "ie" } else { "i" };
        return format!("{stem}{end}");
    }
    match word.strip_suffix('s') {
        Some(stem) if word.ends_with("sses") => stem[..stem.len() - 1].into(),
        Some(stem) if !word.ends_with("ss") => stem.into(),
        _ => word.into(),
    }
}

/// Step 1b.
fn without_tense(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("ied") {
        let end = if word.len() == 4 { "ie" } else { "i" };
        return format!("{stem}{end}");
    }
    if let Some(stem) = word.strip_suffix("eed") {
        return if measure(stem) > 0 { format!("{stem}ee") } else { word.into() };
    }
    let stems = ["ed", "ing"].iter().filter_map(|suffix| word.strip_suffix(suffix));
    match stems.into_iter().find(|stem| has_vowel(stem)) {
        Some(stem) => with_ending_restored(stem),
        None => word.into(),
    }
}

/// `conflat` becomes `conflate`, `hopp` `hop` and `fil` `file`.
fn with_ending_restored(stem: &str) -> String {
    if ["at", "bl", "iz"].iter().any(|end| stem.ends_with(end)) {
        return format!("{stem}e");
    }
    if ends_with_double_consonant(stem) {
        let last = &stem[stem.len() - 1..];
        let kept = ["l", "s", "z"].contains(&last);
        return if kept { stem.into() } else { stem[..stem.len() - 1].into() };
    }
    if measure(stem) == 1 && ends_short(stem) { format!("{stem}e") } else { stem.into() }
}

/// Step 1c, as NLTK has it: after a consonant that is not the first letter.
fn with_final_i(word: &str) -> String {
    match word.strip_suffix('y') {
        Some(stem) if stem.len() > 1 && consonants(stem).last() == Some(&true) => {
            format!("{stem}i")
        }
        _ => word.into(),
    }
}

/// Step 2.
fn with_single_suffix(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("alli").filter(|stem| measure(stem) > 0) {
        return with_single_suffix(&format!("{stem}al"));
    }
    if let Some(stem) = word.strip_suffix("ogi").filter(|stem| stem.ends_with('l')) {
        // Here the `l` counts as the stem's, so that short stems such as `geo` lose their ending.
        return if measure(stem) > 0 { format!("{stem}og") } else { word.into() };
    }
    replaced(word, &DOUBLE_SUFFIXES)
}

/// Step 4.
fn without_last_suffix(word: &str) -> String {
    let stems = LAST_SUFFIXES.iter().find_map(|suffix| Some((word.strip_suffix(suffix)?, *suffix)));
    match stems {
        Some((stem, "ion")) if !stem.ends_with(['s', 't']) => word.into(),
        Some((stem, _)) if measure(stem) > 1 => stem.into(),
        _ => word.into(),
    }
}

/// Step 5a.
fn without_final_e(word: &str) -> &str {
    match word.strip_suffix('e') {
        Some(stem) if measure(stem) > 1 => stem,
        Some(stem) if measure(stem) == 1 && !ends_short(stem) => stem,
        _ => word,
    }
}

/// Step 5b.
fn without_double_l(word: &str) -> &str {
    let shorter = &word[..word.len().saturating_sub(1)];
    if word.ends_with("ll") && measure(shorter) > 1 { shorter } else { word }
}

/// The first suffix that the word has decides: it is replaced where its stem has a measure above 0.
fn replaced(word: &str, rules: &[(&str, &str)]) -> String {
    let stem = |(suffix, with): &(&str, &str)| Some((word.strip_suffix(suffix)?, with.to_string()));
    match rules.iter().find_map(stem) {
        Some((stem, with)) if measure(stem) > 0 => format!("{stem}{with}"),
        _ => word.into(),
    }
}

/// For each letter whether it is a consonant: `y` is one at the beginning and after a vowel.
fn consonants(word: &str) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(word.len());
    for letter in word.bytes() {
        let flag = match letter {
            b'a' | b'e' | b'i' | b'o' | b'u' => false,
            b'y' => flags.last().is_none_or(|before| !before),
            _ => true,
        };
        flags.push(flag);
    }
    flags
}

/// How often vowels are followed by a consonant.
fn measure(stem: &str) -> usize {
    consonants(stem).windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

fn has_vowel(stem: &str) -> bool {
    consonants(stem).contains(&false)
}

fn ends_with_double_consonant(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() >= 2
        && bytes[bytes.len() - 1] == bytes[bytes.len() - 2]
        && consonants(word).last() == Some(&true)
}

/// Consonant, vowel, consonant at the end, the last not `w`, `x` or `y`; or a word of a vowel and a consonant.
fn ends_short(word: &str) -> bool {
    match consonants(word).as_slice() {
        [false, true] => true,
        [.., true, false, true] => !word.ends_with(['w', 'x', 'y']),
        _ => false,
    }
}
