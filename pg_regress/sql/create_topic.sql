-- kafka.create_topic: defaults, names, numbers of partitions, configuration.
SELECT kafka.create_topic('create_plain') IS NOT NULL AS created;
SELECT kafka.create_topic('create_three', 3) IS NOT NULL AS created;
SELECT kafka.create_topic(topic => 'create_config', config => '{"retention.ms": 3600000, "cleanup.policy": "compact,delete", "preallocate": false}') IS NOT NULL AS created;
SELECT topic, partitions, config FROM kafka.topics WHERE topic LIKE 'create%' ORDER BY topic;

-- The returned id is the topic's.
SELECT kafka.create_topic('create_id') AS id \gset
SELECT topic FROM kafka.topics WHERE topic_id = :'id';

-- pg_kafka.default_partitions is the number where none is given.
SET pg_kafka.default_partitions = 4;
SELECT kafka.create_topic('create_default') IS NOT NULL AS created;
SELECT kafka.create_topic('create_null', partitions => NULL) IS NOT NULL AS created;
RESET pg_kafka.default_partitions;
SELECT topic, partitions FROM kafka.topics WHERE topic IN ('create_default', 'create_null') ORDER BY topic;

-- A name is taken once.
SELECT kafka.create_topic('create_plain');
\echo :LAST_ERROR_SQLSTATE
-- Names are case sensitive.
SELECT kafka.create_topic('CREATE_PLAIN') IS NOT NULL AS created;

-- Kafka's rules for names.
SELECT kafka.create_topic(repeat('x', 249)) IS NOT NULL AS created;
SELECT kafka.create_topic('create.dots-and_underscores.0') IS NOT NULL AS created;
SELECT kafka.create_topic('');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.create_topic('.');
SELECT kafka.create_topic('..');
SELECT kafka.create_topic('two words');
SELECT kafka.create_topic('größe');
SELECT kafka.create_topic('x;DROP TABLE kafka_log.topics');
\set VERBOSITY terse
SELECT kafka.create_topic(repeat('x', 250));
\set VERBOSITY default

-- Numbers of partitions: 1 to 10,000, refused before anything is allocated.
SELECT kafka.create_topic('create_bad', 0);
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.create_topic('create_bad', -1);
SELECT kafka.create_topic('create_bad', 10001);
SELECT kafka.create_topic('create_bad', 2147483647);
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.create_topic('create_most', 10000) IS NOT NULL AS created;
SELECT kafka.produce('create_most', 'last', partition => 9999);

-- Configuration: Kafka's names and values.
SELECT kafka.create_topic('create_bad', config => '{"no.such.config": "1"}');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.create_topic('create_bad', config => '{"retention.ms": "a week"}');
SELECT kafka.create_topic('create_bad', config => '{"retention.ms": -2}');
SELECT kafka.create_topic('create_bad', config => '{"max.message.bytes": 2147483648}');
SELECT kafka.create_topic('create_bad', config => '{"cleanup.policy": "shred"}');
SELECT kafka.create_topic('create_bad', config => '{"compression.type": "brotli"}');
SELECT kafka.create_topic('create_bad', config => '{"message.timestamp.type": "Now"}');
SELECT kafka.create_topic('create_bad', config => '{"preallocate": "maybe"}');
SELECT kafka.create_topic('create_bad', config => '{"min.cleanable.dirty.ratio": 1.5}');
SELECT kafka.create_topic('create_bad', config => '{"min.compaction.lag.ms": 5, "max.compaction.lag.ms": 4}');
SELECT kafka.create_topic('create_bad', config => '{"retention.ms": null}');
SELECT kafka.create_topic('create_bad', config => '["retention.ms"]');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.create_topic('create_bad', config => '{"retention.ms": ');
\echo :LAST_ERROR_SQLSTATE

-- Every topic configuration of Kafka is known.
SELECT kafka.create_topic('create_every', config => '{
    "cleanup.policy": "delete", "compression.gzip.level": -1, "compression.lz4.level": 9, "compression.type": "producer",
    "compression.zstd.level": 3, "delete.retention.ms": 86400000, "file.delete.delay.ms": 60000,
    "flush.messages": "9223372036854775807", "flush.ms": "9223372036854775807",
    "follower.replication.throttled.replicas": "", "index.interval.bytes": 4096,
    "leader.replication.throttled.replicas": "*", "local.retention.bytes": -2, "local.retention.ms": -2,
    "max.compaction.lag.ms": "9223372036854775807", "max.message.bytes": 1048588,
    "message.timestamp.after.max.ms": 3600000, "message.timestamp.before.max.ms": "9223372036854775807",
    "message.timestamp.type": "CreateTime", "min.cleanable.dirty.ratio": 0.5, "min.compaction.lag.ms": 0,
    "min.insync.replicas": 1, "preallocate": false, "remote.log.copy.disable": false,
    "remote.log.delete.on.disable": false, "remote.storage.enable": false, "retention.bytes": -1,
    "retention.ms": 604800000, "segment.bytes": 1073741824, "segment.index.bytes": 10485760,
    "segment.jitter.ms": 0, "segment.ms": 604800000, "unclean.leader.election.enable": false}') IS NOT NULL AS created;

-- validate_only checks everything and creates nothing.
SELECT kafka.create_topic('create_later', 3, validate_only => true) IS NULL AS nothing;
SELECT kafka.create_topic('create_plain', validate_only => true);
SELECT kafka.create_topic('no good', validate_only => true);
SELECT kafka.create_topic('create_later', 10001, validate_only => true);
SELECT kafka.create_topic('create_later', config => '{"retention.ms": "x"}', validate_only => true);
SELECT count(*) FROM kafka.topics WHERE topic IN ('create_bad', 'create_later');

-- A rolled back creation leaves the name free.
BEGIN;
SELECT kafka.create_topic('create_undone') IS NOT NULL AS created;
SELECT kafka.produce('create_undone', 'a');
ROLLBACK;
SELECT count(*) FROM kafka.topics WHERE topic = 'create_undone';
SELECT * FROM kafka.records('create_undone');
BEGIN;
SAVEPOINT s;
SELECT kafka.create_topic('create_undone') IS NOT NULL AS created;
ROLLBACK TO s;
SELECT kafka.create_topic('create_undone', 2) IS NOT NULL AS created;
SELECT kafka.produce('create_undone', 'b', partition => 1);
COMMIT;
SELECT partition, "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('create_undone');
