//! Property prediction: what the loaded heads say about structures, without storing anything.

use moiety_chem::{Molecule, Structure};
use moiety_encoder::{
    EncoderError,
    property::{Head, HeadPrediction, Heads},
};

use crate::{
    Engine, ItemEncodingError, Patience,
    encode::some_at_a_time,
    error::{EngineError, Result},
};

/// What heads say about a batch.
#[derive(Debug)]
pub struct Predictions<'a> {
    /// The heads that were asked, in order.
    pub heads: Vec<&'a Head>,
    /// For each structure one prediction per head, or why it cannot be read.
    pub items: Vec<std::result::Result<Vec<HeadPrediction>, ItemEncodingError>>,
}

impl Engine {
    /// Gives the engine heads to predict with.
    ///
    /// # Errors
    /// [`EncoderError::ForeignHead`] where a head was fitted on another encoder.
    pub fn with_heads(mut self, heads: Heads) -> Result<Self> {
        let loaded = &self.encoder().info().fingerprint;
        for head in heads.iter().map(Head::spec) {
            if head.encoder_fingerprint != *loaded {
                return Err(EngineError::Encoder(EncoderError::ForeignHead {
                    head: head.name.clone(),
                    fitted: head.encoder_fingerprint.clone(),
                    loaded: loaded.clone(),
                }));
            }
        }
        self.heads = heads;
        Ok(self)
    }

    /// The heads it predicts with.
    pub fn heads(&self) -> &Heads {
        &self.heads
    }

    /// Predicts with the heads of these names, or with all where none is named; structures are read as an upsert reads
    /// them, and one that cannot be read does not keep the others from being predicted.
    ///
    /// # Errors
    /// No head is loaded, a name is not that of a head, or is given twice, or the caller's patience ended.
    pub fn predict(
        &self,
        structures: &[Structure],
        names: &[String],
        patience: &Patience,
    ) -> Result<Predictions<'_>> {
        let heads = self.chosen(names)?;
        let predict = |molecules: &[&Molecule]| {
            let encode = || self.encoder().encode_molecules(molecules);
            let encodings = self.bulk.run(molecules.len(), encode)?;
            Ok(Heads::predict(&heads, molecules, &encodings))
        };
        let items = some_at_a_time(structures, patience, |s| self.readable(s), predict)?;
        Ok(Predictions { heads, items })
    }

    fn chosen(&self, names: &[String]) -> Result<Vec<&Head>> {
        if self.heads.is_empty() {
            return Err(EngineError::NoHeads);
        }
        let mut chosen: Vec<&Head> = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let field = || format!("heads[{at}]");
            let head = self.heads.get(name).ok_or_else(|| {
                let known: Vec<&str> = self.heads.iter().map(|h| h.spec().name.as_str()).collect();
                let known = known.join(", ");
                EngineError::invalid(field(), format!("no head of this name; loaded are {known}"))
            })?;
            if chosen.iter().any(|earlier| earlier.spec().name == *name) {
                return Err(EngineError::invalid(field(), "named twice; name each head once"));
            }
            chosen.push(head);
        }
        Ok(if names.is_empty() { self.heads.iter().collect() } else { chosen })
    }
}
