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
    // SAFETY: a C string; called once, behind the definitions.
    unsafe { pgrx::pg_sys::MarkGUCPrefixReserved(c"pg_kafka".as_ptr()) };
}
