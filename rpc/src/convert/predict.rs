//! Property heads and what they predict.

use moiety_engine::{Head, HeadPrediction, HeadSpec, TaskKind};
use moiety_proto::v1 as wire;
use wire::task_prediction::Prediction;

/// What a head says about one molecule.
pub fn prediction_to_wire(head: &Head, prediction: &HeadPrediction) -> wire::HeadPrediction {
    let spec = head.spec();
    let number = |value: f32| match spec.kind {
        TaskKind::Classification => Prediction::Probability(value.into()),
        TaskKind::Regression => Prediction::Value(value.into()),
    };
    let tasks = spec.tasks.iter().zip(&prediction.values).map(|(task, &value)| {
        wire::TaskPrediction { task: task.clone(), prediction: Some(number(value)) }
    });
    let domain = if prediction.domain.far { wire::Domain::Far } else { wire::Domain::Near };
    wire::HeadPrediction {
        head: spec.name.clone(),
        tasks: tasks.collect(),
        nearest_similarity: prediction.domain.nearest,
        domain: domain.into(),
    }
}

/// What a head says about itself.
pub fn head_to_wire(spec: &HeadSpec) -> wire::HeadInfo {
    let kind = match spec.kind {
        TaskKind::Classification => wire::HeadKind::Classification,
        TaskKind::Regression => wire::HeadKind::Regression,
    };
    wire::HeadInfo {
        name: spec.name.clone(),
        title: spec.title.clone(),
        tasks: spec.tasks.clone(),
        kind: kind.into(),
        unit: spec.unit.clone(),
        far_below: spec.far_below,
        quality: Some(wire::HeadQuality {
            metric: spec.quality.metric.clone(),
            mean: spec.quality.mean,
            deviation: spec.quality.deviation,
            training_molecules: spec.data.split[0] as u32,
        }),
        limits: spec.limits.clone(),
    }
}
