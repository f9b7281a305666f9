//! Unchanged clients in Java, Python and Go: Apache Kafka's own client and tools,
//! confluent-kafka, kafka-python, aiokafka, franz-go and sarama.
//!
//! Their programs lie beside this file, a folder for each language. What they need is
//! downloaded into cargo's target folder, once. A client that cannot be installed skips
//! its tests, with a line that says so; `PG_KAFKA_ALL_CLIENTS=1` makes that a failure.

#[path = "../common/mod.rs"]
mod common;
mod go;
mod install;
mod java;
mod languages;
mod python;
mod run;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use common::Env;
use kafka_core::Codec;
use kafka_core::batch::split_batches;
use run::Client;

const CODECS: [Codec; 5] = [
    Codec::None,
    Codec::Gzip,
    Codec::Snappy,
    Codec::Lz4,
    Codec::Zstd,
];

/// More than a hundred thousand lines: this repository's text over and over, numbered,
/// with a line that is empty, one that is long and one that is not ASCII.
fn text_file() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let mut sources = Vec::new();
        let listener = Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in ["src", "tests", "../src", "../src/core/src"] {
            collect_sources(&listener.join(folder), &mut sources);
        }
        sources.sort();
        let sources: String = sources
            .iter()
            .map(|source| std::fs::read_to_string(source).unwrap())
            .collect();
        let mut text = String::new();
        for (number, line) in sources.lines().cycle().take(120_000).enumerate() {
            writeln!(text, "{number}: {line}").unwrap();
        }
        writeln!(text, "\n{}\nGrüße, мир, 世界, 🐘", "long ".repeat(50_000)).unwrap();
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lines.txt");
        std::fs::write(&file, text).unwrap();
        file
    })
}

fn collect_sources(folder: &Path, sources: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_sources(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
}

/// In every codec: the client sends the file to 3 partitions, reads it from there, and
/// the server keeps what it was sent in the form in which it was sent.
fn text_comes_back_in_every_codec(client: &Client) {
    let env = Env::shared();
    let text = std::fs::read(text_file()).unwrap();
    for codec in CODECS {
        let topic = format!("{}-lines-{codec}", client.name);
        env.create_topic(&topic, 3);
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{topic}.txt"));
        let files = [text_file(), &out].map(|path| path.to_str().unwrap());
        let codec_name = codec.to_string();
        let arguments = [&topic, codec_name.as_str(), files[0], files[1]];
        client.run(&env, "lines", &arguments, "");
        let back = std::fs::read(&out).unwrap();
        assert!(back == text, "{topic}: {} differs", out.display());
        std::fs::remove_file(out).unwrap();
        let codecs = stored_codecs(&env, &topic);
        // A client may leave a batch as it is that compressing makes no smaller.
        assert!(
            codecs.contains(&codec) && codecs.iter().all(|c| [codec, Codec::None].contains(c)),
            "{topic}: {codecs:?}"
        );
    }
}

fn stored_codecs(env: &Env, topic: &str) -> BTreeSet<Codec> {
    let rows = env.sql().rows(&format!(
        "SELECT encode(records, 'hex') FROM kafka.partitions p, LATERAL kafka.fetch_batches(
             ARRAY[p.topic], ARRAY[p.partition], ARRAY[0]::int8[]) WHERE p.topic = '{topic}'"
    ));
    let mut codecs = BTreeSet::new();
    for row in rows {
        let records = bytes(row.get(0).unwrap());
        for batch in split_batches(&records) {
            codecs.insert(batch.unwrap().codec().unwrap());
        }
    }
    codecs
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Timestamp, key, value and headers, in bytes after an x; "-" is null.
const RECORDS: [&str; 6] = [
    "1700000000000 x6b6579 x76616c7565 []",
    "1700000000001 x x [x6b=x76,x6b=x77,x65=x,x6b=x76]",
    "5 xff00fe x00ff [xc3a9f09f9098=xff00,x6e756c6c=-]",
    "1600000000000 x6b - []",
    "1700000000002 - x6e6f206b6579 [x68=x31]",
    NOTHING,
];
/// Neither key nor value.
const NOTHING: &str = "1700000000003 - - []";

/// What SQL produces the client reads, what the client sends SQL reads: null and empty
/// apart, header keys repeated and in order, timestamps kept.
fn records_come_back(client: &Client, sends: &[&str]) {
    let env = Env::shared();
    let topic = format!("{}-records", client.name);
    env.create_topic(&topic, 1);
    for record in RECORDS {
        env.sql().run(&produce(&topic, record));
    }
    let found = client.run(&env, "records", &[&topic], &sends.join("\n"));
    let expected = [&RECORDS, sends].concat();
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
    let rows = env.sql().rows(&format!(
        "SELECT concat_ws(' ', (extract(epoch FROM \"timestamp\") * 1000)::int8,
             coalesce('x' || encode(key, 'hex'), '-'), coalesce('x' || encode(value, 'hex'), '-'),
             '[' || coalesce((SELECT string_agg(
                 concat('x', encode(convert_to(h.key, 'UTF8'), 'hex'), '=',
                        coalesce('x' || encode(h.value, 'hex'), '-')), ',' ORDER BY h.position)
                 FROM unnest(headers) WITH ORDINALITY h (key, value, position)), '') || ']')
         FROM kafka.records('{topic}') ORDER BY \"offset\""
    ));
    let stored: Vec<_> = rows.iter().filter_map(|row| row.get(0)).collect();
    assert_eq!(stored, expected, "from SQL");
}

/// A call that produces one of `RECORDS`.
fn produce(topic: &str, record: &str) -> String {
    let literal = |data: &str| match data.strip_prefix('x') {
        Some(hex) => format!("'\\x{hex}'::bytea"),
        None => "NULL::bytea".to_owned(),
    };
    let [timestamp, key, value, headers] = record.split(' ').collect::<Vec<_>>()[..] else {
        panic!("four parts: {record}");
    };
    let headers = headers[1..headers.len() - 1].split(',');
    let headers = headers.filter_map(|header| header.split_once('='));
    let headers = headers.map(|(key, value)| {
        let key = literal(key);
        format!("(convert_from({key}, 'UTF8'), {})", literal(value))
    });
    format!(
        "SELECT kafka.produce('{topic}', {}, {}, ARRAY[{}]::kafka.header[],
             \"timestamp\" => to_timestamp({timestamp} / 1000.0))",
        literal(value),
        literal(key),
        headers.collect::<Vec<_>>().join(","),
    )
}

/// Keys go to the partitions that `kafka.produce` chooses.
fn keys_go_where_sql_sends_them(client: &Client) {
    const PARTITIONS: i32 = 6;
    let env = Env::shared();
    let topic = format!("{}-keys", client.name);
    env.create_topic(&topic, PARTITIONS);
    env.create_topic(&format!("{topic}-sql"), PARTITIONS);
    let mut keys: Vec<Vec<u8>> = (0..100).map(|n: i32| n.to_string().into_bytes()).collect();
    // Every length to 40, with bytes of either sign: murmur2 takes four at a time.
    keys.extend((0..=40).map(|length| (0..length).map(|n: u8| n.wrapping_mul(89)).collect()));
    keys.extend(["customer-17", "Grüße", "世界"].map(Vec::from));
    let mut input = String::new();
    let mut expected = String::new();
    let sql = env.sql();
    for key in keys {
        let hex = key.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        let produce =
            format!("SELECT kafka.produce('{topic}-sql', '\\x76'::bytea, '\\x{hex}'::bytea)");
        writeln!(input, "x{hex}").unwrap();
        writeln!(expected, "x{hex} {}", sql.value(&produce)).unwrap();
    }
    let found = client.run(&env, "partitions", &[&topic], &input);
    assert_eq!(found, expected);
}

fn topics_are_administered(client: &Client) {
    let env = Env::shared();
    client.run(&env, "admin", &[&format!("{}-admin", client.name)], "");
    let left = env.sql().value(&format!(
        "SELECT count(*) FROM kafka.topics WHERE topic LIKE '{}-admin%'",
        client.name
    ));
    assert_eq!(left, "0", "topics left by {}", client.name);
}
