//! Health of each collection, as `moiety.v1.collection/NAME` of the health service.
//!
//! SERVING means that its vectors are in memory. Before that its searches are answered too, exactly and slowly.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use moiety_engine::{Engine, Readiness};
use tonic_health::{ServingStatus, server::HealthReporter};

/// Before the name of a collection.
const PREFIX: &str = "moiety.v1.collection/";
/// How often it looks.
const PAUSE: Duration = Duration::from_millis(250);

/// Reports until the server shuts down, which `ended` tells; then takes back what it said.
pub(crate) async fn report(
    engine: Arc<Engine>,
    mut reporter: HealthReporter,
    mut ended: tokio::sync::watch::Receiver<bool>,
) {
    let mut known = BTreeSet::new();
    loop {
        let now: BTreeSet<String> =
            engine.list_collections().into_iter().map(|info| info.config.name).collect();
        for gone in known.difference(&now) {
            reporter.clear_service_status(&service(gone)).await;
        }
        for name in &now {
            // One that was dropped a moment ago is cleared the next time.
            let Ok(readiness) = engine.readiness(name) else { continue };
            let status = match readiness {
                Readiness::OnDisk | Readiness::Loading => ServingStatus::NotServing,
                Readiness::Linking | Readiness::Ready => ServingStatus::Serving,
            };
            reporter.set_service_status(service(name), status).await;
        }
        known = now;
        tokio::select! {
            _ = ended.wait_for(|ended| *ended) => break,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    for name in known {
        reporter.set_service_status(service(&name), ServingStatus::NotServing).await;
        reporter.clear_service_status(&service(&name)).await;
    }
}

fn service(name: &str) -> String {
    format!("{PREFIX}{name}")
}
