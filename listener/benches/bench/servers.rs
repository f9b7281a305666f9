//! The servers under test, all alike: where they listen, what they cost.

use std::process::Command;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use tokio_postgres::Client;

use crate::apache_kafka::ApacheKafka;
use crate::process::{self, Peak};
use crate::support::{Cluster, Listener, Result};

pub(crate) const HEAP: &[&str] = &["-Xms1g", "-Xmx1g", "-XX:+UseG1GC"];

/// `pg_kafka`, or Apache Kafka with topics of one kind.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: String,
    topic_config: &'static [(&'static str, &'static str)],
    /// The server's process, and the listener's.
    pub(crate) pids: Vec<u32>,
    /// Of `pg_kafka`.
    database: Option<Client>,
}

/// What a load has done.
#[derive(Clone)]
pub(crate) struct Done {
    /// MB/s, something per second, or milliseconds.
    pub(crate) value: f64,
    /// Of values.
    pub(crate) bytes: f64,
    pub(crate) operations: f64,
}

/// A load's result and cost.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) done: Done,
    pub(crate) server_cpu: f64,
    pub(crate) listener_cpu: f64,
    pub(crate) wal_bytes: f64,
    pub(crate) server_memory: f64,
    pub(crate) listener_memory: f64,
}

impl Run {
    /// Another figure of the same run.
    pub(crate) fn with(&self, value: f64) -> Self {
        let mut run = self.clone();
        run.done.value = value;
        run
    }
}

impl Server {
    pub(crate) async fn ours(cluster: &Cluster, listener: &Listener) -> Result<Self> {
        Ok(Server {
            name: "pg_kafka",
            address: listener.address.clone(),
            topic_config: &[],
            pids: vec![cluster.pid()?, listener.pid()],
            database: Some(cluster.connect("bench").await?),
        })
    }

    /// One broker with two kinds of topics: only one is under load at any time, so its costs
    /// are told apart, and there is one idle Java machine beside the others, not two.
    pub(crate) fn of_kafka(kafka: &ApacheKafka) -> [Self; 2] {
        let server = |name, topic_config| Server {
            name,
            address: kafka.address.clone(),
            topic_config,
            pids: vec![kafka.pid()],
            database: None,
        };
        [
            server("Apache Kafka", &[]),
            server("Apache Kafka, flushing", &[("flush.messages", "1")]),
        ]
    }

    /// A broker that flushes whatever it appends.
    pub(crate) fn of_flushing_kafka(kafka: &ApacheKafka) -> Self {
        let [mut server, flushing] = Self::of_kafka(kafka);
        server.name = flushing.name;
        server
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .create()?)
    }

    pub(crate) async fn create_topic(&self, topic: &str, partitions: usize) -> Result<()> {
        let mut new = NewTopic::new(
            topic,
            i32::try_from(partitions)?,
            TopicReplication::Fixed(1),
        );
        for (name, value) in self.topic_config {
            new = new.set(name, value);
        }
        let options = AdminOptions::new();
        for created in self.admin()?.create_topics(&[new], &options).await? {
            created.map_err(|(topic, error)| format!("{topic}: {error}"))?;
        }
        Ok(())
    }

    /// And all that is left to do for its records: what a server, or the kernel, puts off
    /// must not fall into the next one's time.
    pub(crate) async fn delete_topic(&self, topic: &str) -> Result<()> {
        self.settle().await?;
        let options = AdminOptions::new();
        for deleted in self.admin()?.delete_topics(&[topic], &options).await? {
            deleted.map_err(|(topic, error)| format!("{topic}: {error}"))?;
        }
        Ok(())
    }

    /// Writes everything to the disk.
    pub(crate) async fn settle(&self) -> Result<()> {
        if let Some(database) = &self.database {
            database.batch_execute("checkpoint").await?;
        }
        tokio::task::block_in_place(|| Command::new("sync").status())?;
        Ok(())
    }

    /// CPU seconds so far: the server's and the listener's.
    pub(crate) fn cpu(&self) -> Result<[f64; 2]> {
        let mut seconds = [0.0; 2];
        for (seconds, pid) in seconds.iter_mut().zip(&self.pids) {
            *seconds = process::cpu(*pid)?;
        }
        Ok(seconds)
    }

    async fn wal(&self) -> Result<f64> {
        let position = "select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::float8";
        match &self.database {
            Some(database) => Ok(database.query_one(position, &[]).await?.get(0)),
            None => Ok(0.0),
        }
    }

    /// Puts it under a load, which may block.
    pub(crate) async fn measure(&self, load: impl FnOnce() -> Result<Done>) -> Result<Run> {
        let (cpu, wal) = (self.cpu()?, self.wal().await?);
        let peak = Peak::watch(self.pids.clone());
        let done = tokio::task::block_in_place(load);
        let memory = peak.stop();
        let memory = |process: usize| memory.get(process).copied().unwrap_or(0.0);
        let cpu_after = self.cpu()?;
        Ok(Run {
            done: done.map_err(|error| format!("{}: {error}", self.name))?,
            server_cpu: cpu_after[0] - cpu[0],
            listener_cpu: cpu_after[1] - cpu[1],
            wal_bytes: self.wal().await? - wal,
            server_memory: memory(0),
            listener_memory: memory(1),
        })
    }
}

/// Each of `servers` once, with its place among them; another one is the first in each round.
pub(crate) fn in_turn(servers: &[Server], round: usize) -> impl Iterator<Item = (usize, &Server)> {
    let first = round % servers.len();
    let all = servers.iter().enumerate().cycle();
    all.skip(first).take(servers.len())
}
