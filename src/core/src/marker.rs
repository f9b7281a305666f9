//! Transaction markers: control batches that end a transaction in a partition (protocol
//! guide, section "Control Records"; KIP-98).

use crate::builder::{BatchBuilder, ProducerFields};

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Commit,
    Abort,
}

/// Version of a marker's key and of its value.
const VERSION: i16 = 0;

impl Outcome {
    /// The type in the marker's key.
    fn control_type(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
        }
    }
}

/// The marker as a batch of one record, to be stamped; `now` is in epoch milliseconds.
pub fn marker(
    outcome: Outcome,
    producer_id: i64,
    producer_epoch: i16,
    coordinator_epoch: i32,
    now: i64,
) -> Vec<u8> {
    let key = [VERSION, outcome.control_type()].map(i16::to_be_bytes);
    let mut value = VERSION.to_be_bytes().to_vec();
    value.extend_from_slice(&coordinator_epoch.to_be_bytes());
    let mut builder = BatchBuilder::new();
    builder.append(now, Some(key.as_flattened()), Some(&value), &[]);
    builder.build_control(ProducerFields {
        producer_id,
        epoch: producer_epoch,
        transactional: true,
        ..ProducerFields::default()
    })
}
