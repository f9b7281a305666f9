-- kafka.poll: records and the group's offsets in the caller's transaction.
SET pg_kafka.group_initial_rebalance_delay = 0;
SELECT kafka.create_topic('polled', 3) IS NOT NULL AS created;
SELECT count(kafka.produce('polled', 'v' || i, key => 'k' || i, partition => i % 3)) FROM generate_series(1, 9) AS i;
CREATE FUNCTION taken(max_records int DEFAULT 500) RETURNS SETOF text LANGUAGE sql VOLATILE AS $$
    SELECT convert_from(value, 'UTF8') FROM kafka.poll('pollers', ARRAY['polled'], max_records => max_records) ORDER BY partition, "offset"
$$;
CREATE TABLE result (value text);
-- Rolled back, they come again.
BEGIN;
SELECT * FROM taken();
ROLLBACK;
BEGIN;
INSERT INTO result SELECT * FROM taken();
SAVEPOINT s;
SELECT count(kafka.produce('polled', 'late', partition => 0)) FROM kafka.flush();
ROLLBACK TO s;
COMMIT;
SELECT * FROM result;
SELECT topic, partition, committed_offset, lag FROM kafka.consumer_lag WHERE group_id = 'pollers' ORDER BY partition;
-- Nothing twice, also in one transaction and by a savepoint.
SELECT count(kafka.produce('polled', 'w' || i, partition => 0)) FROM generate_series(1, 4) AS i;
BEGIN;
SELECT * FROM taken(1);
SELECT * FROM taken(1);
SAVEPOINT s;
SELECT * FROM taken(1);
ROLLBACK TO s;
SELECT * FROM taken(1);
COMMIT;
SELECT * FROM taken();
SELECT * FROM taken();
-- A member whose place is lost cannot commit what it has taken.
SELECT kafka.produce('polled', 'contested', partition => 1) AS partition;
BEGIN;
SELECT * FROM taken();
SELECT count(kafka.leave_group('pollers', member_id)) AS left_meanwhile FROM kafka.group_members WHERE group_id = 'pollers';
\set VERBOSITY sqlstate
COMMIT;
\set VERBOSITY default
SELECT * FROM taken();
SELECT * FROM taken();
-- Having polled nothing, it can.
BEGIN;
SELECT * FROM taken();
SELECT count(kafka.leave_group('pollers', member_id)) AS left_meanwhile FROM kafka.group_members WHERE group_id = 'pollers';
COMMIT;
-- Only what is new, or from the beginning.
SELECT count(*) FROM kafka.poll('latest', ARRAY['polled'], auto_offset_reset => 'latest');
SELECT count(*) FROM kafka.poll('earliest', ARRAY['polled'], max_records => 2);
SELECT count(*) FROM kafka.poll('earliest', ARRAY['polled'], max_bytes => 1);
SELECT count(*) FROM kafka.poll('earliest', ARRAY['polled'], max_records => 0);
-- Another subscription is taken up by the same member.
SELECT kafka.create_topic('polled-too') IS NOT NULL AS created, kafka.produce('polled-too', 'too') AS partition;
SELECT topic, convert_from(value, 'UTF8') AS value FROM kafka.poll('pollers', ARRAY['polled-too', 'polled']);
SELECT member_count, generation_id > 1 AS rebalanced FROM kafka.groups WHERE group_id = 'pollers';
-- So is a topic that grows.
SELECT kafka.create_partitions('polled-too', 2);
SELECT kafka.produce('polled-too', 'grown', partition => 1) AS partition;
SELECT topic, partition, convert_from(value, 'UTF8') AS value FROM kafka.poll('pollers', ARRAY['polled-too', 'polled']);
-- A static member is named by its instance.
SELECT count(*) > 0 AS some FROM kafka.poll('static-pollers', ARRAY['polled'], group_instance_id => 'p1');
SELECT group_instance_id FROM kafka.group_members WHERE group_id = 'static-pollers';
-- Whoever may poll needs no other right.
CREATE ROLE poller;
GRANT USAGE ON SCHEMA kafka TO poller;
SET ROLE poller;
SELECT * FROM kafka.poll('poor', ARRAY['polled']);
RESET ROLE;
GRANT EXECUTE ON FUNCTION kafka.poll TO poller;
SET ROLE poller;
SELECT count(*) > 0 AS some FROM kafka.poll('poor', ARRAY['polled']);
SELECT * FROM kafka.groups;
SELECT * FROM kafka.list_groups();
SELECT * FROM kafka.commit_offset('poor', 'polled', 0, 1);
SELECT * FROM kafka_log.consumer_offsets;
RESET ROLE;
REVOKE ALL ON FUNCTION kafka.poll FROM poller;
REVOKE ALL ON SCHEMA kafka FROM poller;
DROP ROLE poller;
-- Refused.
SELECT * FROM kafka.poll(NULL, ARRAY['polled']);
SELECT * FROM kafka.poll('', ARRAY['polled']);
SELECT * FROM kafka.poll('pollers', NULL);
SELECT * FROM kafka.poll('pollers', ARRAY['polled'], auto_offset_reset => 'middle');
SELECT * FROM kafka.poll('new', ARRAY['polled'], session_timeout_ms => 1);
BEGIN;
SELECT count(*) FROM kafka.poll('pollers', ARRAY['polled']);
PREPARE TRANSACTION 'polled';
BEGIN READ ONLY;
SELECT count(*) FROM kafka.poll('pollers', ARRAY['polled']);
ROLLBACK;
SELECT count(*) AS members FROM kafka.group_members AS m, kafka.leave_group(m.group_id, ARRAY[m.member_id]);
SELECT group_id, kafka.delete_group(group_id) FROM kafka.groups;
SELECT kafka.delete_topic('polled'), kafka.delete_topic('polled-too');
DROP TABLE result;
DROP FUNCTION taken;
