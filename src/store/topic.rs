//! The topic catalogue: `kafka_log.topics` cached per session, and the DDL of log tables.
//!
//! A cached topic is trusted only after its log table has been locked: locking processes
//! the invalidation messages of every transaction that changed the topic, and each such
//! change (`create_partitions`, `delete_topic`) sends one for the log table.
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::rc::Rc;

use kafka_core::codec::Codec;
use kafka_core::error::KafkaError;
use kafka_core::topic::{CompressionType, TopicConfig};
use pgrx::prelude::*;
use pgrx::{JsonB, Uuid, pg_sys};

use super::log::{LockMode, LogTable};
use super::sql::{self, Row, param};

/// A topic as this session knows it.
pub(crate) struct Topic {
    /// Key of the catalogue rows and part of the log table's name.
    pub(crate) number: i32,
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) partitions: i32,
    pub(crate) config: TopicConfig,
    pub(super) log_table: pg_sys::Oid,
    /// Log start offsets other than 0, by partition.
    log_start_offsets: HashMap<i32, i64>,
}

impl Topic {
    /// Checks that the topic has this partition.
    pub(crate) fn check_partition(&self, partition: i32) -> Result<(), KafkaError> {
        if (0..self.partitions).contains(&partition) {
            return Ok(());
        }
        Err(KafkaError::UnknownTopicOrPartition {
            topic: self.name.clone(),
            partition: Some(partition),
        })
    }

    /// The first offset that may be read; below it the log was deleted.
    pub(crate) fn log_start_offset(&self, partition: i32) -> i64 {
        self.log_start_offsets.get(&partition).copied().unwrap_or(0)
    }

    /// Largest record batch in bytes.
    pub(crate) fn max_message_bytes(&self) -> i32 {
        self.config
            .max_message_bytes
            .unwrap_or_else(crate::guc::message_max_bytes)
    }

    /// The codec in which records that came in `codec` are stored.
    pub(crate) fn stored_codec(&self, codec: Codec) -> Codec {
        let wanted = self
            .config
            .compression_type
            .unwrap_or_else(crate::guc::compression_type);
        match wanted {
            CompressionType::Producer => codec,
            CompressionType::Codec(codec) => codec,
        }
    }
}

/// How a call names a topic.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TopicRef {
    Name(String),
    Id([u8; 16]),
}

impl TopicRef {
    fn unknown(&self) -> KafkaError {
        match self {
            Self::Name(topic) => KafkaError::UnknownTopicOrPartition {
                topic: topic.clone(),
                partition: None,
            },
            Self::Id(topic_id) => KafkaError::UnknownTopicId {
                topic_id: *topic_id,
            },
        }
    }
}

#[derive(Default)]
struct Cache {
    by_name: HashMap<String, Rc<Topic>>,
    by_id: HashMap<[u8; 16], Rc<Topic>>,
    by_number: HashMap<i32, Rc<Topic>>,
}

impl Cache {
    fn get(&self, topic: &TopicRef) -> Option<Rc<Topic>> {
        match topic {
            TopicRef::Name(name) => self.by_name.get(name).cloned(),
            TopicRef::Id(id) => self.by_id.get(id).cloned(),
        }
    }

    fn insert(&mut self, topic: &Rc<Topic>) {
        self.by_name.insert(topic.name.clone(), Rc::clone(topic));
        self.by_id.insert(*topic.id.as_bytes(), Rc::clone(topic));
        self.by_number.insert(topic.number, Rc::clone(topic));
    }

    fn clear(&mut self) {
        self.by_name.clear();
        self.by_id.clear();
        self.by_number.clear();
    }
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
    /// Set by invalidation messages, which may arrive at any lock: the cache is emptied at its next use.
    static STALE: Cell<bool> = const { Cell::new(false) };
    /// Topics whose log table this transaction has locked for writing, by name.
    static LOCKED: RefCell<HashMap<String, Rc<Topic>>> = RefCell::default();
}

pub(super) fn init() {
    // SAFETY: registered once, when the library is loaded; the callback only sets a flag.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(relcache_changed), pg_sys::Datum::null()) };
}

#[pg_guard]
unsafe extern "C-unwind" fn relcache_changed(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    let known = relation == pg_sys::InvalidOid
        || CACHE
            .try_with(|cache| {
                cache.try_borrow().map_or(true, |c| {
                    c.by_name.values().any(|t| t.log_table == relation)
                })
            })
            .unwrap_or(true);
    if known {
        invalidate();
    }
}

/// Forgets what this session knows of topics, as after a rollback that may have undone a creation.
pub(super) fn invalidate() {
    STALE.set(true);
}

/// Finds the topic and opens its log table in `mode`.
pub(crate) fn open(topic: &TopicRef, mode: LockMode) -> Result<(Rc<Topic>, LogTable), KafkaError> {
    loop {
        pgrx::check_for_interrupts!();
        let found = find(topic)?;
        let log = LogTable::open(&found, mode);
        if STALE.get() {
            continue;
        }
        match log {
            Some(log) => return Ok((found, log)),
            // Dropped by somebody whose message is yet to be seen, or by ourselves.
            None => invalidate(),
        }
    }
}

/// Finds the topic and locks its log table for writing to the end of the transaction; cheap
/// from the second time on.
pub(crate) fn lock_for_write(name: &str) -> Result<Rc<Topic>, KafkaError> {
    if !STALE.get()
        && let Some(topic) = LOCKED.with_borrow(|locked| locked.get(name).cloned())
    {
        return Ok(topic);
    }
    let (topic, _log) = open(&TopicRef::Name(name.to_owned()), LockMode::Write)?;
    LOCKED.with_borrow_mut(|locked| locked.insert(name.to_owned(), Rc::clone(&topic)));
    Ok(topic)
}

/// After the end of a transaction, or a rollback to a savepoint, which gives locks back.
pub(super) fn forget_locks() {
    LOCKED.with_borrow_mut(HashMap::clear);
}

/// Looks the topic up without locking it; what it says may be out of date at once.
pub(crate) fn find(topic: &TopicRef) -> Result<Rc<Topic>, KafkaError> {
    if STALE.replace(false) {
        CACHE.with_borrow_mut(Cache::clear);
        forget_locks();
    }
    if let Some(found) = CACHE.with_borrow(|cache| cache.get(topic)) {
        return Ok(found);
    }
    let loaded = load(topic).ok_or_else(|| topic.unknown())?;
    CACHE.with_borrow_mut(|cache| cache.insert(&loaded));
    Ok(loaded)
}

/// The topic of this number, unless it was deleted.
pub(crate) fn numbered(number: i32) -> Option<TopicRef> {
    let cached = CACHE.with_borrow(|cache| {
        let topic = cache.by_number.get(&number)?;
        Some(*topic.id.as_bytes())
    });
    cached
        .or_else(|| {
            sql::query(
                "SELECT topic_id FROM kafka_log.topics WHERE topic_number OPERATOR(pg_catalog.=) $1",
                &[param(number)],
                |row| *row.required::<Uuid>(1).as_bytes(),
            )
            .pop()
        })
        .map(TopicRef::Id)
}

/// Every topic there is, by name.
pub(crate) fn all() -> Vec<Rc<Topic>> {
    let rows = sql::query(
        "SELECT topic_number, topic, topic_id, partitions, config, segment FROM kafka_log.topics ORDER BY topic",
        &[],
        from_row,
    );
    rows.into_iter().flatten().map(Rc::new).collect()
}

fn load(topic: &TopicRef) -> Option<Rc<Topic>> {
    let mut rows = match topic {
        TopicRef::Name(name) => sql::query(
            "SELECT topic_number, topic, topic_id, partitions, config, segment FROM kafka_log.topics WHERE topic OPERATOR(pg_catalog.=) $1",
            &[param(name.as_str())],
            from_row,
        ),
        TopicRef::Id(id) => sql::query(
            "SELECT topic_number, topic, topic_id, partitions, config, segment FROM kafka_log.topics WHERE topic_id OPERATOR(pg_catalog.=) $1",
            &[param(Uuid::from_bytes(*id))],
            from_row,
        ),
    };
    rows.pop().flatten().map(Rc::new)
}

/// None for a topic whose log table was dropped behind the catalogue's back.
fn from_row(row: &Row) -> Option<Topic> {
    let number: i32 = row.required(1);
    let config: JsonB = row.required(5);
    let log_table = relation_oid(&log_table_name(number, row.required(6)))?;
    Some(Topic {
        number,
        name: row.required(2),
        id: row.required(3),
        partitions: row.required(4),
        config: crate::raise::ok(parse_config(&config.0)),
        log_table,
        log_start_offsets: log_start_offsets(number),
    })
}

/// Reads a config object such as `{"max.message.bytes": 2000000}`. Numbers and booleans may
/// be written bare; null means the default.
pub(crate) fn parse_config(config: &serde_json::Value) -> Result<TopicConfig, KafkaError> {
    let Some(object) = config.as_object() else {
        return Err(KafkaError::InvalidConfig {
            name: "config".to_owned(),
            reason: "a JSON object of topic configs is expected".to_owned(),
        });
    };
    let entries: Vec<(&str, Option<String>)> = object
        .iter()
        .map(|(name, value)| {
            let text = match value {
                serde_json::Value::Null => None,
                serde_json::Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            };
            (name.as_str(), text)
        })
        .collect();
    let entries: Vec<(&str, Option<&str>)> = entries
        .iter()
        .map(|(name, value)| (*name, value.as_deref()))
        .collect();
    kafka_core::topic::parse_topic_config(&entries)
}

/// Creates the topic and its log table; None if the name is taken.
pub(crate) fn create(name: &str, partitions: i32, config: serde_json::Value) -> Option<Uuid> {
    let created = sql::modify(
        "INSERT INTO kafka_log.topics (topic, partitions, config) VALUES ($1, $2, $3)
         ON CONFLICT (topic) DO NOTHING RETURNING topic_number, topic_id, segment",
        &[param(name), param(partitions), param(JsonB(config))],
        |row| {
            (
                row.required::<i32>(1),
                row.required::<Uuid>(2),
                row.required::<i32>(3),
            )
        },
    );
    let &(number, id, segment) = created.first()?;
    create_log_table(&log_table_name(number, segment));
    Some(id)
}

/// The column order is `scan::Column`'s. Vacuum may do ten times as much at a time as in other
/// tables: at 40 MB/s, PostgreSQL's default, it falls behind where a log is written and deleted.
fn create_log_table(name: &str) {
    sql::run_text(&format!(
        "CREATE TABLE kafka_log.{name} (
            partition pg_catalog.int4 NOT NULL,
            last_offset pg_catalog.int8 NOT NULL,
            base_offset pg_catalog.int8 NOT NULL,
            stable_offset pg_catalog.int8 NOT NULL,
            max_timestamp pg_catalog.int8 NOT NULL,
            running_max_timestamp pg_catalog.int8 NOT NULL,
            data pg_catalog.bytea NOT NULL,
            piece pg_catalog.int4 NOT NULL
        ) USING heap WITH (toast_tuple_target = 8160, autovacuum_vacuum_cost_limit = 2000)"
    ));
    sql::run_text(&format!(
        "ALTER TABLE kafka_log.{name} ALTER COLUMN data SET STORAGE EXTERNAL"
    ));
    sql::run_text(&format!(
        "CREATE UNIQUE INDEX ON kafka_log.{name} (partition, last_offset, piece)"
    ));
}

/// Raises the number of partitions. Where somebody else has raised it as far meanwhile,
/// nothing is changed and the error is the number that the topic has.
pub(crate) fn set_partitions(topic: &Topic, partitions: i32) -> Result<(), i32> {
    let raised = sql::modify(
        "UPDATE kafka_log.topics SET partitions = $2
         WHERE topic_number OPERATOR(pg_catalog.=) $1 AND partitions OPERATOR(pg_catalog.<) $2
         RETURNING partitions",
        &[param(topic.number), param(partitions)],
        |row| row.required::<i32>(1),
    );
    if raised.is_empty() {
        let stored = sql::query(
            "SELECT partitions FROM kafka_log.topics WHERE topic_number OPERATOR(pg_catalog.=) $1",
            &[param(topic.number)],
            |row| row.required(1),
        );
        return Err(stored.first().copied().unwrap_or(topic.partitions));
    }
    // SAFETY: the caller has the log table open, so the relation exists.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(topic.log_table) };
    Ok(())
}

/// Drops the topic with everything that was stored of it.
pub(crate) fn delete(topic: &Topic) {
    for text in [
        "DELETE FROM kafka_log.topics WHERE topic_number OPERATOR(pg_catalog.=) $1",
        "DELETE FROM kafka_log.partitions WHERE topic_number OPERATOR(pg_catalog.=) $1",
        "DELETE FROM kafka_log.producers WHERE topic_number OPERATOR(pg_catalog.=) $1",
        "DELETE FROM kafka_log.aborted_transactions WHERE topic_number OPERATOR(pg_catalog.=) $1",
        // Who is just ending a transaction is waited for; what it has committed goes next.
        "DELETE FROM kafka_log.transaction_offsets WHERE topic_number OPERATOR(pg_catalog.=) $1",
        "DELETE FROM kafka_log.consumer_offsets WHERE topic_number OPERATOR(pg_catalog.=) $1",
    ] {
        sql::execute(text, &[param(topic.number)]);
    }
    let table = relation_name(topic.log_table);
    sql::run_text(&format!("DROP TABLE kafka_log.{table}"));
    invalidate();
}

fn log_start_offsets(number: i32) -> HashMap<i32, i64> {
    sql::query(
        "SELECT partition, log_start_offset FROM kafka_log.partitions
         WHERE topic_number OPERATOR(pg_catalog.=) $1",
        &[param(number)],
        |row| (row.required(1), row.required(2)),
    )
    .into_iter()
    .collect()
}

/// The log start offset as it is stored now, for when the cached one may be too old: an
/// empty partition goes on from there.
pub(super) fn stored_log_start_offset(topic: &Topic, partition: i32) -> i64 {
    log_start_offsets(topic.number)
        .get(&partition)
        .copied()
        .unwrap_or(0)
}

/// Deletes the batches that lie wholly below `offset`, and hides the records below it.
pub(crate) fn delete_records(topic: &Topic, partition: i32, offset: i64) {
    sql::execute(
        "INSERT INTO kafka_log.partitions AS p (topic_number, partition, log_start_offset) VALUES ($1, $2, $3)
         ON CONFLICT (topic_number, partition)
         DO UPDATE SET log_start_offset = greatest(p.log_start_offset, excluded.log_start_offset)",
        &[param(topic.number), param(partition), param(offset)],
    );
    let table = relation_name(topic.log_table);
    sql::run_text(&format!(
        "DELETE FROM kafka_log.{table}
         WHERE partition OPERATOR(pg_catalog.=) {partition} AND last_offset OPERATOR(pg_catalog.<) {offset}"
    ));
    sql::execute(
        "DELETE FROM kafka_log.aborted_transactions
         WHERE topic_number OPERATOR(pg_catalog.=) $1 AND partition OPERATOR(pg_catalog.=) $2
           AND last_offset OPERATOR(pg_catalog.<) $3",
        &[param(topic.number), param(partition), param(offset)],
    );
    // SAFETY: the caller has the log table open, so the relation exists.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(topic.log_table) };
}

fn log_table_name(number: i32, segment: i32) -> String {
    format!("t{number}_{segment}")
}

fn relation_oid(name: &str) -> Option<pg_sys::Oid> {
    let name = CString::new(name).ok()?;
    // SAFETY: syscache look-ups of C strings.
    let oid = unsafe {
        let schema = pg_sys::get_namespace_oid(c"kafka_log".as_ptr(), false);
        pg_sys::get_relname_relid(name.as_ptr(), schema)
    };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

fn relation_name(relation: pg_sys::Oid) -> String {
    // SAFETY: get_rel_name returns a palloc'd string or null.
    unsafe {
        let name = pg_sys::get_rel_name(relation);
        if name.is_null() {
            error!("log table {} is gone", relation.to_u32());
        }
        CStr::from_ptr(name).to_string_lossy().into_owned()
    }
}

/// A table or index of the extension.
pub(super) fn catalog_relation(name: &str) -> pg_sys::Oid {
    relation_oid(name).unwrap_or_else(|| {
        error!("kafka_log.{name} is missing: run CREATE EXTENSION pg_kafka, or ALTER EXTENSION pg_kafka UPDATE")
    })
}

/// The role that owns the extension's tables, as which the store's SQL runs.
pub(super) fn catalog_owner() -> pg_sys::Oid {
    let topics = catalog_relation("topics");
    // SAFETY: the relation is open while its class row is read.
    unsafe {
        let relation = pg_sys::relation_open(topics, pg_sys::AccessShareLock as i32);
        let owner = (*(*relation).rd_rel).relowner;
        pg_sys::relation_close(relation, pg_sys::AccessShareLock as i32);
        owner
    }
}
