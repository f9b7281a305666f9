-- kafka.flush() appends what the transaction has produced and says where.
SELECT kafka.create_topic('flush', 2) IS NOT NULL AS created;
CREATE VIEW flushed AS SELECT partition, convert_from(value, 'UTF8') AS value, "offset" FROM kafka.records('flush', 'read_uncommitted');
SELECT * FROM kafka.flush();
BEGIN;
SELECT kafka.produce('flush', i::text, partition => i % 2) FROM generate_series(1, 3) AS i;
SELECT * FROM kafka.flush();
SELECT * FROM kafka.flush();
SELECT kafka.produce('flush', '4', partition => 0);
SELECT kafka.produce('flush_other', '5');
SELECT * FROM kafka.flush();
-- Not even this transaction reads its records before it commits.
SELECT * FROM flushed;
SELECT high_watermark FROM kafka.partitions WHERE topic = 'flush';
SELECT * FROM kafka.list_offsets('flush', 0, 'latest');
COMMIT;
SELECT * FROM flushed;

-- In a statement of its own a produce is its own transaction: there is nothing left to flush.
SELECT kafka.produce('flush', '6', partition => 0);
SELECT * FROM kafka.flush();

-- Flushed inside a savepoint that is rolled back: what was buffered before it is still produced, once.
BEGIN;
SELECT kafka.produce('flush', 'outer', partition => 1);
SAVEPOINT s;
SELECT kafka.produce('flush', 'undone', partition => 1);
SELECT topic, partition, record_count FROM kafka.flush();
SELECT kafka.produce('flush', 'undone too', partition => 1);
ROLLBACK TO s;
SELECT kafka.produce('flush', 'outer again', partition => 1);
COMMIT;
SELECT value FROM flushed WHERE value ~ 'o';
-- Released: produced once as well.
BEGIN;
SELECT kafka.produce('flush', 'more of outer', partition => 1);
SAVEPOINT s;
SELECT kafka.produce('flush', 'more of inner', partition => 1);
SELECT topic, partition, record_count FROM kafka.flush();
RELEASE s;
COMMIT;
-- Flushed two levels down, released one level, rolled back at the next.
BEGIN;
SELECT kafka.produce('flush', 'most 1', partition => 1);
SAVEPOINT a;
SELECT kafka.produce('flush', 'undone', partition => 1);
SAVEPOINT b;
SELECT kafka.produce('flush', 'undone', partition => 1);
SELECT topic, partition, record_count FROM kafka.flush();
RELEASE b;
SELECT kafka.produce('flush', 'undone', partition => 1);
SELECT topic, partition, record_count FROM kafka.flush();
ROLLBACK TO a;
SAVEPOINT c;
SELECT kafka.produce('flush', 'most 2', partition => 1);
SELECT topic, partition, record_count FROM kafka.flush();
RELEASE c;
SELECT kafka.produce('flush', 'most 3', partition => 1);
COMMIT;
SELECT value FROM flushed WHERE value ~ 'm|undone';
-- Everything rolled back after all.
BEGIN;
SELECT kafka.produce('flush', 'undone', partition => 1);
SAVEPOINT s;
SELECT count(*) FROM kafka.flush();
RELEASE s;
ROLLBACK;
SELECT count(*) FROM flushed WHERE value = 'undone';
-- Transactions that follow each other by AND CHAIN, and a cursor that outlives its transaction and produces when that commits.
BEGIN;
SELECT kafka.produce('flush', 'chain 1', partition => 1);
COMMIT AND CHAIN;
SELECT kafka.produce('flush', 'chain undone', partition => 1);
ROLLBACK AND CHAIN;
SELECT kafka.produce('flush', 'chain 2', partition => 1);
DECLARE held CURSOR WITH HOLD FOR SELECT kafka.produce('flush', 'chain held ' || i, partition => 1) FROM generate_series(1, 2) AS i;
COMMIT;
CLOSE held;
SELECT value FROM flushed WHERE value LIKE 'chain%';
DROP VIEW flushed;
