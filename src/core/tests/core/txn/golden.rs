//! Random requests against Kafka's `TransactionCoordinator` (server of transaction version
//! 2). Where it answers `CONCURRENT_TRANSACTIONS` while it aborts an open transaction, the
//! table has the answer to the next try.

use kafka_core::KafkaError;
use kafka_core::marker::Outcome;
use kafka_core::txn::{Ended, Producer, Transaction, Version};

use super::{current, producer};

/// The partition number that stands for a group in the table.
const GROUP: i32 = 9;

/// One transactional id.
struct Coordinator {
    transaction: Option<Transaction>,
    next_producer_id: i64,
}

impl Coordinator {
    fn new() -> Self {
        Self {
            transaction: None,
            next_producer_id: 100,
        }
    }

    /// A request of the table, and what ends with it.
    fn request(&mut self, now: i64, tokens: &[&str]) -> (String, Option<Ended>) {
        let number = |at: usize| tokens[at].parse::<i64>().unwrap();
        let next_producer_id = &mut self.next_producer_id;
        let mut new_id = || {
            *next_producer_id += 1;
            *next_producer_id - 1
        };
        if tokens[0] == "init" && self.transaction.is_none() {
            let transaction = Transaction::new("tx", new_id(), number(1) as i32, now);
            self.transaction = Some(transaction);
        }
        let Some(transaction) = &mut self.transaction else {
            let answer = match tokens[0] {
                "time_out" => "-",
                _ => "INVALID_PRODUCER_ID_MAPPING",
            };
            return (answer.to_owned(), None);
        };
        let sender = |at: usize| producer(number(at), number(at + 1) as i16);
        match tokens[0] {
            "epoch" => {
                transaction.producer_epoch = number(1) as i16;
                ("-".to_owned(), None)
            }
            "time_out" => ("-".to_owned(), transaction.time_out(new_id, now)),
            "init" => {
                let going_on = Some(sender(2)).filter(|p| *p != producer(-1, -1));
                let (ended, answer) = transaction.init(number(1) as i32, going_on, new_id, now);
                (told(answer, Some(current(transaction))), ended)
            }
            "add" => {
                let added = add(transaction, sender(1), tokens[3], version(tokens[4]), now);
                (told(added, None), None)
            }
            "verify" => {
                let partition = (1, number(3) as i32);
                (
                    told(transaction.verify_partition(sender(1), partition), None),
                    None,
                )
            }
            "end" => {
                let version = version(tokens[4]);
                let outcome = match tokens[3] {
                    "commit" => Outcome::Commit,
                    _ => Outcome::Abort,
                };
                let (answer, ended) =
                    match transaction.end(sender(1), outcome, version, new_id, now) {
                        Ok(ended) => (Ok(()), ended),
                        Err(error) => (Err(error), None),
                    };
                // By version 1 the producer is not told.
                let told_producer = match version {
                    Version::V1 => producer(-1, -1),
                    Version::V2 => current(transaction),
                };
                (told(answer, Some(told_producer)), ended)
            }
            other => panic!("{other}"),
        }
    }

    /// As the table writes it.
    fn state(&self) -> String {
        let Some(t) = &self.transaction else {
            return "none".to_owned();
        };
        format!(
            "{} {} {} {} {} {} {} {} {} {}",
            t.state.name(),
            t.producer_id,
            t.producer_epoch,
            t.previous_producer_id,
            t.last_producer_epoch,
            t.timeout_ms,
            t.started_at,
            t.updated_at,
            members(
                t.partitions.iter().map(|(_, partition)| *partition),
                t.group_ids.len()
            ),
            t.version.number(),
        )
    }
}

fn add(
    transaction: &mut Transaction,
    sender: Producer,
    members: &str,
    version: Version,
    now: i64,
) -> Result<(), KafkaError> {
    let numbers = members.split(',').map(|n| n.parse::<i32>().unwrap());
    let (groups, partitions): (Vec<_>, Vec<_>) = numbers.partition(|n| *n == GROUP);
    if !groups.is_empty() {
        transaction.add_group(sender, "g", version, now)?;
    }
    if !partitions.is_empty() {
        let partitions = partitions.into_iter().map(|n| (1, n));
        transaction.add_partitions(sender, partitions, version, now)?;
    }
    Ok(())
}

fn version(token: &str) -> Version {
    Version::try_from(token.parse::<i16>().unwrap()).unwrap()
}

fn told(answer: Result<(), KafkaError>, producer: Option<Producer>) -> String {
    match (answer, producer) {
        (Ok(()), None) => "NONE".to_owned(),
        (Ok(()), Some(Producer { id, epoch })) => format!("NONE {id} {epoch}"),
        (Err(error), _) => match error {
            KafkaError::InvalidProducerIdMapping { .. } => "INVALID_PRODUCER_ID_MAPPING",
            KafkaError::ProducerFenced { .. } => "PRODUCER_FENCED",
            KafkaError::InvalidTxnState { .. } => "INVALID_TXN_STATE",
            KafkaError::TransactionAbortable { .. } => "TRANSACTION_ABORTABLE",
            other => panic!("{other:?}"),
        }
        .to_owned(),
    }
}

fn members(partitions: impl Iterator<Item = i32>, groups: usize) -> String {
    let numbers = partitions.chain((0..groups).map(|_| GROUP));
    let all: Vec<_> = numbers.map(|number| number.to_string()).collect();
    if all.is_empty() {
        return "-".to_owned();
    }
    all.join(",")
}

fn markers(ended: Option<&Ended>) -> String {
    let Some(ended) = ended else {
        return "-".to_owned();
    };
    let outcome = match ended.outcome {
        Outcome::Commit => "commit",
        Outcome::Abort => "abort",
    };
    let partitions = ended.partitions.iter().map(|(_, partition)| *partition);
    let all = members(partitions, ended.group_ids.len());
    let Producer { id, epoch } = ended.producer;
    format!("{outcome} {id} {epoch} {all}")
}

/// Each line of the table: the time, a request, Kafka's answer, the markers it writes, and
/// the state after that (version 0, which differs from 1 only in what Kafka stores, is
/// written 1), `=` for the one before.
#[test]
fn requests_are_answered_as_by_kafka() {
    let mut coordinator = Coordinator::new();
    let mut lines = 0;
    let mut state = String::new();
    for line in include_str!("../golden/java_transactions.txt").lines() {
        if line == "new" {
            coordinator = Coordinator::new();
            continue;
        }
        lines += 1;
        let parts: Vec<_> = line.split(" | ").collect();
        let (now, request) = parts[0].split_once(' ').unwrap();
        let tokens: Vec<_> = request.split(' ').collect();
        let (answer, ended) = coordinator.request(now.parse().unwrap(), &tokens);
        // Kafka fails where the epochs are used up and a producer names an older one.
        if parts[1] == "UNKNOWN_SERVER_ERROR" {
            continue;
        }
        assert_eq!(answer, parts[1], "{lines}: {line}");
        assert_eq!(markers(ended.as_ref()), parts[2], "{lines}: {line}");
        if parts[3] != "=" {
            parts[3].clone_into(&mut state);
        }
        assert_eq!(coordinator.state(), state, "{lines}: {line}");
    }
    assert_eq!(lines, 2024);
}
