-- A consumer in SQL that keeps its offset in the transaction of its result: each record counts exactly once, whatever fails.
SELECT kafka.create_topic('consume', 2) IS NOT NULL AS created;
SELECT count(kafka.produce('consume', i::text, partition => i % 2)) FROM generate_series(1, 100) AS i;
CREATE TABLE progress (partition int PRIMARY KEY, next_offset bigint NOT NULL);
INSERT INTO progress SELECT partition, log_start_offset FROM kafka.partitions WHERE topic = 'consume';
CREATE TABLE total (n bigint, records bigint);
INSERT INTO total VALUES (0, 0);
CREATE FUNCTION consume(max_records int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    p record;
    r record;
    done bigint := 0;
BEGIN
    FOR p IN SELECT * FROM progress ORDER BY partition FOR UPDATE LOOP
        FOR r IN SELECT "offset", convert_from(value, 'UTF8')::int AS value FROM kafka.fetch('consume', p.partition, p.next_offset, max_records => consume.max_records) LOOP
            UPDATE total SET n = n + r.value, records = records + 1;
            UPDATE progress SET next_offset = r."offset" + 1 WHERE partition = p.partition;
            done := done + 1;
        END LOOP;
    END LOOP;
    RETURN done;
END $$;
SELECT consume(20);
-- A crash in the middle.
BEGIN;
SELECT consume(20);
ROLLBACK;
SELECT consume(20);
BEGIN;
SELECT consume(5);
SAVEPOINT s;
SELECT consume(5);
ROLLBACK TO s;
COMMIT;
SELECT consume(1000), consume(1000);
SELECT n, n = (SELECT sum(i) FROM generate_series(1, 100) AS i) AS exactly_once, records FROM total;
SELECT topic, p.partition, high_watermark - next_offset AS lag FROM progress AS p JOIN kafka.partitions AS k USING (partition) WHERE topic = 'consume' ORDER BY 2;
-- Read, work on, produce: input offset and output record in one transaction.
BEGIN;
SELECT kafka.produce('consume_results', (SELECT n FROM total)::text);
UPDATE total SET n = 0;
COMMIT;
SELECT convert_from(value, 'UTF8') AS value FROM kafka.records('consume_results');
-- Over gaps, which a consumer does not notice.
BEGIN;
SELECT kafka.produce('consume', '1000', partition => 0);
SELECT record_count FROM kafka.flush();
ROLLBACK;
SELECT kafka.produce('consume', '1', partition => 0);
SELECT consume(10);
SELECT n, records FROM total;
DROP TABLE progress, total;
DROP FUNCTION consume;
