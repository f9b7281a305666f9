-- What is rolled back was never produced: nobody ever sees it, and no offset is lost to it.
SELECT kafka.create_topic('rollback') IS NOT NULL AS created;
BEGIN;
SELECT kafka.produce('rollback', 'undone');
ROLLBACK;
SELECT count(*) FROM kafka.records('rollback', isolation => 'read_uncommitted');
SELECT high_watermark FROM kafka.partitions WHERE topic = 'rollback';
SELECT kafka.produce('rollback', 'first');
SELECT "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('rollback');

-- An error in the transaction is a rollback; so is one that a constraint raises at commit.
BEGIN;
SELECT kafka.produce('rollback', 'undone');
SELECT 1 / 0;
COMMIT;
CREATE TABLE rollback_table (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);
BEGIN;
INSERT INTO rollback_table VALUES (1), (1);
SELECT kafka.produce('rollback', 'undone');
COMMIT;
-- A statement that fails after some of its rows were produced takes them back too.
SELECT kafka.produce('rollback', (10 / (3 - i))::text) FROM generate_series(1, 5) AS i;
SELECT count(*) FROM kafka.records('rollback', isolation => 'read_uncommitted');

-- Appended by kafka.flush() and then rolled back: nothing to read either. The offsets may be given again or stay a gap.
BEGIN;
SELECT kafka.produce('rollback', 'undone') FROM generate_series(1, 3);
SELECT base_offset, record_count FROM kafka.flush();
ROLLBACK;
SELECT log_start_offset, high_watermark, batch_count FROM kafka.partitions WHERE topic = 'rollback';
SELECT kafka.produce('rollback', 'second');
SELECT "offset" IN (1, 4) AS first_or_next, convert_from(value, 'UTF8') AS value FROM kafka.fetch('rollback', 0, 1, isolation => 'read_uncommitted');
SELECT high_watermark IN (2, 5) AS first_or_next, batch_count FROM kafka.partitions WHERE topic = 'rollback';
DROP TABLE rollback_table;
