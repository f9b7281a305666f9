-- Version 0.3.0: transactions. A new installation runs this script behind the others, so
-- that it ends where an upgrade ends. Functions that got new parameters are made anew:
-- rights on them that were granted to roles have to be granted again.

-- Tables
CREATE TABLE kafka_log.transactions (
    transactional_id text COLLATE "C" PRIMARY KEY,
    producer_id int8 NOT NULL UNIQUE,
    producer_epoch int2 NOT NULL,
    previous_producer_id int8 NOT NULL,
    last_producer_epoch int2 NOT NULL,
    timeout_ms int4 NOT NULL,
    state text NOT NULL CHECK (state IN ('Empty', 'Ongoing', 'CompleteCommit', 'CompleteAbort')),
    transaction_version int2 NOT NULL,
    started_at int8 NOT NULL,
    updated_at int8 NOT NULL,
    topic_numbers int4[] NOT NULL,
    partitions int4[] NOT NULL,
    group_ids text[] COLLATE "C" NOT NULL
) WITH (fillfactor = 50);

ALTER TABLE kafka_log.producers
    ADD COLUMN coordinator_epoch int4 NOT NULL DEFAULT -1,
    ADD COLUMN txn_first_offset int8;
CREATE INDEX producers_open_transactions ON kafka_log.producers (topic_number, partition, txn_first_offset)
    WHERE txn_first_offset IS NOT NULL;

CREATE TABLE kafka_log.aborted_transactions (
    topic_number int4 NOT NULL,
    partition int4 NOT NULL,
    last_offset int8 NOT NULL,
    producer_id int8 NOT NULL,
    first_offset int8 NOT NULL,
    last_stable_offset int8 NOT NULL,
    PRIMARY KEY (topic_number, partition, last_offset)
);

CREATE TABLE kafka_log.transaction_offsets (
    group_id text COLLATE "C" NOT NULL,
    topic_number int4 NOT NULL,
    partition int4 NOT NULL,
    producer_id int8 NOT NULL,
    committed_offset int8 NOT NULL,
    leader_epoch int4,
    metadata text NOT NULL,
    PRIMARY KEY (group_id, topic_number, partition, producer_id)
);

SELECT pg_catalog.pg_extension_config_dump('kafka_log.transactions', '');
SELECT pg_catalog.pg_extension_config_dump('kafka_log.aborted_transactions', '');
SELECT pg_catalog.pg_extension_config_dump('kafka_log.transaction_offsets', '');

-- Producers. Calls about a transaction answer with Kafka's error_code instead of raising
-- it: a transaction that a call finds timed out is aborted for good.
DROP FUNCTION kafka.init_producer_id();
CREATE FUNCTION kafka.init_producer_id(
    transactional_id text DEFAULT NULL,
    transaction_timeout_ms int4 DEFAULT 60000,
    producer_id int8 DEFAULT NULL,
    producer_epoch int2 DEFAULT NULL
) RETURNS TABLE (producer_id int8, producer_epoch int2, error_code int2, error_message text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'init_producer_id_wrapper';

DROP FUNCTION kafka.produce_batches(text[], int4[], bytea[], uuid[], int2);
CREATE FUNCTION kafka.produce_batches(
    topics text[],
    partitions int4[],
    batches bytea[],
    topic_ids uuid[] DEFAULT NULL,
    acks int2 DEFAULT -1,
    transactional_ids text[] DEFAULT NULL,
    transaction_versions int2[] DEFAULT NULL
) RETURNS TABLE (
    idx int4,
    error_code int2,
    error_message text,
    base_offset int8,
    log_append_time int8,
    log_start_offset int8,
    partition int4
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'produce_batches_wrapper';

-- Transactions
CREATE FUNCTION kafka.add_partitions_to_txn(
    transactional_id text,
    producer_id int8,
    producer_epoch int2,
    topics text[],
    partitions int4[],
    verify_only boolean DEFAULT false
) RETURNS TABLE (idx int4, error_code int2, error_message text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'add_partitions_to_txn_wrapper';

CREATE FUNCTION kafka.add_offsets_to_txn(transactional_id text, producer_id int8, producer_epoch int2, group_id text)
    RETURNS TABLE (error_code int2, error_message text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'add_offsets_to_txn_wrapper';

CREATE FUNCTION kafka.txn_offset_commit(
    transactional_id text,
    group_id text,
    producer_id int8,
    producer_epoch int2,
    topics text[],
    partitions int4[],
    offsets int8[],
    leader_epochs int4[] DEFAULT NULL,
    metadata text[] DEFAULT NULL,
    member_id text DEFAULT NULL,
    generation_id int4 DEFAULT NULL,
    group_instance_id text DEFAULT NULL,
    transaction_version int2 DEFAULT 1
) RETURNS TABLE (idx int4, error_code int2, error_message text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'txn_offset_commit_wrapper';

CREATE FUNCTION kafka.end_txn(
    transactional_id text,
    producer_id int8,
    producer_epoch int2,
    committed boolean,
    transaction_version int2 DEFAULT 1
) RETURNS TABLE (error_code int2, error_message text, producer_id int8, producer_epoch int2)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'end_txn_wrapper';

CREATE FUNCTION kafka.abort_transaction(transactional_id text) RETURNS boolean
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'abort_transaction_wrapper';

CREATE FUNCTION kafka.write_txn_markers(
    producer_ids int8[],
    producer_epochs int2[],
    committed boolean[],
    topics text[],
    partitions int4[],
    coordinator_epochs int4[] DEFAULT NULL
) RETURNS TABLE (idx int4, error_code int2, error_message text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'write_txn_markers_wrapper';

-- Inspection
CREATE FUNCTION kafka.describe_producers(topics text[], partitions int4[])
    RETURNS TABLE (
        idx int4,
        error_code int2,
        error_message text,
        producer_id int8,
        producer_epoch int2,
        last_sequence int4,
        last_timestamp int8,
        coordinator_epoch int4,
        txn_first_offset int8
    )
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'describe_producers_wrapper';

CREATE FUNCTION kafka.describe_transactions(transactional_ids text[])
    RETURNS TABLE (
        idx int4,
        error_code int2,
        error_message text,
        transactional_id text,
        state text,
        timeout_ms int4,
        started_at int8,
        producer_id int8,
        producer_epoch int2,
        topics text[],
        partitions int4[],
        group_ids text[]
    )
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'describe_transactions_wrapper';

CREATE FUNCTION kafka.list_transactions(
    states text[] DEFAULT NULL,
    producer_ids int8[] DEFAULT NULL,
    min_duration_ms int8 DEFAULT NULL,
    transactional_id_pattern text DEFAULT NULL
) RETURNS TABLE (transactional_id text, producer_id int8, state text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'list_transactions_wrapper';

-- Fetch
DROP FUNCTION kafka.fetch_batches(text[], int4[], int8[], int4[], int4, int4, text, uuid[]);
CREATE FUNCTION kafka.fetch_batches(
    topics text[],
    partitions int4[],
    offsets int8[],
    partition_max_bytes int4[] DEFAULT NULL,
    max_bytes int4 DEFAULT 52428800,
    min_bytes int4 DEFAULT 0,
    isolation text DEFAULT 'read_uncommitted',
    topic_ids uuid[] DEFAULT NULL
) RETURNS TABLE (
    idx int4,
    error_code int2,
    error_message text,
    high_watermark int8,
    last_stable_offset int8,
    log_start_offset int8,
    records bytea,
    aborted_producer_ids int8[],
    aborted_first_offsets int8[]
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'fetch_batches_wrapper';

-- Offsets
DROP FUNCTION kafka.committed_offsets(text, text[], int4[], uuid[], text, int4);
CREATE FUNCTION kafka.committed_offsets(
    group_id text,
    topics text[] DEFAULT NULL,
    partitions int4[] DEFAULT NULL,
    topic_ids uuid[] DEFAULT NULL,
    member_id text DEFAULT NULL,
    member_epoch int4 DEFAULT NULL,
    require_stable boolean DEFAULT false
) RETURNS TABLE (
    idx int4,
    error_code int2,
    error_message text,
    topic text,
    topic_id uuid,
    partition int4,
    "offset" int8,
    leader_epoch int4,
    metadata text,
    committed_at timestamptz
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'committed_offsets_wrapper';

-- Views. WITH keeps them from being updatable: all this changes through the functions.
CREATE VIEW kafka.producers AS
    WITH p AS (SELECT * FROM kafka_log.producers WHERE producer_epoch >= 0)
    SELECT
        t.topic,
        p.partition,
        p.producer_id,
        p.producer_epoch,
        p.batches[pg_catalog.array_upper(p.batches, 1) - 2]::int4 AS last_sequence,
        p.txn_first_offset,
        p.updated_at
    FROM p JOIN kafka_log.topics AS t ON t.topic_number = p.topic_number;

CREATE VIEW kafka.transactions AS
    WITH x AS (SELECT * FROM kafka_log.transactions)
    SELECT
        x.transactional_id,
        x.producer_id,
        x.producer_epoch,
        x.state,
        x.timeout_ms,
        CASE WHEN x.started_at >= 0 THEN pg_catalog.to_timestamp(x.started_at / 1000.0) END AS started_at,
        pg_catalog.to_timestamp(x.updated_at / 1000.0) AS updated_at,
        ARRAY(
            SELECT pg_catalog.format('%s-%s', t.topic, n.partition)
            FROM ROWS FROM (pg_catalog.unnest(x.topic_numbers), pg_catalog.unnest(x.partitions)) AS n (topic_number, partition)
            JOIN kafka_log.topics AS t ON t.topic_number = n.topic_number
            ORDER BY t.topic, n.partition
        ) AS topic_partitions,
        x.group_ids
    FROM x;

-- Nobody but the owner may use anything until it is granted.
REVOKE ALL ON kafka_log.transactions, kafka_log.aborted_transactions, kafka_log.transaction_offsets FROM PUBLIC;
REVOKE ALL ON kafka.producers, kafka.transactions FROM PUBLIC;
REVOKE ALL ON FUNCTION
    kafka.init_producer_id(text, int4, int8, int2),
    kafka.produce_batches(text[], int4[], bytea[], uuid[], int2, text[], int2[]),
    kafka.add_partitions_to_txn(text, int8, int2, text[], int4[], boolean),
    kafka.add_offsets_to_txn(text, int8, int2, text),
    kafka.txn_offset_commit(text, text, int8, int2, text[], int4[], int8[], int4[], text[], text, int4, text, int2),
    kafka.end_txn(text, int8, int2, boolean, int2),
    kafka.abort_transaction(text),
    kafka.write_txn_markers(int8[], int2[], boolean[], text[], int4[], int4[]),
    kafka.describe_producers(text[], int4[]),
    kafka.describe_transactions(text[]),
    kafka.list_transactions(text[], int8[], int8, text),
    kafka.fetch_batches(text[], int4[], int8[], int4[], int4, int4, text, uuid[]),
    kafka.committed_offsets(text, text[], int4[], uuid[], text, int4, boolean)
FROM PUBLIC;

COMMENT ON TABLE kafka_log.transactions IS 'State of transactional producers, one row per transactional id.';
COMMENT ON COLUMN kafka_log.transactions.transactional_id IS 'Name that the producer keeps over restarts.';
COMMENT ON COLUMN kafka_log.transactions.producer_id IS 'Its producer id; another one when the epochs are used up.';
COMMENT ON COLUMN kafka_log.transactions.producer_epoch IS 'Current epoch: whoever names an older one is fenced.';
COMMENT ON COLUMN kafka_log.transactions.previous_producer_id IS 'Producer id before the last change of state, -1 for none.';
COMMENT ON COLUMN kafka_log.transactions.last_producer_epoch IS 'Epoch that a repeated request may still name, -1 for none.';
COMMENT ON COLUMN kafka_log.transactions.timeout_ms IS 'A transaction that is open for longer is aborted.';
COMMENT ON COLUMN kafka_log.transactions.state IS 'As Kafka names it: Empty, Ongoing, CompleteCommit or CompleteAbort.';
COMMENT ON COLUMN kafka_log.transactions.transaction_version IS '2 where the producer gets another epoch with each transaction (KIP-890), as last used.';
COMMENT ON COLUMN kafka_log.transactions.started_at IS 'When the last transaction began, in milliseconds since the epoch; -1 for none.';
COMMENT ON COLUMN kafka_log.transactions.updated_at IS 'When the state last changed, in milliseconds since the epoch.';
COMMENT ON COLUMN kafka_log.transactions.topic_numbers IS 'Topics of the open transaction''s partitions.';
COMMENT ON COLUMN kafka_log.transactions.partitions IS 'Its partitions, beside their topics.';
COMMENT ON COLUMN kafka_log.transactions.group_ids IS 'Groups of which it may commit offsets.';

COMMENT ON COLUMN kafka_log.producers.producer_epoch IS 'Epoch of the last accepted batch or transaction marker; -1 before the first.';
COMMENT ON COLUMN kafka_log.producers.updated_at IS 'When the last batch or transaction marker was accepted.';
COMMENT ON COLUMN kafka_log.producers.coordinator_epoch IS 'Coordinator epoch of the last transaction marker, -1 before the first.';
COMMENT ON COLUMN kafka_log.producers.txn_first_offset IS 'Where the producer''s open transaction begins in this partition; null for none.';

COMMENT ON TABLE kafka_log.aborted_transactions IS 'What readers at read_committed skip: aborted transactions, one row per partition.';
COMMENT ON COLUMN kafka_log.aborted_transactions.topic_number IS 'The topic.';
COMMENT ON COLUMN kafka_log.aborted_transactions.partition IS 'Partition number, from 0.';
COMMENT ON COLUMN kafka_log.aborted_transactions.last_offset IS 'Offset of the abort marker.';
COMMENT ON COLUMN kafka_log.aborted_transactions.producer_id IS 'Who was aborted.';
COMMENT ON COLUMN kafka_log.aborted_transactions.first_offset IS 'First offset of the transaction in this partition.';
COMMENT ON COLUMN kafka_log.aborted_transactions.last_stable_offset IS 'No transaction that ends behind this marker begins before this offset.';

COMMENT ON TABLE kafka_log.transaction_offsets IS 'Offsets committed in transactions that are still open.';
COMMENT ON COLUMN kafka_log.transaction_offsets.group_id IS 'The group.';
COMMENT ON COLUMN kafka_log.transaction_offsets.topic_number IS 'The topic.';
COMMENT ON COLUMN kafka_log.transaction_offsets.partition IS 'Partition number, from 0.';
COMMENT ON COLUMN kafka_log.transaction_offsets.producer_id IS 'Whose transaction it is.';
COMMENT ON COLUMN kafka_log.transaction_offsets.committed_offset IS 'Offset of the next record to be read.';
COMMENT ON COLUMN kafka_log.transaction_offsets.leader_epoch IS 'Leader epoch of the record before, where the client told it.';
COMMENT ON COLUMN kafka_log.transaction_offsets.metadata IS 'What the client wanted to be kept with it.';

COMMENT ON VIEW kafka.producers IS 'Idempotent and transactional producers, one row for each partition they have written to.';
COMMENT ON COLUMN kafka.producers.topic IS 'Name of the topic.';
COMMENT ON COLUMN kafka.producers.partition IS 'Partition number, from 0.';
COMMENT ON COLUMN kafka.producers.producer_id IS 'Id that kafka.init_producer_id gave.';
COMMENT ON COLUMN kafka.producers.producer_epoch IS 'Epoch of the last accepted batch or transaction marker.';
COMMENT ON COLUMN kafka.producers.last_sequence IS 'Sequence number of the last record; null where the epoch has none yet.';
COMMENT ON COLUMN kafka.producers.txn_first_offset IS 'Where its open transaction begins in this partition; null for none.';
COMMENT ON COLUMN kafka.producers.updated_at IS 'When the last batch or transaction marker was accepted.';
COMMENT ON VIEW kafka.transactions IS 'Transactional producers and their transactions.';
COMMENT ON COLUMN kafka.transactions.transactional_id IS 'Name that the producer keeps over restarts.';
COMMENT ON COLUMN kafka.transactions.producer_id IS 'Its producer id.';
COMMENT ON COLUMN kafka.transactions.producer_epoch IS 'Current epoch.';
COMMENT ON COLUMN kafka.transactions.state IS 'As Kafka names it: Empty, Ongoing, CompleteCommit or CompleteAbort.';
COMMENT ON COLUMN kafka.transactions.timeout_ms IS 'A transaction that is open for longer is aborted.';
COMMENT ON COLUMN kafka.transactions.started_at IS 'When the last transaction began.';
COMMENT ON COLUMN kafka.transactions.updated_at IS 'When the state last changed.';
COMMENT ON COLUMN kafka.transactions.topic_partitions IS 'Partitions of the open transaction, as topic-partition.';
COMMENT ON COLUMN kafka.transactions.group_ids IS 'Groups of which the open transaction may commit offsets.';

COMMENT ON FUNCTION kafka.init_producer_id(text, int4, int8, int2) IS 'Gives a producer id and epoch. Without a transactional_id: an id never given before, and epoch 0, for idempotent producers (KIP-98). With one: the id kept for it and the next epoch, which fences whoever has an older one; a transaction that is open is aborted. producer_id and producer_epoch: what a producer that goes on after an error has (KIP-360). error_code: 42 empty transactional id, 50 timeout outside 1 to pg_kafka.transaction_max_timeout, 90 fenced.';
COMMENT ON FUNCTION kafka.produce_batches(text[], int4[], bytea[], uuid[], int2, text[], int2[]) IS 'Appends record batches (format v2, KIP-98) at once, for the listener and bulk users: batches[i] goes to partition partitions[i] of topics[i], or of topic_ids[i] where that is not null; partition -1 routes each record by its key. Returns a row for each, idx from 1, with Kafka''s error_code (0 = none) and the base offset; one element''s fault does not affect the others. log_append_time is in milliseconds since the epoch, -1 where records keep their own. Batches with a producer id are checked for sequence and a repeated one is answered with its first offset. acks: -1, 0 or 1, else error 21. Batches of a transaction name their producer in transactional_ids[i]; transaction_versions[i]: 1 (default) where the partition has to be part of the transaction already, 2 where it becomes one (KIP-890). error_code then also 47 (older epoch), 48 (not a transactional batch while one is open), 49 (another producer id), 120 (partition not part of the transaction). Acknowledge to others only after COMMIT.';
COMMENT ON FUNCTION kafka.add_partitions_to_txn(text, int8, int2, text[], int4[], boolean) IS 'Adds partitions to a producer''s transaction, which begins with the first, or with verify_only asks whether they are part of it. Returns a row for each, idx from 1, with error_code 3 (unknown topic or partition; the others then have 55, not attempted), 42 (empty transactional id), 49 (another producer id), 90 (older epoch) or, of verify_only, 120 (not part of it).';
COMMENT ON FUNCTION kafka.add_offsets_to_txn(text, int8, int2, text) IS 'Lets a producer''s transaction commit offsets of a group, see kafka.txn_offset_commit. error_code: 24 empty group id, 42 empty transactional id, 49 another producer id, 90 older epoch.';
COMMENT ON FUNCTION kafka.txn_offset_commit(text, text, int8, int2, text[], int4[], int8[], int4[], text[], text, int4, text, int2) IS 'Commits offsets of a group in a producer''s transaction: they hold when it commits. Returns a row for each, idx from 1. member_id, generation_id and group_instance_id fence members that have lost their place (KIP-447): error_code 22, 25 or 82. transaction_version: 1 (default) after kafka.add_offsets_to_txn, 2 without (KIP-890). Others: 3 unknown topic or partition, 12 metadata too large, 47 older epoch, 49 another producer id, 120 the group is not part of the transaction.';
COMMENT ON FUNCTION kafka.end_txn(text, int8, int2, boolean, int2) IS 'Commits or aborts a producer''s transaction: markers in its partitions, offsets of its groups, all at once. transaction_version 2 gives the producer its next epoch (KIP-890), which is returned. Repeating a call does nothing. error_code: 42 empty transactional id, 48 there is no transaction to end in this way, 49 another producer id, 90 older epoch.';
COMMENT ON FUNCTION kafka.abort_transaction(text) IS 'Aborts the open transaction of a transactional id and fences its producer, as its timeout would. Returns whether there was one. Raises KF105 for an unknown transactional id.';
COMMENT ON FUNCTION kafka.write_txn_markers(int8[], int2[], boolean[], text[], int4[], int4[]) IS 'Writes a commit or abort marker of a producer into one partition, as Kafka''s admin client asks for to end a transaction that hangs there (KIP-664). Returns a row for each, idx from 1, with error_code 3 (unknown topic or partition), 47 (older epoch than the producer''s) or 52 (older coordinator epoch than the last marker''s).';
COMMENT ON FUNCTION kafka.describe_producers(text[], int4[]) IS 'The producers that partitions remember, idx from 1: a row for each, one with a null producer_id for a partition without, with error_code 3 for an unknown topic or partition. last_sequence is -1 where the epoch has none; last_timestamp in milliseconds since the epoch; txn_first_offset is where an open transaction begins (KIP-664).';
COMMENT ON FUNCTION kafka.describe_transactions(text[]) IS 'The transactions of transactional ids, idx from 1, with error_code 42 for an empty and 105 for an unknown id. Times in milliseconds; topics[i] and partitions[i] are a partition of an open transaction (KIP-664).';
COMMENT ON FUNCTION kafka.list_transactions(text[], int8[], int8, text) IS 'The transactional ids that are in one of the states, have one of the producer ids, have begun their last transaction more than so many milliseconds ago, or none, and match a regular expression as a whole; null or empty: all (KIP-664, KIP-994, KIP-1152).';
COMMENT ON FUNCTION kafka.fetch_batches(text[], int4[], int8[], int4[], int4, int4, text, uuid[]) IS 'Returns stored record batches unchanged, for the listener and bulk users: a row for each partition asked for, idx from 1, with Kafka''s error_code. The first batch may begin below the asked offset. partition_max_bytes and max_bytes limit the bytes, but at least one batch is returned. With fewer than min_bytes in all, records is empty everywhere. read_committed ends at the last stable offset and tells whose batches to skip: those of aborted_producer_ids[i] from aborted_first_offsets[i] to its next abort marker. Never waits.';
COMMENT ON FUNCTION kafka.committed_offsets(text, text[], int4[], uuid[], text, int4, boolean) IS 'What a group has committed: all of it where topics and topic_ids are null, otherwise a row for each partition asked for, idx from 1, with a null offset where there is none and error_code 100 for an unknown topic id. member_id and member_epoch: checked where the server assigns (KIP-848); raises KF025 and KF113. require_stable: error_code 88 where an open transaction is about to commit an offset (KIP-447).';
COMMENT ON FUNCTION kafka.maintain() IS 'Does what time alone brings about: groups go on whose members or phases timed out, offsets expire (pg_kafka.offsets_retention), unused groups go, transactions that timed out are aborted, transactional ids and producer ids expire (pg_kafka.transactional_id_expiration, pg_kafka.producer_id_expiration). Returns how much was done. The listener calls it every few seconds; correctness never depends on it.';
