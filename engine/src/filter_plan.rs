//! What was done to answer a filter, for a person who wants to know why a call is slow or an answer exact.

/// How a filter was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterPlan {
    /// How the records were found.
    pub strategy: Strategy,
    /// Each condition in the order of the filter, with what its index said.
    pub conditions: Vec<ConditionPlan>,
    /// Live records of the collection.
    pub records: u64,
    /// Records that the indexes together admit.
    pub possible: u64,
    /// Those of them that surely pass, so that they need not be tested.
    pub certain: u64,
    /// Records that were expected to pass when the strategy was chosen.
    pub estimated: u64,
    /// Records that do pass; absent where not all were looked at.
    pub actual: Option<u64>,
    /// Records that were read and tested.
    pub tested: u64,
    /// Where nothing passed: the fields of the filter that no record has.
    pub warnings: Vec<String>,
}

/// How the records that pass were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// What the indexes admit was compared with the query nearest first, and tested until enough passed: exact.
    Among,
    /// Every vector was compared, and what came near was tested: exact.
    Scan,
    /// The graph was walked with this width, asking on the way what the indexes admit, and what it found was tested.
    Graph {
        /// Width of the search.
        ef: usize,
    },
    /// No index left out enough: the graph was searched with this width, wider by as much as fails, and what it found was
    /// tested.
    OverFetch {
        /// Width of the search.
        ef: usize,
    },
    /// There was no query: what the indexes admit was gone through, and tested where they are not sure.
    List,
}

/// How one condition was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionPlan {
    /// Where it stands in the filter, as errors name it (`filter.must[2]`).
    pub path: String,
    /// The condition as text.
    pub text: String,
    /// What answered it.
    pub access: AccessPath,
    /// Records that it admits among those that the conditions before it left; absent where records must be read to know, or
    /// where there are more than reading the index is worth.
    pub admits: Option<u64>,
}

/// What answers a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessPath {
    /// The index of a field.
    Index {
        /// The field.
        field: String,
    },
    /// The stored Morgan fingerprints.
    Fingerprints,
    /// The stored screen, and then the molecule itself.
    Screen,
    /// The records, read one by one: an index on the field would help.
    Records,
}
