//! Transactions that produce through SQL, in every way that `PostgreSQL` can end them.

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use kafka_core::builder::{BatchBuilder, ProducerFields};
use kafka_core::codec::Codec;
use tokio::time::sleep;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use crate::judge::{PARTITIONS, Run, Token};
use crate::support::{Cluster, Random};

/// How this producer writes. One way each, so that its records have one order.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// `kafka.produce`, appended at commit.
    Deferred,
    /// The same, with `kafka.flush` inside the transaction.
    Flushed,
    /// A row trigger that produces.
    Trigger,
    /// `kafka.produce_batches`, appended at once.
    Batches,
}

struct Producer {
    run: Arc<Run>,
    number: u16,
    way: Way,
    random: Random,
    sent: u32,
}

pub(crate) async fn produce(run: Arc<Run>, primary: Arc<Cluster>, number: u16) {
    let way = [Way::Deferred, Way::Batches, Way::Flushed, Way::Trigger]
        [usize::from(number / 4 + number) % 4];
    let mut producer = Producer {
        run,
        number,
        way,
        random: Random::new(number.into()),
        sent: 0,
    };
    let name = format!("stress-producer-{number}");
    // Also at the end once more, for what a lost connection left prepared.
    let mut last = false;
    while !last {
        last = producer.run.stop.load(Relaxed);
        let outcome = match primary.connect(&name).await {
            Ok(client) => producer.session(&client).await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            producer.run.broke(&name, &error);
            last = false;
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Producer {
    async fn session(&mut self, client: &Client) -> Result<(), Error> {
        let left = format!(
            "select gid from pg_prepared_xacts where gid like 'p{}-%'",
            self.number
        );
        for row in client.query(&left, &[]).await? {
            let end = if self.random.percent(50) {
                "commit"
            } else {
                "rollback"
            };
            client
                .batch_execute(&format!("{end} prepared '{}'", row.get::<_, &str>(0)))
                .await?;
        }
        while !self.run.stop.load(Relaxed) {
            self.transaction(client).await?;
            if self.random.below(1000) < 5 {
                sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    async fn transaction(&mut self, client: &Client) -> Result<(), Error> {
        let mut kept = Vec::new();
        client.batch_execute("begin").await?;
        for _ in 0..=self.random.below(4) {
            self.step(client, &mut kept).await?;
            if self.random.percent(20) {
                sleep(Duration::from_millis(self.random.below(20))).await;
            }
        }
        let (ending, counter) = match self.random.below(100) {
            0..25 => ("rollback", &self.run.rolled_back),
            25..35 => return self.prepared(client, kept).await,
            _ => ("commit", &self.run.committed),
        };
        client.batch_execute(ending).await?;
        counter.fetch_add(1, Relaxed);
        if ending == "commit" {
            self.answered(kept);
        }
        Ok(())
    }

    /// One or a few records of one partition, perhaps undone by their savepoint.
    async fn step(&mut self, client: &Client, kept: &mut Vec<Token>) -> Result<(), Error> {
        let partition = self.random.below(PARTITIONS as u64) as u8;
        let records = if self.way == Way::Batches {
            1 + self.random.below(3)
        } else {
            1
        };
        let mut tokens = Vec::new();
        for _ in 0..records {
            self.sent += 1;
            tokens.push(Token {
                producer: self.number,
                number: self.sent,
                partition,
            });
        }
        let undone = self.random.percent(20);
        self.run.savepoints.fetch_add(undone.into(), Relaxed);
        if self.way == Way::Deferred && self.random.percent(20) {
            let sql = format!("select attempt('{}', {partition}, {undone})", tokens[0]);
            client.batch_execute(&sql).await?;
        } else if undone {
            client.batch_execute("savepoint a").await?;
            self.write(client, partition, &tokens).await?;
            if self.random.percent(30) {
                client
                    .batch_execute("savepoint b; release savepoint b")
                    .await?;
            }
            client.batch_execute("rollback to savepoint a").await?;
        } else {
            let savepoint = self.random.percent(20);
            if savepoint {
                client.batch_execute("savepoint c").await?;
            }
            self.write(client, partition, &tokens).await?;
            if savepoint {
                client.batch_execute("release savepoint c").await?;
            }
        }
        if !undone {
            kept.append(&mut tokens);
        }
        Ok(())
    }

    async fn write(
        &mut self,
        client: &Client,
        partition: u8,
        tokens: &[Token],
    ) -> Result<(), Error> {
        let rows: Vec<_> = tokens.iter().map(|token| format!("('{token}')")).collect();
        let truth = format!("insert into truth values {}; ", rows.join(", "));
        let produce = format!(
            "select kafka.produce('stress', '{}', partition => {partition})",
            tokens[0]
        );
        let sql = match self.way {
            Way::Flushed if self.random.percent(30) => {
                truth + &produce + "; select * from kafka.flush()"
            }
            Way::Deferred | Way::Flushed => truth + &produce,
            Way::Trigger => format!(
                "{truth}insert into orders values ('{}', {partition})",
                tokens[0]
            ),
            Way::Batches => {
                let batch = self.batch(tokens);
                format!(
                    "{truth}select error_code, error_message from kafka.produce_batches(array['stress'],
                     array[{partition}], array['\\x{batch}'::bytea])"
                )
            }
        };
        for message in client.simple_query(&sql).await? {
            if let SimpleQueryMessage::Row(row) = message
                && self.way == Way::Batches
            {
                let refused = row.get(0) != Some("0");
                self.run.check(!refused, || {
                    format!("produce_batches: {:?} {:?}", row.get(0), row.get(1))
                });
            }
        }
        Ok(())
    }

    /// A batch of these records in any codec, as a hexadecimal literal.
    fn batch(&mut self, tokens: &[Token]) -> String {
        let codecs = [
            Codec::None,
            Codec::Gzip,
            Codec::Snappy,
            Codec::Lz4,
            Codec::Zstd,
        ];
        let codec = codecs[self.random.below(5) as usize];
        let mut builder = BatchBuilder::new();
        for token in tokens {
            builder.append(
                1_700_000_000_000,
                None,
                Some(token.to_string().as_bytes()),
                &[],
            );
        }
        let mut literal = String::new();
        for byte in builder.build(codec, ProducerFields::default()) {
            let _ = write!(literal, "{byte:02x}");
        }
        literal
    }

    /// Two-phase commit, ended a little later.
    async fn prepared(&mut self, client: &Client, kept: Vec<Token>) -> Result<(), Error> {
        let gid = format!("p{}-{}", self.number, self.sent);
        client
            .batch_execute(&format!("prepare transaction '{gid}'"))
            .await?;
        self.run.prepared.fetch_add(1, Relaxed);
        sleep(Duration::from_millis(self.random.below(20))).await;
        if self.random.percent(70) {
            client
                .batch_execute(&format!("commit prepared '{gid}'"))
                .await?;
            self.run.committed.fetch_add(1, Relaxed);
            self.answered(kept);
        } else {
            client
                .batch_execute(&format!("rollback prepared '{gid}'"))
                .await?;
            self.run.rolled_back.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn answered(&self, kept: Vec<Token>) {
        self.run
            .answered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(kept);
    }
}
