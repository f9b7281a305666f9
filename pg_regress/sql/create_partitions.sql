-- kafka.create_partitions: a topic grows, its old partitions and their records stay.
SELECT kafka.create_topic('grow', 2) IS NOT NULL AS created;
SELECT kafka.produce('grow', 'old', partition => 1);
SELECT kafka.produce('grow', 'too early', partition => 4);

SELECT kafka.create_partitions('grow', 5);
SELECT partitions FROM kafka.topics WHERE topic = 'grow';
SELECT kafka.produce('grow', 'new', partition => 4);
SELECT partition, "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('grow') ORDER BY 1, 2;
SELECT partition, log_start_offset, high_watermark, batch_count FROM kafka.partitions WHERE topic = 'grow';

-- Only growing is possible.
SELECT kafka.create_partitions('grow', 5);
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.create_partitions('grow', 4);
SELECT kafka.create_partitions('grow', 0);
SELECT kafka.create_partitions('grow', 10001);
SELECT kafka.create_partitions('grow', 2147483647);
SELECT kafka.create_partitions('no_such_topic', 2);
\echo :LAST_ERROR_SQLSTATE

-- validate_only changes nothing.
SELECT kafka.create_partitions('grow', 6, validate_only => true);
SELECT kafka.create_partitions('grow', 3, validate_only => true);
SELECT partitions FROM kafka.topics WHERE topic = 'grow';

-- In a transaction: seen by the transaction at once, undone by a rollback, also to a savepoint.
BEGIN;
SELECT kafka.create_partitions('grow', 7);
SELECT kafka.produce('grow', 'in the same transaction', partition => 6);
ROLLBACK;
SELECT partitions FROM kafka.topics WHERE topic = 'grow';
SELECT kafka.produce('grow', 'gone again', partition => 6);
BEGIN;
SAVEPOINT s;
SELECT kafka.create_partitions('grow', 7);
ROLLBACK TO s;
SELECT kafka.produce('grow', 'gone again', partition => 6);
ROLLBACK;

-- Between two records of one transaction, with a read in between.
BEGIN;
SELECT kafka.produce('grow', 'before', partition => 0);
SELECT kafka.create_partitions('grow', 6);
SELECT count(*) FROM kafka.fetch('grow', 0, 0);
SELECT kafka.produce('grow', 'after', partition => 5);
ROLLBACK;
BEGIN;
SELECT kafka.produce('grow', 'before', partition => 0);
SAVEPOINT s;
SELECT kafka.create_partitions('grow', 6);
SELECT kafka.produce('grow', 'after', partition => 5);
ROLLBACK TO s;
SELECT count(*) FROM kafka.fetch('grow', 0, 0);
SELECT kafka.produce('grow', 'gone again', partition => 5);
ROLLBACK;

-- Keys move with the number of partitions, as they do in Kafka.
SELECT kafka.produce('grow', 'v', key => 'abc');
SELECT kafka.create_partitions('grow', 8);
SELECT kafka.produce('grow', 'v', key => 'abc');
SELECT 479470107 % 5 AS before, 479470107 % 8 AS after;
