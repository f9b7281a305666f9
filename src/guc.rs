//! The settings `pg_kafka.*`: effect, unit and default of each.
use kafka_core::codec::Codec;
use kafka_core::topic::CompressionType;
use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};

/// Values of `pg_kafka.compression_type`, as Kafka's `compression.type`.
#[derive(Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
#[allow(non_camel_case_types)]
enum Compression {
    producer,
    none,
    gzip,
    snappy,
    lz4,
    zstd,
}

static DEFAULT_PARTITIONS: GucSetting<i32> = GucSetting::<i32>::new(1);
static AUTO_CREATE_TOPICS: GucSetting<bool> = GucSetting::<bool>::new(true);
static COMPRESSION_TYPE: GucSetting<Compression> =
    GucSetting::<Compression>::new(Compression::producer);
static MESSAGE_MAX_BYTES: GucSetting<i32> = GucSetting::<i32>::new(1_048_588);
static PRODUCE_BUFFER: GucSetting<i32> = GucSetting::<i32>::new(64 * 1024);
static GROUP_INITIAL_REBALANCE_DELAY: GucSetting<i32> = GucSetting::<i32>::new(3000);
static GROUP_MIN_SESSION_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(6000);
static GROUP_MAX_SESSION_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(30 * 60 * 1000);
static GROUP_MAX_SIZE: GucSetting<i32> = GucSetting::<i32>::new(i32::MAX);
static GROUP_CONSUMER_SESSION_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(45_000);
static GROUP_CONSUMER_HEARTBEAT_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(5000);
static OFFSETS_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(7 * 24 * 60);
static TRANSACTION_MAX_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(15 * 60 * 1000);
static TRANSACTIONAL_ID_EXPIRATION: GucSetting<i32> = GucSetting::<i32>::new(7 * 24 * 60);
static PRODUCER_ID_EXPIRATION: GucSetting<i32> = GucSetting::<i32>::new(24 * 60);
static OFFSET_METADATA_MAX_BYTES: GucSetting<i32> = GucSetting::<i32>::new(4096);

/// Largest record batch that any setting can allow: far enough below PostgreSQL's
/// 1 GB limit of one value that a batch can be copied and framed.
const MESSAGE_MAX_BYTES_LIMIT: i32 = 512 * 1024 * 1024;

/// Partitions of a topic that is created without saying how many.
pub(crate) fn default_partitions() -> i32 {
    DEFAULT_PARTITIONS.get()
}

/// Whether producing to, or asking metadata of, an unknown topic creates it.
pub(crate) fn auto_create_topics() -> bool {
    AUTO_CREATE_TOPICS.get()
}

/// How batches are stored where the topic's `compression.type` does not say.
pub(crate) fn compression_type() -> CompressionType {
    match COMPRESSION_TYPE.get() {
        Compression::producer => CompressionType::Producer,
        Compression::none => CompressionType::Codec(Codec::None),
        Compression::gzip => CompressionType::Codec(Codec::Gzip),
        Compression::snappy => CompressionType::Codec(Codec::Snappy),
        Compression::lz4 => CompressionType::Codec(Codec::Lz4),
        Compression::zstd => CompressionType::Codec(Codec::Zstd),
    }
}

/// Largest record batch in bytes where the topic's `max.message.bytes` does not say.
pub(crate) fn message_max_bytes() -> i32 {
    MESSAGE_MAX_BYTES.get()
}

/// Bytes that one transaction's `kafka.produce` calls may buffer before they are appended early.
pub(crate) fn produce_buffer_bytes() -> usize {
    usize::try_from(PRODUCE_BUFFER.get()).unwrap_or(0) * 1024
}

/// How long a new group waits for more members after each that joins, in milliseconds.
pub(crate) fn group_initial_rebalance_delay_ms() -> i32 {
    GROUP_INITIAL_REBALANCE_DELAY.get()
}

/// Shortest session timeout that a member may ask for, in milliseconds.
pub(crate) fn group_min_session_timeout_ms() -> i32 {
    GROUP_MIN_SESSION_TIMEOUT.get()
}

/// Longest session timeout that a member may ask for, in milliseconds.
pub(crate) fn group_max_session_timeout_ms() -> i32 {
    GROUP_MAX_SESSION_TIMEOUT.get()
}

/// Most members that a group may have.
pub(crate) fn group_max_size() -> i32 {
    GROUP_MAX_SIZE.get()
}

/// Session timeout of members whose group the server assigns (KIP-848), in milliseconds.
pub(crate) fn group_consumer_session_timeout_ms() -> i32 {
    GROUP_CONSUMER_SESSION_TIMEOUT.get()
}

/// Heartbeat interval that those members are told, in milliseconds.
pub(crate) fn group_consumer_heartbeat_interval_ms() -> i32 {
    GROUP_CONSUMER_HEARTBEAT_INTERVAL.get()
}

/// How long the offsets of a group without members are kept, in minutes.
pub(crate) fn offsets_retention_minutes() -> i32 {
    OFFSETS_RETENTION.get()
}

/// Most bytes of metadata that an offset may be committed with.
pub(crate) fn offset_metadata_max_bytes() -> usize {
    usize::try_from(OFFSET_METADATA_MAX_BYTES.get()).unwrap_or(0)
}

/// Longest transaction timeout that a producer may ask for, in milliseconds.
pub(crate) fn transaction_max_timeout_ms() -> i32 {
    TRANSACTION_MAX_TIMEOUT.get()
}

/// How long a transactional id is kept that nobody uses, in minutes.
pub(crate) fn transactional_id_expiration_minutes() -> i32 {
    TRANSACTIONAL_ID_EXPIRATION.get()
}

/// How long partitions remember a producer that writes nothing, in minutes.
pub(crate) fn producer_id_expiration_minutes() -> i32 {
    PRODUCER_ID_EXPIRATION.get()
}

/// Registers the settings; called once when the library is loaded.
pub(crate) fn init() {
    GucRegistry::define_int_guc(
        c"pg_kafka.default_partitions",
        c"Partitions of a topic that is created without saying how many.",
        c"Used by kafka.create_topic and by automatic creation. 1 to 10000, default 1.",
        &DEFAULT_PARTITIONS,
        1,
        kafka_core::topic::MAX_PARTITIONS,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"pg_kafka.auto_create_topics",
        c"Creates an unknown topic when it is produced to or asked for.",
        c"As Kafka's auto.create.topics.enable. Default on.",
        &AUTO_CREATE_TOPICS,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"pg_kafka.compression_type",
        c"Codec in which record batches are stored.",
        c"producer keeps what the client sent and stores what SQL produces uncompressed; a topic's compression.type overrides it. Default producer.",
        &COMPRESSION_TYPE,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"pg_kafka.message_max_bytes",
        c"Largest record batch that is accepted.",
        c"In bytes, as stored; a topic's max.message.bytes overrides it. Default 1048588, as Kafka's message.max.bytes.",
        &MESSAGE_MAX_BYTES,
        64,
        MESSAGE_MAX_BYTES_LIMIT,
        GucContext::Suset,
        GucFlags::UNIT_BYTE,
    );
    GucRegistry::define_int_guc(
        c"pg_kafka.produce_buffer",
        c"Memory in which one transaction gathers what kafka.produce was given.",
        c"Past it the records are appended before the transaction ends. In kilobytes when no unit is given, default 64MB.",
        &PRODUCE_BUFFER,
        64,
        1024 * 1024,
        GucContext::Userset,
        GucFlags::UNIT_KB,
    );
    define_group_settings();
    define_transaction_settings();
    // SAFETY: a C string; called once, behind the definitions.
    unsafe { pgrx::pg_sys::MarkGUCPrefixReserved(c"pg_kafka".as_ptr()) };
}

fn define_group_settings() {
    let durations = [
        (
            c"pg_kafka.group_initial_rebalance_delay",
            c"How long a new group waits for more members after each that joins.",
            c"As Kafka's group.initial.rebalance.delay.ms. In milliseconds when no unit is given, default 3s.",
            &GROUP_INITIAL_REBALANCE_DELAY,
            0,
        ),
        (
            c"pg_kafka.group_min_session_timeout",
            c"Shortest session timeout that a group member may ask for.",
            c"As Kafka's group.min.session.timeout.ms. In milliseconds when no unit is given, default 6s.",
            &GROUP_MIN_SESSION_TIMEOUT,
            1,
        ),
        (
            c"pg_kafka.group_max_session_timeout",
            c"Longest session timeout that a group member may ask for.",
            c"As Kafka's group.max.session.timeout.ms. In milliseconds when no unit is given, default 30min.",
            &GROUP_MAX_SESSION_TIMEOUT,
            1,
        ),
        (
            c"pg_kafka.group_consumer_session_timeout",
            c"Session timeout of members whose group the server assigns (KIP-848).",
            c"As Kafka's group.consumer.session.timeout.ms. In milliseconds when no unit is given, default 45s.",
            &GROUP_CONSUMER_SESSION_TIMEOUT,
            1,
        ),
        (
            c"pg_kafka.group_consumer_heartbeat_interval",
            c"Heartbeat interval that those members are told.",
            c"As Kafka's group.consumer.heartbeat.interval.ms. In milliseconds when no unit is given, default 5s.",
            &GROUP_CONSUMER_HEARTBEAT_INTERVAL,
            1,
        ),
    ];
    for (name, short, long, setting, min) in durations {
        GucRegistry::define_int_guc(
            name,
            short,
            long,
            setting,
            min,
            i32::MAX,
            GucContext::Suset,
            GucFlags::UNIT_MS,
        );
    }
    GucRegistry::define_int_guc(
        c"pg_kafka.group_max_size",
        c"Most members that a group may have.",
        c"As Kafka's group.max.size. Default 2147483647.",
        &GROUP_MAX_SIZE,
        1,
        i32::MAX,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"pg_kafka.offsets_retention",
        c"How long the offsets of a group without members are kept.",
        c"As Kafka's offsets.retention.minutes. In minutes when no unit is given, default 7d.",
        &OFFSETS_RETENTION,
        1,
        i32::MAX,
        GucContext::Suset,
        GucFlags::UNIT_MIN,
    );
    GucRegistry::define_int_guc(
        c"pg_kafka.offset_metadata_max_bytes",
        c"Most bytes of metadata that an offset may be committed with.",
        c"As Kafka's offset.metadata.max.bytes. Default 4096.",
        &OFFSET_METADATA_MAX_BYTES,
        0,
        1024 * 1024,
        GucContext::Suset,
        GucFlags::UNIT_BYTE,
    );
}

fn define_transaction_settings() {
    GucRegistry::define_int_guc(
        c"pg_kafka.transaction_max_timeout",
        c"Longest transaction timeout that a producer may ask for.",
        c"As Kafka's transaction.max.timeout.ms. In milliseconds when no unit is given, default 15min.",
        &TRANSACTION_MAX_TIMEOUT,
        1,
        i32::MAX,
        GucContext::Suset,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"pg_kafka.transactional_id_expiration",
        c"How long a transactional id is kept that nobody uses.",
        c"As Kafka's transactional.id.expiration.ms. In minutes when no unit is given, default 7d.",
        &TRANSACTIONAL_ID_EXPIRATION,
        1,
        i32::MAX,
        GucContext::Suset,
        GucFlags::UNIT_MIN,
    );
    GucRegistry::define_int_guc(
        c"pg_kafka.producer_id_expiration",
        c"How long partitions remember a producer that writes nothing.",
        c"As Kafka's producer.id.expiration.ms. In minutes when no unit is given, default 1d.",
        &PRODUCER_ID_EXPIRATION,
        1,
        i32::MAX,
        GucContext::Suset,
        GucFlags::UNIT_MIN,
    );
}
