//! Scaffold splits: what a head is tested on has other ring systems than what it learned from.
//!
//! As in MoleculeNet (arXiv 1703.00564) and DeepChem's `ScaffoldSplitter`: groups of one scaffold are taken from the
//! largest to the smallest, the later of two of one size first, and go to the first part that still has room. There is
//! no chance in it.

use std::collections::HashMap;

/// Rows of a set by part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Rows to learn from.
    pub train: Vec<usize>,
    /// Rows to choose by.
    pub validation: Vec<usize>,
    /// Rows to report on.
    pub test: Vec<usize>,
}

/// Splits rows by their scaffolds, with `train` and `validation` as shares of all rows and the rest as test.
///
/// Molecules without a ring have the empty scaffold and stay together.
pub fn scaffold_split(scaffolds: &[String], train: f64, validation: f64) -> Split {
    let rows = scaffolds.len() as f64;
    let (train_end, validation_end) = (train * rows, (train + validation) * rows);
    let mut split = Split::default();
    for group in groups(scaffolds) {
        if (split.train.len() + group.len()) as f64 <= train_end {
            split.train.extend(group);
        } else if (split.train.len() + split.validation.len() + group.len()) as f64
            <= validation_end
        {
            split.validation.extend(group);
        } else {
            split.test.extend(group);
        }
    }
    split
}

/// Rows of one scaffold each, in the order in which they are given away.
fn groups(scaffolds: &[String]) -> Vec<Vec<usize>> {
    let mut by_scaffold: HashMap<&str, Vec<usize>> = HashMap::new();
    for (row, scaffold) in scaffolds.iter().enumerate() {
        by_scaffold.entry(scaffold).or_default().push(row);
    }
    let mut groups: Vec<Vec<usize>> = by_scaffold.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse((group.len(), group[0])));
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn groups_go_from_the_largest_to_the_first_part_with_room() {
        // Six of `a`, two of `c`, and single rows, the later first: worked by DeepChem's rule on paper.
        let scaffolds = named(&["a", "b", "a", "c", "a", "c", "a", "d", "a", "a"]);
        let split = scaffold_split(&scaffolds, 0.8, 0.1);
        assert_eq!(split.train, [0, 2, 4, 6, 8, 9, 3, 5]);
        assert_eq!((split.validation, split.test), (vec![7], vec![1]));
    }

    #[test]
    fn a_group_that_does_not_fit_is_passed_on_whole() {
        let scaffolds = named(&["a", "a", "a", "a", "a", "b", "b", "b", "b", "b"]);
        let split = scaffold_split(&scaffolds, 0.8, 0.1);
        assert_eq!(split.train, [5, 6, 7, 8, 9]);
        assert_eq!((split.validation.len(), split.test), (0, vec![0, 1, 2, 3, 4]));
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_part_and_no_scaffold_in_two(names in prop::collection::vec("[a-e]{0,2}", 0..120)) {
            let split = scaffold_split(&names, 0.8, 0.1);
            prop_assert_eq!(&split, &scaffold_split(&names, 0.8, 0.1));
            let mut all: Vec<usize> =
                [&split.train, &split.validation, &split.test].into_iter().flatten().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..names.len()).collect::<Vec<_>>());
            let has = |part: &[usize], name: &str| part.iter().any(|&row| names[row] == name);
            for name in &names {
                let parts = [&split.train, &split.validation, &split.test];
                prop_assert_eq!(parts.into_iter().filter(|part| has(part, name)).count(), 1);
            }
            prop_assert!(split.train.len() as f64 <= 0.8 * names.len() as f64);
        }
    }
}
