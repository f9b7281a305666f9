//! Tellers: transactional producers of the rdkafka crate, which note what they were told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use crate::book::Book;
use crate::common::support::Random;
use crate::judge::{ACCOUNTS, Id, Leg, Outcome};

/// One call, after which it is made again.
const CALL: Duration = Duration::from_secs(5);
/// Longer than the server and the listener are ever away.
const PATIENCE: Duration = Duration::from_mins(3);

impl ClientContext for Book {}

impl ProducerContext for Book {
    type DeliveryOpaque = Box<Leg>;

    fn delivery(&self, result: &DeliveryResult<'_>, leg: Self::DeliveryOpaque) {
        // A repeated batch may be acknowledged without an offset.
        if let Ok(message) = result
            && message.offset() >= 0
        {
            self.acknowledged(leg.id, leg.number, message.offset());
        }
    }
}

type Client = ThreadedProducer<Book>;

/// What it was told lets no producer go on: a new one takes over.
struct Lost(String);

impl From<KafkaError> for Lost {
    fn from(error: KafkaError) -> Self {
        Lost(error.to_string())
    }
}

pub(crate) struct Teller {
    number: u16,
    address: String,
    topic: String,
    book: Book,
    random: Random,
    begun: u32,
}

impl Teller {
    pub(crate) fn new(number: u16, address: &str, topic: &str, book: &Book) -> Self {
        Teller {
            number,
            address: address.to_owned(),
            topic: topic.to_owned(),
            book: book.clone(),
            random: Random::new(number.into()),
            begun: 0,
        }
    }

    /// Leaves no transaction open.
    pub(crate) fn work(mut self, stop: &AtomicBool) {
        let mut client = self.take_over();
        while !stop.load(Ordering::Relaxed) {
            if let Err(Lost(why)) = self.transaction(&client) {
                self.book.lost(why);
                client = self.take_over();
            }
        }
        drop(client);
        drop(self.take_over());
    }

    /// One record for each partition, the last ones of all.
    pub(crate) fn close(mut self) {
        let client = self.take_over();
        let accounts = [0, 1, 2, 3].map(|account| (account, [1, -1][usize::from(account) % 2]));
        let id = self.begin(&accounts);
        let done = self
            .fill(&client, id)
            .and_then(|()| self.commit(&client, id));
        assert!(
            done.is_ok(),
            "{}",
            done.err().map_or(String::new(), |e| e.0)
        );
    }

    /// A new producer with this teller's transactional id: what the last one has left is
    /// aborted, and that one can do nothing any more.
    fn take_over(&self) -> Client {
        let until = Instant::now() + PATIENCE;
        loop {
            let client: Client = ClientConfig::new()
                .set("bootstrap.servers", &self.address)
                .set("transactional.id", format!("teller-{}", self.number))
                .set("linger.ms", "0")
                .set("reconnect.backoff.ms", "10")
                .set("reconnect.backoff.max.ms", "200")
                .set("retry.backoff.ms", "20")
                .create_with_context(self.book.clone())
                .unwrap();
            let initiated = repeat(|| client.init_transactions(CALL));
            match initiated {
                Ok(()) => return client,
                Err(error) => assert!(Instant::now() < until, "{}: {error}", self.number),
            }
        }
    }

    fn transaction(&mut self, client: &Client) -> Result<(), Lost> {
        let id = self.draw();
        match self.random.below(100) {
            0..20 => {
                self.fill(client, id)?;
                // All is acknowledged before. Of a record that waits for being sent again
                // librdkafka's abort makes nothing, and gives the next record its sequence
                // number; the broker takes that one for a repetition.
                flush(client)?;
                Ok(repeat(|| client.abort_transaction(CALL))?)
            }
            20..23 => {
                self.fill(client, id)?;
                Err(Lost("left on purpose".to_owned()))
            }
            23..25 => {
                self.fill(client, id)?;
                self.commit_too_late(client)
            }
            25..28 => {
                self.fill(client, id)?;
                self.commit_and_go(client, id)
            }
            _ => self.fill(client, id).and_then(|()| self.commit(client, id)),
        }
    }

    /// Mostly one transfer, sometimes several.
    fn draw(&mut self) -> Id {
        let transfers = if self.random.percent(70) {
            1
        } else {
            2 + self.random.below(4)
        };
        let mut changes = Vec::new();
        for _ in 0..transfers {
            let amount = 1 + self.random.below(100) as i64;
            let from = self.random.below(ACCOUNTS.into()) as u8;
            let other = 1 + self.random.below(u64::from(ACCOUNTS) - 1) as u8;
            changes.push((from, -amount));
            changes.push(((from + other) % ACCOUNTS, amount));
        }
        self.begin(&changes)
    }

    fn begin(&mut self, changes: &[(u8, i64)]) -> Id {
        let id = (self.number, self.begun);
        self.begun += 1;
        self.book.begin(id, changes);
        id
    }

    fn fill(&mut self, client: &Client, id: Id) -> Result<(), Lost> {
        client.begin_transaction()?;
        let legs = self.book.pages().transactions[&id].legs.clone();
        for leg in legs {
            let value = leg.to_string();
            let record: BaseRecord<'_, (), str, _> =
                BaseRecord::with_opaque_to(&self.topic, Box::new(leg))
                    .partition(leg.partition())
                    .payload(&value);
            client.send(record).map_err(|(error, _)| error)?;
            if self.random.percent(20) {
                std::thread::sleep(Duration::from_millis(self.random.below(30)));
            }
        }
        Ok(())
    }

    fn commit(&self, client: &Client, id: Id) -> Result<(), Lost> {
        flush(client)?;
        self.book.now(id, Outcome::Unknown);
        match repeat(|| client.commit_transaction(CALL)) {
            Ok(()) => {
                self.book.now(id, Outcome::Committed);
                Ok(())
            }
            Err(KafkaError::Transaction(error)) if error.txn_requires_abort() => {
                repeat(|| client.abort_transaction(CALL))?;
                self.book.now(id, Outcome::Aborted);
                Err(Lost(format!("aborted: {error}")))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Without waiting for the answer: whether it is committed it will never know.
    fn commit_and_go(&mut self, client: &Client, id: Id) -> Result<(), Lost> {
        flush(client)?;
        self.book.now(id, Outcome::Unknown);
        let wait = Duration::from_millis(self.random.below(10));
        if client.commit_transaction(wait).is_ok() {
            self.book.now(id, Outcome::Committed);
        }
        Err(Lost("gone on purpose".to_owned()))
    }

    /// Another one takes over before this one commits, which then must not succeed.
    fn commit_too_late(&self, client: &Client) -> Result<(), Lost> {
        flush(client)?;
        drop(self.take_over());
        let committed = repeat(|| client.commit_transaction(CALL));
        assert!(committed.is_err(), "{} is not fenced", self.number);
        Err(Lost("fenced on purpose".to_owned()))
    }
}

/// The crate's own flush waits in steps of 100 ms, so that transactions would hardly meet.
fn flush(client: &Client) -> KafkaResult<()> {
    let until = Instant::now() + CALL;
    while client.in_flight_count() > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    repeat(|| client.flush(CALL))
}

/// Calls again as long as the client says that this may help.
fn repeat(call: impl Fn() -> KafkaResult<()>) -> KafkaResult<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        match call() {
            Err(KafkaError::Transaction(error))
                if error.is_retriable() && Instant::now() < until => {}
            Err(KafkaError::Flush(_)) if Instant::now() < until => {}
            result => return result,
        }
    }
}
