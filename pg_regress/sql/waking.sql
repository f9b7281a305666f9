-- Who waits for records (kafka.fetch with max_wait_ms, kafka.wait_for_records) is woken by the commit of what it waits for.
\getenv abs_srcdir PG_ABS_SRCDIR
\set batch_helpers :abs_srcdir '/include/batch.sql'
\i :batch_helpers
SELECT kafka.create_topic('waking', 2) IS NOT NULL AS created;
CREATE EXTENSION dblink;
SELECT dblink_connect(name, format('host=%s port=%s dbname=%s user=%s', split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database(), current_user)) FROM unnest(ARRAY['w', 'w2']) AS name;
-- What the other sessions run. Without being woken they would look again after a second only.
CREATE FUNCTION waits() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r record;
    result text := '';
BEGIN
    FOR r IN SELECT * FROM kafka.fetch('waking', 0, (SELECT high_watermark FROM kafka.partitions WHERE topic = 'waking' AND partition = 0), max_wait_ms => 30000) LOOP
        result := result || convert_from(r.value, 'UTF8') || CASE WHEN clock_timestamp() - r."timestamp" < '0.7 s' THEN ' at once' ELSE ' late' END;
    END LOOP;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE FUNCTION waits_for_two(waiter int DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT 'new: ' || coalesce(string_agg(w::text, ' '), 'nothing')
    FROM kafka.wait_for_records(ARRAY['waking', 'waking'], ARRAY[0, 1], ARRAY(SELECT high_watermark FROM kafka.partitions WHERE topic = 'waking' ORDER BY partition), 30000, waiter) AS w
$$;
CREATE FUNCTION start(session text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    waiting int := (SELECT count(DISTINCT pid) FROM pg_locks WHERE locktype = 'userlock' AND mode = 'ShareLock');
BEGIN
    PERFORM dblink_send_query(session, statement);
    FOR i IN 1..1000 LOOP
        IF (SELECT count(DISTINCT pid) FROM pg_locks WHERE locktype = 'userlock' AND mode = 'ShareLock') > waiting THEN
            PERFORM pg_sleep(0.05);
            RETURN session || ' waits';
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RETURN session || ' does not wait';
END $$;
CREATE FUNCTION result(session text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text := (SELECT * FROM dblink_get_result(session) AS r (result text));
BEGIN
    PERFORM * FROM dblink_get_result(session) AS r (result text);
    RETURN session || ': ' || found;
END $$;

SELECT start('w', 'SELECT waits()');
SELECT kafka.produce('waking', 'first', partition => 0);
SELECT result('w');
-- Two who wait; a transaction of several statements, of which only the commit counts.
SELECT start('w', 'SELECT waits()');
SELECT start('w2', 'SELECT waits()');
BEGIN;
SELECT kafka.produce('waking', 'second', partition => 0);
SELECT record_count FROM kafka.flush();
SELECT dblink_is_busy('w') AS w, dblink_is_busy('w2') AS w2;
COMMIT;
SELECT result('w');
SELECT result('w2');
-- Rolled back, or for another partition: the wait goes on.
SELECT start('w', 'SELECT waits()');
BEGIN;
SELECT kafka.produce('waking', 'undone', partition => 0);
SELECT record_count FROM kafka.flush();
ROLLBACK;
SELECT kafka.produce('waking', 'other', partition => 1);
SELECT pg_sleep(0.1);
SELECT dblink_is_busy('w') AS w;
SELECT kafka.produce('waking', 'third', partition => 0);
SELECT result('w');
-- By produce_batches.
SELECT start('w', 'SELECT waits()');
SELECT p.error_code FROM kafka.fetch_batches(ARRAY['waking'], ARRAY[1], ARRAY[0]) AS f, kafka.produce_batches(ARRAY['waking'], ARRAY[0], ARRAY[f.records]) AS p;
SELECT split_part(result('w'), ' ', 2);
-- Held back by an open transaction before it: readable when that ends, even by a rollback, which wakes nobody but lets it be seen.
SELECT start('w', 'SELECT waits()');
SELECT dblink_exec('w2', 'BEGIN');
SELECT * FROM dblink('w2', $$SELECT kafka.produce('waking', 'open', partition => 0)::text$$) AS r (partition text);
SELECT * FROM dblink('w2', $$SELECT record_count FROM kafka.flush()$$) AS r (record_count int);
SELECT kafka.produce('waking', 'behind it', partition => 0);
SELECT pg_sleep(0.1);
SELECT dblink_is_busy('w') AS w;
SELECT dblink_exec('w2', 'ROLLBACK');
SELECT split_part(result('w'), ' ', 2);
-- COMMIT PREPARED wakes nobody: who waits looks again by itself.
SELECT start('w', 'SELECT waits()');
BEGIN;
SELECT kafka.produce('waking', 'prepared', partition => 0);
PREPARE TRANSACTION 'pg_kafka_waking';
SELECT dblink_is_busy('w') AS w;
COMMIT PREPARED 'pg_kafka_waking';
SELECT split_part(result('w'), ' ', 2);
-- Records of a producer's transaction are there when it ends; while it is open, and when it is aborted, the wait goes on.
SELECT producer_id AS pid FROM kafka.init_producer_id('waking') \gset
SELECT start('w', 'SELECT waits()');
SELECT error_code FROM txn_send('waking', :pid, 0, 2, 'waking', 0, 0, 'aborted');
SELECT error_code FROM kafka.end_txn('waking', :pid, '0', false, '2');
SELECT error_code FROM txn_send('waking', :pid, 1, 2, 'waking', 0, 0, 'committed');
SELECT pg_sleep(0.1);
SELECT dblink_is_busy('w') AS w;
SELECT error_code FROM kafka.end_txn('waking', :pid, '1', true, '2');
SELECT split_part(result('w'), ' ', 2);
-- kafka.wait_for_records names the partitions that have something new.
SELECT start('w', 'SELECT waits_for_two()');
BEGIN;
SELECT kafka.produce('waking', 'new', partition => 1), kafka.produce('waking', 'new', partition => 1);
COMMIT;
SELECT result('w');
-- kafka.interrupt_wait ends the wait of that number, and no other.
SELECT start('w', 'SELECT waits_for_two(7)');
SELECT start('w2', 'SELECT waits_for_two(8)');
SELECT kafka.interrupt_wait(9);
SELECT kafka.interrupt_wait(7);
SELECT result('w');
SELECT dblink_is_busy('w2') AS w2;
SELECT kafka.interrupt_wait(8);
SELECT result('w2');
SELECT kafka.interrupt_wait(7);
-- A wait is cancelled like any statement, and leaves no lock behind.
SELECT start('w', 'SELECT waits()');
SELECT dblink_cancel_query('w');
\set VERBOSITY terse
SELECT * FROM dblink_get_result('w', false) AS r (result text);
\set VERBOSITY default
SELECT * FROM dblink_get_result('w') AS r (result text);
SELECT * FROM dblink('w', 'SELECT 1') AS r (goes_on int);
SELECT count(*) FROM pg_locks WHERE locktype = 'userlock';
-- Who waits does not stop the topic from being enlarged or deleted, and learns that it is gone.
SET lock_timeout = '5 s';
SELECT start('w', 'SELECT waits()');
SELECT start('w2', 'SELECT waits_for_two()');
SELECT kafka.create_partitions('waking', 3);
SELECT kafka.delete_topic('waking');
SELECT result('w');
SELECT result('w2');
-- Made again under the same name meanwhile, it is another topic: an offset of the old one is not one of the new.
SELECT kafka.create_topic('waking', 2) IS NOT NULL AS created;
SELECT kafka.produce('waking', i::text, partition => 0) FROM generate_series(1, 3) AS i;
SELECT start('w', 'SELECT waits()');
BEGIN;
SELECT kafka.delete_topic('waking');
SELECT kafka.create_topic('waking', 2) IS NOT NULL AS created;
COMMIT;
SELECT result('w');
SELECT dblink_disconnect('w'), dblink_disconnect('w2');
DROP FUNCTION waits, waits_for_two, start, result;
DROP EXTENSION dblink;
