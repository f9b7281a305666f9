-- Who may write in the name of a transactional id, and what everybody else is told.
\getenv abs_srcdir PG_ABS_SRCDIR
\set batch_helpers :abs_srcdir '/include/batch.sql'
\i :batch_helpers
ALTER SEQUENCE kafka_log.producer_id_seq RESTART WITH 2000;
SELECT kafka.create_topic('fenced', 2) IS NOT NULL AS created;
CREATE VIEW state AS SELECT transactional_id, producer_id, producer_epoch, state, topic_partitions, group_ids FROM kafka.transactions WHERE transactional_id LIKE 'fenced%' ORDER BY 1;
CREATE VIEW fenced AS SELECT partition, "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('fenced') ORDER BY 1, 2;

-- A second producer with the same transactional id fences the first, and aborts what it has open.
SELECT * FROM kafka.init_producer_id('fenced');
SELECT error_code FROM kafka.add_partitions_to_txn('fenced', 2000, '0', ARRAY['fenced'], ARRAY[0]);
SELECT error_code FROM txn_send('fenced', 2000, 0, 1, 'fenced', 0, 0, 'of the first');
SELECT * FROM kafka.init_producer_id('fenced');
SELECT * FROM state;
SELECT * FROM txn_send('fenced', 2000, 0, 1, 'fenced', 0, 1, 'of the first');
SELECT * FROM txn_send('fenced', 2000, 0, 1, 'fenced', 1, 0, 'of the first');
SELECT * FROM txn_send('fenced', 2000, 0, 2, 'fenced', 1, 0, 'of the first');
SELECT * FROM kafka.add_partitions_to_txn('fenced', 2000, '0', ARRAY['fenced'], ARRAY[0]);
SELECT * FROM kafka.add_offsets_to_txn('fenced', 2000, '0', 'g');
SELECT * FROM kafka.txn_offset_commit('fenced', 'g', 2000, '0', ARRAY['fenced'], ARRAY[0], ARRAY[1]::bigint[]);
SELECT * FROM kafka.end_txn('fenced', 2000, '0', true);
SELECT * FROM kafka.end_txn('fenced', 2000, '0', false, '2');
-- The epoch of the abort in between is nobody's.
SELECT * FROM kafka.end_txn('fenced', 2000, '1', true);
SELECT * FROM txn_send('fenced', 2000, 2, 2, 'fenced', 0, 0, 'of the second');
SELECT error_code FROM kafka.end_txn('fenced', 2000, '2', true);
SELECT * FROM fenced;
-- Without a transaction each gets the next epoch.
SELECT producer_id, producer_epoch FROM kafka.init_producer_id('fenced');
SELECT producer_id, producer_epoch FROM kafka.init_producer_id('fenced', 30000);
SELECT timeout_ms FROM kafka.transactions WHERE transactional_id = 'fenced';

-- A producer that goes on after an error names what it has (KIP-360); repeated, as when the answer was lost, it gets the same again.
SELECT * FROM kafka.init_producer_id('fenced', producer_id => 2000, producer_epoch => '4');
SELECT * FROM kafka.init_producer_id('fenced', producer_id => 2000, producer_epoch => '4');
SELECT * FROM kafka.init_producer_id('fenced', producer_id => 2000, producer_epoch => '3');
SELECT * FROM kafka.init_producer_id('fenced', producer_id => 2000, producer_epoch => '6');
SELECT * FROM kafka.init_producer_id('fenced', producer_id => 1999, producer_epoch => '5');
SELECT * FROM state;
-- -1 and -1 is nobody, as on the wire.
SELECT * FROM kafka.init_producer_id('fenced', 60000, -1, '-1');
SELECT * FROM kafka.init_producer_id('fenced', 60000, 2000);
SELECT * FROM kafka.init_producer_id('fenced', 60000, NULL, '6');
-- What it has open is aborted.
SELECT error_code FROM txn_send('fenced', 2000, 6, 2, 'fenced', 0, 0, 'given up');
SELECT * FROM kafka.init_producer_id('fenced', producer_id => 2000, producer_epoch => '6');
SELECT * FROM state;
-- Of a transactional id that nobody knows: a new producer.
SELECT * FROM kafka.init_producer_id('fenced-expired', producer_id => 77, producer_epoch => '5');
-- When the epochs are used up the next producer gets another id, who goes on is known by the one before.
UPDATE kafka_log.transactions SET producer_epoch = 32765 WHERE transactional_id = 'fenced';
SELECT * FROM kafka.init_producer_id('fenced');
SELECT * FROM kafka.init_producer_id('fenced', producer_id => 2000, producer_epoch => '32766');
SELECT * FROM kafka.init_producer_id('fenced', producer_id => 2000, producer_epoch => '32766');
SELECT * FROM txn_send('fenced', 2000, 32766, 2, 'fenced', 0, 0, 'of the id before');
SELECT * FROM txn_send('fenced', 2002, 0, 2, 'fenced', 0, 0, 'of the new id');
UPDATE kafka_log.transactions SET producer_epoch = 32766 WHERE transactional_id = 'fenced';
-- The abort uses up the last epoch.
SELECT * FROM kafka.init_producer_id('fenced');
SELECT * FROM state;
SELECT * FROM fenced;

-- Partitions know the epochs too: what the coordinator would let pass an older epoch in the partition does not.
SELECT * FROM kafka.init_producer_id('fenced-early');
SELECT * FROM kafka.write_txn_markers(ARRAY[2004]::bigint[], '{3}', '{f}', ARRAY['fenced'], ARRAY[1]);
SELECT * FROM txn_send('fenced-early', 2004, 0, 2, 'fenced', 1, 0, 'early');
SELECT * FROM txn_send('fenced-early', 2004, 0, 2, 'fenced', 0, 0, 'early');
SELECT * FROM state WHERE transactional_id = 'fenced-early';
-- While a transaction is open in the partition its producer's batches have to be part of it.
SELECT error_code, error_message FROM kafka.produce_batches(ARRAY['fenced'], ARRAY[0], ARRAY[record_batch(2004, 0, 1, false, 'not part of it')]);
-- A batch that is not transactional is not judged by transactional_ids.
SELECT error_code, error_message FROM kafka.produce_batches(ARRAY['fenced', 'fenced'], ARRAY[1, 1], ARRAY[record_batch(7, 0, 0, false, 'idempotent'), record_batch(-1, -1, -1, false, 'plain')], transactional_ids => ARRAY['no such id', NULL]);
-- One that is needs an id, and a producer.
SELECT error_code, error_message FROM kafka.produce_batches(ARRAY['fenced', 'fenced', 'fenced', 'fenced', 'fenced', 'fenced'], ARRAY[1, 1, 1, 1, 1, 1],
    ARRAY[record_batch(2004, 0, 0, true, 'x'), record_batch(2004, 0, 0, true, 'x'), record_batch(2004, 0, 0, true, 'x'), record_batch(-1, -1, -1, true, 'x'), record_batch(2004, 0, 0, true, 'x'), record_batch(2003, 0, 0, true, 'x')],
    transactional_ids => ARRAY[NULL, '', 'no such id', 'fenced-early', 'fenced-early', 'fenced-early'], transaction_versions => '{1,1,1,1,3,1}');
-- Control batches are the server's.
SELECT error_code, error_message FROM kafka.produce_batches(ARRAY['fenced'], ARRAY[1], ARRAY[patched(record_batch(2004, 0, 0, true, 'x'), 21, '\x0030')], transactional_ids => ARRAY['fenced-early']);
-- Several transactions in one call, each judged by itself; the elements of one transactional id come in their order.
SELECT * FROM kafka.init_producer_id('fenced-one');
SELECT * FROM kafka.init_producer_id('fenced-two');
SELECT idx, error_code, error_message, base_offset >= 0 AS appended FROM kafka.produce_batches(array_fill('fenced'::text, ARRAY[6]), ARRAY[0, 1, 0, 1, 0, 1],
    ARRAY[record_batch(2006, 0, 0, true, 'two'), record_batch(2005, 0, 0, true, 'one'), record_batch(2006, 0, 1, true, 'two'), record_batch(2005, 1, 1, true, 'one'), record_batch(2006, 0, 5, true, 'two'), record_batch(2006, 0, 0, true, 'of another')],
    transactional_ids => ARRAY['fenced-two', 'fenced-one', 'fenced-two', 'fenced-one', 'fenced-two', 'fenced-one'], transaction_versions => '{2,2,2,2,2,2}');
SELECT * FROM state WHERE transactional_id IN ('fenced-one', 'fenced-two');
SELECT p.error_code FROM (VALUES ('fenced-one', 2005), ('fenced-two', 2006)) AS v (id, producer), kafka.end_txn(id, producer, '0', true, '2') AS p;

-- Ends that there are none of, by the state in which the transactional id is, version and outcome.
CREATE FUNCTION ended(state text, version int, committed boolean, epoch int) RETURNS TABLE (error_code int2, error_message text, producer_epoch int2) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE kafka_log.transactions SET state = ended.state, producer_epoch = 5, started_at = -1 WHERE transactional_id = 'fenced-one';
    RETURN QUERY SELECT e.error_code, e.error_message, e.producer_epoch FROM kafka.end_txn('fenced-one', 2005, epoch::int2, committed, version::int2) AS e;
END $$;
SELECT state, version, CASE WHEN committed THEN 'commit' ELSE 'abort' END AS outcome, epoch, e.error_code, e.error_message, e.producer_epoch
FROM unnest('{Empty,CompleteCommit,CompleteAbort}'::text[]) WITH ORDINALITY AS s (state, n), generate_series(1, 2) AS version, unnest('{t,f}'::boolean[]) AS committed, generate_series(5, 4, -1) AS epoch,
     LATERAL (SELECT * FROM ended(state, version, committed, epoch)) AS e ORDER BY n, version, committed DESC, epoch DESC;
DROP FUNCTION ended;

-- What each function says of an unknown, an empty and another's transactional id.
SELECT id, f, e.error_code, e.error_message FROM unnest('{no such id,"",fenced-two}'::text[]) WITH ORDINALITY AS i (id, n), LATERAL (
    SELECT 1, 'add_partitions_to_txn', error_code, error_message FROM kafka.add_partitions_to_txn(id, 9, '0', ARRAY['fenced'], ARRAY[0])
    UNION ALL SELECT 2, 'add_partitions_to_txn, verify_only', error_code, error_message FROM kafka.add_partitions_to_txn(id, 9, '0', ARRAY['fenced'], ARRAY[0], true)
    UNION ALL SELECT 3, 'add_offsets_to_txn', error_code, error_message FROM kafka.add_offsets_to_txn(id, 9, '0', 'g')
    UNION ALL SELECT 4, 'txn_offset_commit', error_code, error_message FROM kafka.txn_offset_commit(id, 'g', 9, '0', ARRAY['fenced'], ARRAY[0], ARRAY[1]::bigint[])
    UNION ALL SELECT 5, 'end_txn', error_code, error_message FROM kafka.end_txn(id, 9, '0', true)
    UNION ALL SELECT 6, 'end_txn, version 2', error_code, error_message FROM kafka.end_txn(id, 9, '0', false, '2')
    UNION ALL SELECT 7, 'produce_batches', error_code, error_message FROM txn_send(id, 9, 0, 1, 'fenced', 0, 0, 'x')
    UNION ALL SELECT 8, 'produce_batches, version 2', error_code, error_message FROM txn_send(id, 9, 0, 2, 'fenced', 0, 0, 'x')
) AS e (o, f, error_code, error_message) ORDER BY n, o;
SELECT * FROM kafka.init_producer_id('');
SELECT * FROM kafka.init_producer_id('fenced-none', 0);
SELECT * FROM kafka.init_producer_id('fenced-none', -1);
SELECT * FROM kafka.init_producer_id('fenced-none', 900001);
SET pg_kafka.transaction_max_timeout = '1h';
SELECT error_code, producer_epoch FROM kafka.init_producer_id('fenced-long', 900001);
RESET pg_kafka.transaction_max_timeout;
SELECT count(*) FROM state WHERE transactional_id = 'fenced-none';

-- Partitions are added all or none; verify_only asks, and adds none.
SELECT * FROM kafka.init_producer_id('fenced-add');
SELECT producer_id AS pid FROM kafka.transactions WHERE transactional_id = 'fenced-add' \gset
SELECT * FROM kafka.add_partitions_to_txn('fenced-add', :pid, '0', ARRAY['fenced', 'no_such_topic', 'fenced'], ARRAY[0, 0, 2]);
SELECT * FROM kafka.add_partitions_to_txn('fenced-add', :pid, '0', ARRAY['fenced', 'fenced'], ARRAY[0, -1]);
SELECT * FROM state WHERE transactional_id = 'fenced-add';
SELECT * FROM kafka.add_partitions_to_txn('fenced-add', :pid, '0', ARRAY['fenced'], ARRAY[1]);
SELECT * FROM kafka.add_partitions_to_txn('fenced-add', :pid, '0', ARRAY['fenced'], ARRAY[1]);
SELECT * FROM kafka.add_partitions_to_txn('fenced-add', :pid, '0', ARRAY['fenced', 'fenced', 'no_such_topic'], ARRAY[0, 1, 0], verify_only => true);
SELECT * FROM state WHERE transactional_id = 'fenced-add';
SELECT * FROM kafka.add_partitions_to_txn('fenced-add', :pid, '0', '{}', '{}');
-- The same by kafka.produce_batches in version 1; the other partition becomes part of the transaction by version 2.
SELECT error_code FROM txn_send('fenced-add', :pid, 0, 1, 'fenced', 0, 0, 'x');
SELECT error_code FROM txn_send('fenced-add', :pid, 0, 2, 'fenced', 0, 0, 'x');
SELECT * FROM state WHERE transactional_id = 'fenced-add';
SELECT error_code FROM kafka.end_txn('fenced-add', :pid, '0', false);

-- The empty group id, versions that there are not, arrays that do not fit, a read-only transaction.
SELECT * FROM kafka.add_offsets_to_txn('fenced-add', :pid, '0', '');
SELECT * FROM kafka.end_txn('fenced-add', :pid, '0', true, '3');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM kafka.end_txn('fenced-add', :pid, '0', true, '0');
SELECT * FROM kafka.txn_offset_commit('fenced-add', 'g', :pid, '0', ARRAY['fenced'], ARRAY[0], ARRAY[1]::bigint[], transaction_version => '7');
SELECT * FROM kafka.add_partitions_to_txn('fenced-add', :pid, '0', ARRAY['fenced'], ARRAY[0, 1]);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM kafka.txn_offset_commit('fenced-add', 'g', :pid, '0', ARRAY['fenced'], ARRAY[0], ARRAY[1, 2]::bigint[]);
SELECT * FROM kafka.write_txn_markers(ARRAY[1]::bigint[], '{0}', '{t,f}', ARRAY['fenced'], ARRAY[0]);
SELECT * FROM kafka.describe_producers(ARRAY['fenced'], ARRAY[0, 1]);
SELECT * FROM kafka.produce_batches(ARRAY['fenced'], ARRAY[0], ARRAY['\x']::bytea[], transactional_ids => '{}');
SELECT * FROM kafka.produce_batches(ARRAY['fenced'], ARRAY[0], ARRAY['\x']::bytea[], transaction_versions => '{1,2}');
BEGIN READ ONLY;
SAVEPOINT s;
SELECT * FROM kafka.init_producer_id('fenced');
ROLLBACK TO s;
SELECT * FROM kafka.end_txn('fenced-add', :pid, '0', true);
ROLLBACK TO s;
SELECT * FROM kafka.abort_transaction('fenced-add');
ROLLBACK TO s;
SELECT state FROM kafka.describe_transactions(ARRAY['fenced-add']);
SELECT transactional_id FROM kafka.list_transactions(transactional_id_pattern => 'fenced-add');
SELECT count(*) FROM kafka.describe_producers(ARRAY['fenced'], ARRAY[0]) WHERE error_code = 0;
COMMIT;

SELECT transactional_id, kafka.abort_transaction(transactional_id) FROM state WHERE state = 'Ongoing';
SELECT count(kafka.delete_topic('fenced')) AS deleted;
DROP VIEW state, fenced;
