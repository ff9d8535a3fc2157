//! Restoring: collections of a snapshot are copied under new numbers without a name, and one batch gives them their names.
//!
//! Until that batch, nothing has changed for anyone; after it, everything has. A restore that is killed leaves keys without
//! a name, which the next open removes.

use super::{STORE, verify};
use crate::{
    Access, CollectionInfo, Durability, Engine, EngineOptions, Patience,
    engine::load,
    error::{EngineError, Result},
    live::{LiveCollection, parse_description, renamed},
    read::count_ids,
    rebuild::Work,
    schema::Schema,
    store::{Batch, CollectionId, Store, key::Family},
};

/// Bytes of one batch of a copy.
const COPY_BYTES: u64 = 4 << 20;

/// A collection of the snapshot, and what it becomes.
struct Copied {
    number: CollectionId,
    name: String,
    description: String,
}

/// A collection of the snapshot to restore.
struct Wanted {
    number: CollectionId,
    name: String,
    description: String,
}

impl Engine {
    /// Puts the collections of a snapshot in place of those of the same names; collections that it does not hold stay as
    /// they are. With `only`, one collection; with `as_name` too, under another name.
    ///
    /// The snapshot is verified first, and refused with the file named where it differs. Searches and writes go on
    /// meanwhile; what is written to a replaced collection until the exchange is gone after it.
    pub fn restore_snapshot(
        &self,
        name: &str,
        only: Option<&str>,
        as_name: Option<&str>,
        patience: &Patience,
    ) -> Result<Vec<CollectionInfo>> {
        let folder = self.snapshot_folder(name)?;
        if let Some(as_name) = as_name {
            crate::collection::check_name(as_name)?;
            if only.is_none() {
                let reason = "a new name needs the one collection that gets it";
                return Err(EngineError::invalid("as_name", reason));
            }
        }
        let _turn = self.schema_turn();
        let manifest = verify(&folder, patience)?;
        self.store.check_room(manifest.bytes())?;
        let reading = EngineOptions { access: Access::ReadOnly, ..self.options.clone() };
        let source = Store::open(&folder.join(STORE), &reading)?;
        let wanted = self.wanted(&source, only, as_name)?;
        let mut copied = Vec::with_capacity(wanted.len());
        for Wanted { number, name, description } in wanted {
            match self.copy(&source, number, patience) {
                Ok(number) => {
                    let description = renamed(&description, number, &name)?;
                    copied.push(Copied { number, name, description });
                }
                Err(error) => {
                    self.forget_copies(&copied);
                    return Err(error);
                }
            }
        }
        let installed = self.loaded(&copied, patience);
        if installed.is_err() {
            self.forget_copies(&copied);
        }
        self.exchange(copied, installed?)
    }

    /// Number and description of the collections to restore.
    fn wanted(
        &self,
        source: &Store,
        only: Option<&str>,
        as_name: Option<&str>,
    ) -> Result<Vec<Wanted>> {
        let mut wanted = Vec::new();
        for description in source.view().collections()? {
            let (number, info) = parse_description(&description)?;
            if only.is_some_and(|only| only != info.config.name) {
                continue;
            }
            LiveCollection::empty(number, info.clone(), Schema::default(), &self.indexing())?
                .check_model(self.encoder().info())?;
            let name = as_name.map_or(info.config.name, str::to_owned);
            wanted.push(Wanted { number, name, description });
        }
        match (wanted.is_empty(), only) {
            (true, Some(only)) => Err(EngineError::CollectionNotFound { name: only.to_owned() }),
            _ => Ok(wanted),
        }
    }

    /// Copies all keys of a collection under a new number.
    fn copy(
        &self,
        source: &Store,
        from: CollectionId,
        patience: &Patience,
    ) -> Result<CollectionId> {
        let to = self.store.view().next_collection()?;
        let mut batch = Batch::new(&self.store);
        batch.put_next_collection(CollectionId(to.0 + 1))?;
        batch.write(Durability::Fsync)?;
        let copied = self.copy_keys(source, from, to, patience);
        if copied.is_err() {
            // Else the next open removes it.
            let _ = self.store.remove_contents(to);
        }
        copied.map(|()| to)
    }

    fn copy_keys(
        &self,
        source: &Store,
        from: CollectionId,
        to: CollectionId,
        patience: &Patience,
    ) -> Result<()> {
        let view = source.view();
        let mut batch = Batch::new(&self.store);
        for family in Family::DATA {
            for entry in view.stored(family, from)? {
                let (key, value) = entry?;
                batch.put_raw(family, to.own_key(&key), &value)?;
                if batch.bytes() >= COPY_BYTES {
                    patience.check()?;
                    self.store.check_room(batch.bytes())?;
                    std::mem::replace(&mut batch, Batch::new(&self.store))
                        .write(Durability::Wal)?;
                }
            }
        }
        patience.check()?;
        batch.write(Durability::Wal)?;
        let (before, after) = (count_ids(&view, from)?, count_ids(&self.store.view(), to)?);
        if before == after {
            return Ok(());
        }
        let reason = format!("{before} records in the snapshot, {after} copied");
        Err(EngineError::corrupt("restored collection", reason))
    }

    fn forget_copies(&self, copied: &[Copied]) {
        for copy in copied {
            // Else the next open removes it.
            let _ = self.store.remove_contents(copy.number);
        }
    }

    /// The copies as they will be searched.
    fn loaded(&self, copied: &[Copied], patience: &Patience) -> Result<Vec<LiveCollection>> {
        let stop = self.stop_for(patience);
        let load = |copy: &Copied| {
            let live = LiveCollection::described(&copy.description, &self.indexing(), &self.store)?;
            load(&live, &Work::new(&self.store, &self.budget, &stop))?;
            patience.check()?;
            Ok(live)
        };
        copied.iter().map(load).collect()
    }

    /// Gives the copies their names, in one batch that is on the disk when it returns.
    fn exchange(
        &self,
        copied: Vec<Copied>,
        installed: Vec<LiveCollection>,
    ) -> Result<Vec<CollectionInfo>> {
        let replaced: Vec<_> =
            copied.iter().filter_map(|copy| self.live(&copy.name).ok()).collect();
        // Writers of the old collections wait here, and are then told that these are gone.
        let mut turns = replaced.iter().map(|live| live.writer()).collect::<Result<Vec<_>>>()?;
        let mut batch = Batch::new(&self.store);
        for live in &replaced {
            batch.remove_contents(live.number)?;
        }
        for copy in &copied {
            batch.put_collection(&copy.name, &copy.description)?;
        }
        batch.write(Durability::Fsync)?;
        turns.iter_mut().for_each(|turn| turn.close());
        let infos = installed.iter().map(LiveCollection::current_info).collect();
        self.install(installed);
        Ok(infos)
    }
}
