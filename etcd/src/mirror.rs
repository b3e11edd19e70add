//! What one process knows of the line, and who is granted by that. Pure: it knows neither etcd nor time.
//!
//! The places are in the order of their creation revisions. A place is granted when it and all places in front of
//! it fit into the limit. Since places vanish, and new ones come at the end only, what is granted stays granted:
//! no answer from etcd is needed to confirm it. A mirror that lags behind grants later than another, never more:
//! it sees places in front that are gone, and it sees no place before etcd has it.
//!
//! When the limit falls, whoever was granted stays granted. So the granted places are always the first ones, up
//! to `granted_to`.

use std::collections::{BTreeMap, HashMap};

use crate::keys::PlaceId;

/// The creation revision of a place; and its name, should one transaction have created several.
type Position = (i64, PlaceId);

/// An event, by its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The limit was set. `None`: it was deleted, or is not a number.
    Limit(Option<u32>),
    /// A place was created at this revision, or its key written once more.
    Join {
        id: PlaceId,
        created: i64,
        weight: u32,
    },
    Leave(PlaceId),
}

/// One place in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: PlaceId,
    pub(crate) created: i64,
    pub(crate) weight: u32,
    pub(crate) is_granted: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Mirror {
    /// Everything up to this revision is in here.
    revision: i64,
    limit: Option<u32>,
    line: BTreeMap<Position, u32>,
    created: HashMap<PlaceId, i64>,
    /// The last place that was granted, whether or not it is still there.
    granted_to: Option<Position>,
    /// The weights of the granted places that are still there.
    granted: u64,
}

impl Mirror {
    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }

    pub(crate) fn limit(&self) -> Option<u32> {
        self.limit
    }

    /// How many permits are out.
    pub(crate) fn granted(&self) -> u64 {
        self.granted
    }

    /// How many permits are out or asked for.
    pub(crate) fn demand(&self) -> u64 {
        self.line.values().map(|&weight| u64::from(weight)).sum()
    }

    /// When a place was created, if it is there.
    pub(crate) fn created(&self, id: PlaceId) -> Option<i64> {
        self.created.get(&id).copied()
    }

    /// All places, in order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.line.iter().map(|(&position, &weight)| Entry {
            id: position.1,
            created: position.0,
            weight,
            is_granted: self.is_granted(position),
        })
    }

    /// Takes in what happened at a revision, and returns the places that are granted by it, in order.
    ///
    /// Changes are taken in one by one, as etcd ordered them. So all processes that see them grant the same places,
    /// however the changes reach them.
    pub(crate) fn apply(&mut self, revision: i64, change: Change) -> Vec<PlaceId> {
        // A watch that was started anew may repeat what is known.
        if revision < self.revision {
            return Vec::new();
        }
        self.revision = revision;
        match change {
            Change::Limit(limit) => self.limit = limit,
            Change::Join { id, created, weight } => {
                self.leave(id);
                self.join((created, id), weight);
            }
            Change::Leave(id) => self.leave(id),
        }
        self.advance()
    }

    /// Takes over the state at a revision, in place of the changes that led to it; returns what `apply` does.
    ///
    /// What a process granted stays granted, but what others granted meanwhile it cannot know: if the limit was higher for
    /// a while, places may be out that wait in this mirror. It grants them as soon as they fit, and none behind them before.
    ///
    /// An earlier revision is that of a store which was restored from a backup. There, nothing was granted that is known here.
    pub(crate) fn reset(
        &mut self,
        revision: i64,
        limit: Option<u32>,
        places: impl IntoIterator<Item = (PlaceId, i64, u32)>,
    ) -> Vec<PlaceId> {
        if revision < self.revision {
            self.granted_to = None;
        }
        self.revision = revision;
        self.limit = limit;
        self.line.clear();
        self.created.clear();
        self.granted = 0;
        for (id, created, weight) in places {
            self.join((created, id), weight);
        }
        self.advance()
    }

    /// Grants all places that fit now, in order, and returns them.
    fn advance(&mut self) -> Vec<PlaceId> {
        use std::ops::Bound::{Excluded, Unbounded};

        let limit = u64::from(self.limit.unwrap_or_default());
        let from = self.granted_to.map_or(Unbounded, Excluded);
        let mut granted = Vec::new();
        for (&position, &weight) in self.line.range((from, Unbounded)) {
            // The first one that does not fit is waited for: nobody overtakes it.
            if self.granted + u64::from(weight) > limit {
                break;
            }
            self.granted += u64::from(weight);
            self.granted_to = Some(position);
            granted.push(position.1);
        }
        granted
    }

    fn is_granted(&self, position: Position) -> bool {
        self.granted_to.is_some_and(|last| position <= last)
    }

    fn join(&mut self, position: Position, weight: u32) {
        self.line.insert(position, weight);
        self.created.insert(position.1, position.0);
        if self.is_granted(position) {
            self.granted += u64::from(weight);
        }
    }

    fn leave(&mut self, id: PlaceId) {
        if let Some(created) = self.created.remove(&id) {
            let position = (created, id);
            let weight = self.line.remove(&position).unwrap_or_default();
            if self.is_granted(position) {
                self.granted -= u64::from(weight);
            }
        }
    }
}

#[cfg(test)]
mod tests;
