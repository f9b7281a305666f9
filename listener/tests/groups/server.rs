//! The server whose groups are tested, and what can be seen of a group from SQL.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::common::{Env, Sql};
use crate::judge::Sample;

/// The server assigns and expects heartbeats of its own protocol's members as the clients
/// of the classic protocol are told to send them.
pub(crate) const SETTINGS: &str = "\
    pg_kafka.group_consumer_session_timeout = '6s'\n\
    pg_kafka.group_consumer_heartbeat_interval = '1s'";

pub(crate) struct Server {
    env: Arc<Env>,
}

impl Server {
    /// One for all tests here.
    pub(crate) fn shared() -> Self {
        static SHARED: Mutex<Weak<Env>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let env = shared.upgrade().unwrap_or_else(|| {
            let env = Arc::new(Env::own(SETTINGS, &[]));
            *shared = Arc::downgrade(&env);
            env
        });
        Server { env }
    }

    pub(crate) fn address(&self) -> &str {
        &self.env.listener.address
    }

    pub(crate) fn create_topic(&self, topic: &str, partitions: i32) {
        self.env.create_topic(topic, partitions);
    }

    pub(crate) fn observer(&self, topic: &str, group: &str) -> Observer {
        Observer::new(self.env.sql(), topic, group)
    }
}

/// Looks at one group, from a SQL session of its own.
pub(crate) struct Observer {
    sql: Sql,
    topic: String,
    group: String,
}

impl Observer {
    pub(crate) fn new(sql: Sql, topic: &str, group: &str) -> Self {
        Observer {
            sql,
            topic: topic.to_owned(),
            group: group.to_owned(),
        }
    }

    pub(crate) fn sample(&self, at: Duration) -> Sample {
        let Self { topic, group, .. } = self;
        let rows = self.sql.rows(&format!(
            "SELECT g.state, g.member_id, a.partition FROM kafka.describe_groups(ARRAY['{group}']) g
             LEFT JOIN LATERAL unnest(g.assigned_topics, g.assigned_partitions) a(topic, partition)
                 ON a.topic = '{topic}'"
        ));
        let state = rows[0].get(0).unwrap_or_default().to_owned();
        let assigned = rows.iter().filter_map(|row| {
            let partition = row.get(2)?.parse().unwrap();
            Some((row.get(1)?.to_owned(), partition))
        });
        let committed = self.sql.rows(&format!(
            "SELECT partition, \"offset\" FROM kafka.committed_offsets('{group}')
             WHERE topic = '{topic}' AND \"offset\" IS NOT NULL"
        ));
        Sample {
            at,
            state,
            assigned: assigned.collect(),
            committed: numbers(&committed),
        }
    }

    /// By partition.
    pub(crate) fn high_watermarks(&self) -> std::collections::BTreeMap<i32, i64> {
        numbers(&self.sql.rows(&format!(
            "SELECT partition, high_watermark FROM kafka.partitions WHERE topic = '{}'",
            self.topic
        )))
    }
}

fn numbers(rows: &[tokio_postgres::SimpleQueryRow]) -> std::collections::BTreeMap<i32, i64> {
    let pair = |row: &tokio_postgres::SimpleQueryRow| {
        let [partition, offset] = [0, 1].map(|column| row.get(column).unwrap().to_owned());
        (partition.parse().unwrap(), offset.parse().unwrap())
    };
    rows.iter().map(pair).collect()
}
