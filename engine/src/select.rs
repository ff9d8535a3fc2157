//! What the indexes say of a filter before a record is read: which records may pass, and which surely do.
//!
//! Every part of a filter becomes two sets, one that holds every record that passes and one that holds only such. "Not"
//! exchanges them. A condition without an index admits everything and is sure of nothing; so does one that admits more
//! than a bound, because reading the index would then cost more than testing the candidates.

use std::sync::Arc;

use moiety_chem::{Fingerprint, Screen};
use moiety_index::GoOn;

use crate::{
    AccessPath, ConditionPlan, Patience,
    error::Result,
    fields::Versions,
    filter::{Leaf, Node, Prepared, Test},
    live::LiveCollection,
    live_prints::PrintsMoment,
    lookup::{self, Lookup},
    prints::{Prints, words},
    schema::Schema,
    store::View,
};

/// With so few records left, testing them is cheaper than asking another index.
const FEW: u64 = 64;
/// In the store, up to so many records their fingerprints are read one by one, beyond it all in order.
const READ_PRINTS: u64 = 20_000;

/// In memory, they are looked up one by one where more than so many times as many would be compared.
const SCAN_SHARE: u64 = 16;
/// An index that admits more than this share of all records leaves out less than it costs to read: its records are tested as
/// they come near (`filter_table`: a tenth of 100,000 records cost 14 times a search without a filter through the index and 10
/// times without it, and exact at that; half cost 5 times without it, and far more through it).
const MOST_READ: f64 = 0.25;
/// Of indexes that have fewer bytes on the disk nothing is estimated: they are read in no time.
const LEAST_BYTES: u64 = 64 << 10;
/// Entries of an index, or fingerprints, between two looks at the caller's patience.
const BETWEEN_LOOKS: u64 = 1_024;

/// What may pass and what surely does.
pub(crate) struct Selection {
    pub(crate) possible: Versions,
    pub(crate) certain: Versions,
    /// How each condition was answered, in the order of the filter.
    pub(crate) conditions: Vec<ConditionPlan>,
}

/// Asks the indexes; one that admits more than `bound` entries is not read to its end.
pub(crate) fn select(
    view: &View<'_>,
    live: &LiveCollection,
    filter: &Prepared,
    bound: u64,
    patience: &Patience,
) -> Result<Selection> {
    let conditions = filter.root.leaves().into_iter().map(unanswered).collect();
    let schema = live.fields.schema();
    // Before the versions are, so that what goes meanwhile still has its fingerprints.
    let prints = live.prints.moment();
    let mut asked = Asked { view, live, schema, prints, bound, patience, conditions };
    let all = live.fields.versions();
    let Sides { possible, certain } = asked.node(&filter.root, &all)?;
    Ok(Selection { possible, certain, conditions: asked.conditions })
}

/// A condition as if it had no index.
fn unanswered(leaf: &Leaf) -> ConditionPlan {
    let (path, text) = (leaf.path.clone(), leaf.text.clone());
    ConditionPlan { path, text, access: AccessPath::Records, admits: None }
}

/// Both sets of a part of the filter, within the records that it was asked for.
struct Sides {
    possible: Versions,
    certain: Versions,
}

struct Asked<'a> {
    view: &'a View<'a>,
    live: &'a LiveCollection,
    schema: Arc<Schema>,
    /// Fingerprints, where they are in memory.
    prints: Option<PrintsMoment>,
    bound: u64,
    patience: &'a Patience,
    conditions: Vec<ConditionPlan>,
}

impl Asked<'_> {
    fn node(&mut self, node: &Node, within: &Versions) -> Result<Sides> {
        match node {
            Node::Leaf(leaf) => self.leaf(leaf, within),
            Node::All(all) => self.all(all, within),
            Node::AtLeast(1, any) => self.any(any, within),
            Node::AtLeast(least, of) => self.at_least(*least, of, within),
            Node::Not(inner) => {
                let inner = self.node(inner, within)?;
                let possible = within - inner.certain;
                Ok(Sides { possible, certain: within - inner.possible })
            }
        }
    }

    /// The cheapest first, each within what the others left.
    fn all(&mut self, nodes: &[Node], within: &Versions) -> Result<Sides> {
        let mut order: Vec<&Node> = nodes.iter().collect();
        order.sort_by_key(|node| self.cost(node));
        let mut all = Sides { possible: within.clone(), certain: within.clone() };
        for node in order {
            if all.possible.is_empty() {
                break;
            }
            if all.possible.len() <= FEW && self.cost(node) > 0 {
                all.certain.clear();
                break;
            }
            let one = self.node(node, &all.possible)?;
            all.certain &= one.certain;
            all.possible = one.possible;
        }
        Ok(all)
    }

    fn any(&mut self, nodes: &[Node], within: &Versions) -> Result<Sides> {
        let mut any = Sides { possible: Versions::new(), certain: Versions::new() };
        for node in nodes {
            let one = self.node(node, within)?;
            any.possible |= one.possible;
            any.certain |= one.certain;
        }
        Ok(any)
    }

    /// `sets[j]`: records of which at least `j` parts admit them, counted part by part.
    fn at_least(&mut self, least: usize, nodes: &[Node], within: &Versions) -> Result<Sides> {
        let mut possible = vec![Versions::new(); least + 1];
        possible[0] = within.clone();
        let mut certain = possible.clone();
        for node in nodes {
            let one = self.node(node, within)?;
            for (sets, side) in [(&mut possible, &one.possible), (&mut certain, &one.certain)] {
                for j in (1..=least).rev() {
                    let more = &sets[j - 1] & side;
                    sets[j] |= more;
                }
            }
        }
        Ok(Sides {
            possible: possible.pop().unwrap_or_default(),
            certain: certain.pop().unwrap_or_default(),
        })
    }

    fn leaf(&mut self, leaf: &Leaf, within: &Versions) -> Result<Sides> {
        let (access, sides, counted) = match &leaf.test {
            Test::Substructure(pattern, _) => {
                let asked = Print::Contains(pattern.screen());
                (AccessPath::Screen, self.prints(within, asked)?, true)
            }
            Test::Similar(print, at_least) => {
                let asked = Print::Similar(print, *at_least);
                (AccessPath::Fingerprints, self.prints(within, asked)?, true)
            }
            test => match self.lookup(test) {
                None => (AccessPath::Records, open(within), false),
                Some((field, lookup)) => {
                    let access = AccessPath::Index { field };
                    match self.read(&lookup)? {
                        None => (access, open(within), false),
                        Some(found) => {
                            let possible = found & within;
                            let certain =
                                if lookup.recheck { Versions::new() } else { possible.clone() };
                            (access, Sides { possible, certain }, true)
                        }
                    }
                }
            },
        };
        let admits = counted.then(|| sides.possible.len());
        if let Some(plan) = self.conditions.iter_mut().find(|plan| plan.path == leaf.path) {
            (plan.access, plan.admits) = (access, admits);
        }
        Ok(sides)
    }

    /// 0 for what an index answers, more for what takes longer to ask.
    fn cost(&self, node: &Node) -> u8 {
        match node {
            Node::Leaf(leaf) => match &leaf.test {
                Test::Similar(..) => 2,
                Test::Substructure(..) => 3,
                test => {
                    if self.lookup(test).is_some() {
                        0
                    } else {
                        4
                    }
                }
            },
            Node::All(nodes) | Node::AtLeast(_, nodes) => {
                nodes.iter().map(|node| self.cost(node)).max().unwrap_or(0)
            }
            Node::Not(inner) => self.cost(inner),
        }
    }

    /// What to read of the index of the condition's field, if it has one that can answer.
    fn lookup(&self, test: &Test) -> Option<(String, Lookup)> {
        let (Test::OneOf(field, _)
        | Test::Number(field, ..)
        | Test::Time(field, ..)
        | Test::Words(field, _)
        | Test::Exists(field)) = test
        else {
            return None;
        };
        let index = self.schema.ready(field)?;
        let lookup = lookup::of(self.live.number, index, test)?;
        Some((index.spec.field.clone(), lookup))
    }

    /// Whether an index is better left alone, where a bound says that it may be.
    fn admits_most(&self, lookup: &Lookup, records: u64) -> Result<bool> {
        if self.bound == u64::MAX {
            return Ok(false);
        }
        let Some(entries) = self.view.estimated_entries(&lookup.ranges, LEAST_BYTES)? else {
            return Ok(false);
        };
        let admitted: Option<u64> = match lookup.intersect {
            true => entries.into_iter().min(),
            false => Some(entries.into_iter().sum()),
        };
        Ok(admitted.unwrap_or(0) as f64 > records as f64 * MOST_READ)
    }

    /// The versions that an index names; `None` beyond the bound, or where it leaves out too little.
    fn read(&self, lookup: &Lookup) -> Result<Option<Versions>> {
        if self.admits_most(lookup, self.live.records())? {
            return Ok(None);
        }
        let mut left = self.bound;
        let mut all: Option<Versions> = None;
        for range in &lookup.ranges {
            let mut found = Versions::new();
            for version in self.view.entries(range.clone())? {
                if left == 0 {
                    return Ok(None);
                }
                if left.is_multiple_of(BETWEEN_LOOKS) {
                    self.patience.check()?;
                }
                left -= 1;
                found.insert(version?);
            }
            all = Some(match all {
                None => found,
                Some(all) if lookup.intersect => all & found,
                Some(all) => all | found,
            });
        }
        Ok(Some(all.unwrap_or_default()))
    }

    /// What fingerprints admit; a version that has none is possible and not certain, unless it is known to have no molecule.
    fn prints(&self, within: &Versions, asked: Print<'_>) -> Result<Sides> {
        let (admitted, unsure) = match &self.prints {
            Some(held) => (self.in_memory(held, within, asked)?, held.unsure(within)),
            None => self.in_store(within, asked)?,
        };
        let admitted = admitted & within;
        let certain =
            if matches!(asked, Print::Similar(..)) { admitted.clone() } else { Versions::new() };
        Ok(Sides { possible: admitted | unsure, certain })
    }

    fn in_memory(
        &self,
        held: &PrintsMoment,
        within: &Versions,
        asked: Print<'_>,
    ) -> Result<Versions> {
        if within.len() * SCAN_SHARE < held.rows.len() as u64 {
            let mut admitted = Versions::new();
            for (count, version) in within.iter().enumerate() {
                if (count as u64).is_multiple_of(BETWEEN_LOOKS) {
                    self.patience.check()?;
                }
                if held.find(version).is_some_and(|prints| asked.admits(&prints)) {
                    admitted.insert(version);
                }
            }
            return Ok(admitted);
        }
        let ask = || self.patience.check().is_ok();
        let go_on = GoOn::while_true(&ask);
        let mut found = match asked {
            Print::Similar(print, at_least) => {
                held.rows.above(&words(&print.to_bytes()), at_least, go_on)?
            }
            Print::Contains(screen) => held.rows.containing(&words(&screen.to_bytes()), go_on)?,
        };
        found.sort_unstable();
        Ok(found.into_iter().collect())
    }

    /// What is admitted, and what has no fingerprints.
    fn in_store(&self, within: &Versions, asked: Print<'_>) -> Result<(Versions, Versions)> {
        let mut admitted = Versions::new();
        let mut seen = Versions::new();
        let mut take = |version: u64, prints: &Prints| {
            seen.insert(version);
            if asked.admits(prints) {
                admitted.insert(version);
            }
        };
        if within.len() <= READ_PRINTS {
            let versions: Vec<u64> = within.iter().collect();
            for versions in versions.chunks(512) {
                self.patience.check()?;
                let prints = self.view.prints(self.live.number, versions)?;
                let there = versions.iter().zip(&prints);
                there.for_each(|(version, prints)| {
                    prints.iter().for_each(|prints| take(*version, prints));
                });
            }
        } else {
            for (count, entry) in self.view.prints_from(self.live.number, 0)?.enumerate() {
                if (count as u64).is_multiple_of(BETWEEN_LOOKS) {
                    self.patience.check()?;
                }
                let (version, prints) = entry?;
                take(version, &prints);
            }
        }
        Ok((admitted, within - seen))
    }
}

/// What is asked of fingerprints.
#[derive(Clone, Copy)]
enum Print<'a> {
    /// The Morgan fingerprint is as similar as this.
    Similar(&'a Fingerprint, f32),
    /// The screen has every bit of this one.
    Contains(&'a Screen),
}

impl Print<'_> {
    fn admits(self, prints: &Prints) -> bool {
        match self {
            Self::Similar(print, at_least) => prints.morgan.tanimoto(print) >= at_least,
            Self::Contains(screen) => prints.screen.may_contain(screen),
        }
    }
}

/// Everything is possible and nothing certain.
fn open(within: &Versions) -> Sides {
    Sides { possible: within.clone(), certain: Versions::new() }
}
