-- Nobody but the owner may use anything until it is granted: messages are not public.
REVOKE ALL ON SCHEMA kafka, kafka_log FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA kafka, kafka_log FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA kafka_log FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA kafka FROM PUBLIC;
-- A conversion that shows nothing, and that the cast from jsonb needs.
GRANT EXECUTE ON FUNCTION kafka.headers(jsonb) TO PUBLIC;

COMMENT ON SCHEMA kafka IS 'Kafka as SQL functions: produce, fetch, topics and offsets. Errors carry SQLSTATE KFnnn, where nnn is Kafka''s error code.';
COMMENT ON SCHEMA kafka_log IS 'Tables behind schema kafka: the catalogue, and one log table for each topic. To be read and written through the functions only.';

COMMENT ON TABLE kafka_log.topics IS 'One row per topic. Its log table is kafka_log.t<topic_number>_<segment>.';
COMMENT ON COLUMN kafka_log.topics.topic_number IS 'Key of the topic inside this database; never used twice.';
COMMENT ON COLUMN kafka_log.topics.topic IS 'Name: 1 to 249 characters out of a-z, A-Z, 0-9, dot, underscore and hyphen.';
COMMENT ON COLUMN kafka_log.topics.topic_id IS 'Id that Kafka clients use since KIP-516; a topic created again under the same name has another.';
COMMENT ON COLUMN kafka_log.topics.partitions IS 'Number of partitions, 1 to 10000; it can only grow.';
COMMENT ON COLUMN kafka_log.topics.config IS 'Topic configs that differ from the defaults, by Kafka''s names, such as {"compression.type": "zstd"}.';
COMMENT ON COLUMN kafka_log.topics.segment IS 'Number of the segment that records are appended to.';
COMMENT ON COLUMN kafka_log.topics.created_at IS 'When the topic was created.';

COMMENT ON TABLE kafka_log.partitions IS 'Partitions whose log no longer begins at offset 0.';
COMMENT ON COLUMN kafka_log.partitions.topic_number IS 'The topic.';
COMMENT ON COLUMN kafka_log.partitions.partition IS 'Partition number, from 0.';
COMMENT ON COLUMN kafka_log.partitions.log_start_offset IS 'First offset that can still be read.';

COMMENT ON TABLE kafka_log.producers IS 'State of idempotent producers (KIP-98), one row per topic, partition and producer id.';
COMMENT ON COLUMN kafka_log.producers.topic_number IS 'The topic.';
COMMENT ON COLUMN kafka_log.producers.partition IS 'Partition number, from 0.';
COMMENT ON COLUMN kafka_log.producers.producer_id IS 'Id that kafka.init_producer_id gave.';
COMMENT ON COLUMN kafka_log.producers.producer_epoch IS 'Epoch of the last accepted batch; -1 before the first.';
COMMENT ON COLUMN kafka_log.producers.batches IS 'The last five batches, oldest first, four numbers each: base sequence, last sequence, base offset, timestamp in milliseconds since the epoch.';
COMMENT ON COLUMN kafka_log.producers.updated_at IS 'When the last batch was accepted.';

COMMENT ON SEQUENCE kafka_log.topic_number_seq IS 'Source of kafka_log.topics.topic_number.';
COMMENT ON SEQUENCE kafka_log.producer_id_seq IS 'Source of producer ids; never gives one twice.';

COMMENT ON TYPE kafka.header IS 'A record header: key as text, value as bytea or null. Order and repeated keys are kept.';
COMMENT ON COLUMN kafka.header.key IS 'Name of the header; not null.';
COMMENT ON COLUMN kafka.header.value IS 'Bytes, or null.';
COMMENT ON FUNCTION kafka.headers(jsonb) IS 'Makes record headers from jsonb: an object of names and values, or an array of {"key": ..., "value": ...} where order or repeated keys matter. Strings become their UTF-8 bytes, null no value, anything else its JSON text. Raises KF087 for other shapes.';
COMMENT ON CAST (jsonb AS kafka.header[]) IS 'Lets kafka.produce take its headers as jsonb.';

COMMENT ON FUNCTION kafka.create_topic(text, int4, jsonb, boolean) IS 'Creates a topic and returns its id. partitions: 1 to 10000, default pg_kafka.default_partitions. config: topic configs by Kafka''s names. validate_only: only checks and returns null. Raises KF017 for a bad name, KF036 where the topic exists, KF037 for a bad number of partitions, KF040 for a bad config.';
COMMENT ON FUNCTION kafka.create_partitions(text, int4, boolean) IS 'Raises the number of a topic''s partitions to the given total. Keys may then go to other partitions than before. validate_only: only checks. Raises KF003 for an unknown topic, KF037 where the number does not grow or exceeds 10000.';
COMMENT ON FUNCTION kafka.delete_topic(text) IS 'Drops a topic with all its records; waits for open transactions that produced to it. Raises KF003 for an unknown topic.';
COMMENT ON FUNCTION kafka.delete_records(text, int4, int8) IS 'Deletes a partition''s records below an offset (-1: below the high watermark) and returns the new log start offset (KIP-107). Raises KF001 for an offset beyond the high watermark, KF003 for an unknown topic or partition.';
COMMENT ON FUNCTION kafka.describe_topics(text[], uuid[], boolean) IS 'Looks topics up by id where topic_ids has one, else by name; all topics where both arrays are null. Returns a row for each, idx being its position from 1, with error_code 3 (unknown topic), 17 (bad name) or 100 (unknown id). auto_create: creates unknown names where pg_kafka.auto_create_topics is on.';
COMMENT ON FUNCTION kafka.produce(text, bytea, bytea, kafka.header[], int4, timestamptz) IS 'Produces a record in the caller''s transaction and returns its partition. It is appended when the transaction commits and is never seen if it rolls back. partition: default by murmur2 of the key as the Java client does, without a key one random partition for the whole transaction. timestamp: default now. A null value is a tombstone. An unknown topic is created where pg_kafka.auto_create_topics is on. Raises KF003 for an unknown topic or partition, KF010 where the record alone exceeds the topic''s max.message.bytes, KF032 for a time before 1970.';
COMMENT ON FUNCTION kafka.produce(text, text, text, kafka.header[], int4, timestamptz) IS 'The same for text, stored as UTF-8.';
COMMENT ON FUNCTION kafka.flush() IS 'Appends what this transaction has produced so far and returns the batches with their offsets. They stay invisible until commit, and from now on hold back other transactions'' later records of these partitions until this transaction ends.';
COMMENT ON FUNCTION kafka.produce_batches(text[], int4[], bytea[], uuid[], int2) IS 'Appends record batches (format v2, KIP-98) at once, for the listener and bulk users: batches[i] goes to partition partitions[i] of topics[i], or of topic_ids[i] where that is not null; partition -1 routes each record by its key. Returns a row for each, idx from 1, with Kafka''s error_code (0 = none) and the base offset; one element''s fault does not affect the others. log_append_time is in milliseconds since the epoch, -1 where records keep their own. Batches with a producer id are checked for sequence and a repeated one is answered with its first offset. acks: -1, 0 or 1, else error 21. Acknowledge to others only after COMMIT.';
COMMENT ON FUNCTION kafka.init_producer_id() IS 'Gives a producer id, never given before, and epoch 0, for idempotent producers (KIP-98).';
COMMENT ON FUNCTION kafka.fetch(text, int4, int8, int4, int4, int4, text) IS 'Returns the committed records of a partition from an offset on. max_records: default 500. max_bytes: of keys and values, default 50 MB; the first record is returned whatever its size. max_wait_ms: waits so long for the first record, default 0. isolation: read_committed (default) or read_uncommitted. Raises KF001 for an offset outside the log, KF003 for an unknown topic or partition. Works on a standby and in read-only transactions.';
COMMENT ON FUNCTION kafka.fetch_batches(text[], int4[], int8[], int4[], int4, int4, text, uuid[]) IS 'Returns stored record batches unchanged, for the listener and bulk users: a row for each partition asked for, idx from 1, with Kafka''s error_code. The first batch may begin below the asked offset. partition_max_bytes and max_bytes limit the bytes, but at least one batch is returned. With fewer than min_bytes in all, records is empty everywhere. Never waits.';
COMMENT ON FUNCTION kafka.records(text, text) IS 'Returns all committed records of a topic, partition by partition, up to the high watermarks at the time of the call. isolation: read_committed (default) or read_uncommitted.';
COMMENT ON FUNCTION kafka.list_offsets(text[], int4[], int8[], text) IS 'Looks up offsets for several partitions, idx from 1, with Kafka''s error_code. timestamps: -1 latest, -2 earliest, -3 the record with the largest timestamp, otherwise the first record at or after this time in milliseconds since the epoch. offset is -1 where there is none.';
COMMENT ON FUNCTION kafka.list_offsets(text, int4, int8) IS 'Looks up an offset by Kafka''s numbers: -1 latest, -2 earliest, -3 the record with the largest timestamp, otherwise the first record at or after this time in milliseconds since the epoch. Null where there is none.';
COMMENT ON FUNCTION kafka.list_offsets(text, int4, timestamptz) IS 'Returns the first record at or after a time; null where there is none.';
COMMENT ON FUNCTION kafka.list_offsets(text, int4, text) IS 'Looks up an offset: earliest, latest (where the next record goes), max_timestamp, or a time.';
COMMENT ON FUNCTION kafka.wait_for_records(text[], int4[], int8[], int4, int4) IS 'Waits until a partition''s high watermark exceeds the given one, at most max_wait_ms, and returns those that do (-1 where the partition is gone). waiter: an id by which kafka.interrupt_wait ends the wait early.';
COMMENT ON FUNCTION kafka.interrupt_wait(int4) IS 'Ends the kafka.wait_for_records calls with this waiter id; returns how many sessions it woke.';
COMMENT ON FUNCTION kafka.cluster() IS 'The cluster id for Kafka''s clients, the leader epoch (the server''s timeline, which grows when a standby is promoted), and whether this server is a standby.';
COMMENT ON FUNCTION kafka.watermarks(text, int4) IS 'First readable offset, high watermark (first offset not readable yet) and last stable offset of a partition.';
COMMENT ON FUNCTION kafka.partition_size(text, int4) IS 'Bytes and number of the stored record batches of a partition. Visits every batch.';

COMMENT ON VIEW kafka.topics IS 'The topics.';
COMMENT ON COLUMN kafka.topics.topic IS 'Name.';
COMMENT ON COLUMN kafka.topics.topic_id IS 'Id that Kafka clients use since KIP-516.';
COMMENT ON COLUMN kafka.topics.partitions IS 'Number of partitions.';
COMMENT ON COLUMN kafka.topics.config IS 'Topic configs that differ from the defaults.';
COMMENT ON COLUMN kafka.topics.created_at IS 'When the topic was created.';
COMMENT ON VIEW kafka.partitions IS 'The partitions with their offsets and sizes, as of the moment each row is read.';
COMMENT ON COLUMN kafka.partitions.topic IS 'Name of the topic.';
COMMENT ON COLUMN kafka.partitions.partition IS 'Partition number, from 0.';
COMMENT ON COLUMN kafka.partitions.log_start_offset IS 'First offset that can be read.';
COMMENT ON COLUMN kafka.partitions.high_watermark IS 'First offset that cannot be read yet.';
COMMENT ON COLUMN kafka.partitions.last_stable_offset IS 'First offset that read_committed cannot read yet.';
COMMENT ON COLUMN kafka.partitions.size_bytes IS 'Bytes of the stored record batches.';
COMMENT ON COLUMN kafka.partitions.batch_count IS 'Number of stored record batches.';
