//! What a reader sees of a partition: where it ends, and which batches are passed over.
use std::rc::Rc;

use kafka_core::batch::Batch;

use super::fetch::Isolation;
use crate::store::aborted::{self, Aborted};
use crate::store::log::Watermarks;
use crate::store::topic::Topic;

/// A partition as it is seen from the moment at which its watermarks were fixed.
pub(super) struct Visible {
    topic: Rc<Topic>,
    pub(super) partition: i32,
    isolation: Isolation,
    /// The first offset that is not to be read.
    pub(super) end: i64,
    /// Looked up when the first transactional batch comes.
    aborted: Option<Aborted>,
}

impl Visible {
    pub(super) fn new(
        topic: &Rc<Topic>,
        partition: i32,
        watermarks: &Watermarks,
        isolation: Isolation,
    ) -> Self {
        Self {
            topic: Rc::clone(topic),
            partition,
            isolation,
            end: isolation.end(topic, partition, watermarks),
            aborted: None,
        }
    }

    /// Whether the batch has no records for this reader. Batches come in the order of the log.
    pub(super) fn hides(&mut self, batch: &Batch<'_>) -> bool {
        if batch.is_control() {
            return true;
        }
        if self.isolation == Isolation::ReadUncommitted || !batch.is_transactional() {
            return false;
        }
        let (topic, partition, from) = (&self.topic, self.partition, batch.base_offset());
        let between = || {
            aborted::between(topic, partition, from, self.end)
                .into_iter()
                .collect()
        };
        self.aborted
            .get_or_insert_with(between)
            .contains(batch.producer_id(), from)
    }
}
