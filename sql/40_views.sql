-- WITH keeps the view from being updatable: topics change through the functions.
CREATE VIEW kafka.topics AS
    WITH t AS (SELECT * FROM kafka_log.topics)
    SELECT t.topic, t.topic_id, t.partitions, t.config, t.created_at FROM t;

CREATE VIEW kafka.partitions AS
    SELECT
        t.topic,
        p.partition,
        w.log_start_offset,
        w.high_watermark,
        w.last_stable_offset,
        s.size_bytes,
        s.batch_count
    FROM kafka_log.topics AS t
    CROSS JOIN LATERAL pg_catalog.generate_series(0, t.partitions - 1) AS p (partition)
    CROSS JOIN LATERAL kafka.watermarks(t.topic, p.partition) AS w
    CROSS JOIN LATERAL kafka.partition_size(t.topic, p.partition) AS s;
