//! How filters were answered, on the wire.

use moiety_engine::{AccessPath, ConditionPlan, FilterExplanation, FilterPlan, Strategy};
use moiety_proto::v1 as wire;

/// How a filter was answered.
pub fn filter_plan_to_wire(plan: FilterPlan) -> wire::FilterPlan {
    let (strategy, ef) = match plan.strategy {
        Strategy::Among => (wire::FilterStrategy::Among, 0),
        Strategy::Scan => (wire::FilterStrategy::Scan, 0),
        Strategy::Graph { ef } => (wire::FilterStrategy::Graph, ef),
        Strategy::OverFetch { ef } => (wire::FilterStrategy::OverFetch, ef),
        Strategy::List => (wire::FilterStrategy::List, 0),
    };
    wire::FilterPlan {
        strategy: strategy.into(),
        ef_search: u32::try_from(ef).unwrap_or(u32::MAX),
        conditions: plan.conditions.into_iter().map(condition_to_wire).collect(),
        records: plan.records,
        possible: plan.possible,
        certain: plan.certain,
        estimated: plan.estimated,
        actual: plan.actual,
        tested: plan.tested,
        warnings: plan.warnings,
    }
}

/// What a filter says of one record.
pub fn filter_explanation_to_wire(explanation: FilterExplanation) -> wire::FilterExplanation {
    wire::FilterExplanation {
        verdict: verdict(explanation.passes).into(),
        conditions: explanation.holds.into_iter().map(|holds| verdict(holds).into()).collect(),
        plan: Some(filter_plan_to_wire(explanation.plan)),
    }
}

fn condition_to_wire(condition: ConditionPlan) -> wire::ConditionPlan {
    let (access, index) = match condition.access {
        AccessPath::Index { field } => (wire::FilterAccess::Index, field),
        AccessPath::Fingerprints => (wire::FilterAccess::Fingerprints, String::new()),
        AccessPath::Screen => (wire::FilterAccess::Screen, String::new()),
        AccessPath::Records => (wire::FilterAccess::Records, String::new()),
    };
    wire::ConditionPlan {
        path: condition.path,
        text: condition.text,
        access: access.into(),
        index,
        admits: condition.admits,
    }
}

fn verdict(passes: bool) -> wire::FilterVerdict {
    if passes { wire::FilterVerdict::Passes } else { wire::FilterVerdict::Fails }
}
