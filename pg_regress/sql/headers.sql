-- Record headers: kafka.header[] keeps order, repeated keys and null values; jsonb casts to it.
SELECT kafka.create_topic('headers') IS NOT NULL AS created;
SELECT kafka.produce('headers', 'array', headers => ARRAY[('trace', '\x01ff'), ('retry', NULL), ('trace', '\x')]::kafka.header[]);
SELECT kafka.produce('headers', 'object', headers => '{"b": "text", "a": null, "n": 1.50, "t": true, "big": 12345678901234567890123, "list": [1], "ü": "ß"}'::jsonb);
SELECT kafka.produce('headers', 'entries', headers => '[{"key": "z", "value": "1"}, {"key": "a", "value": null}, {"key": "z", "value": "2"}, {"key": "m"}, {"key": ""}]'::jsonb);
SELECT kafka.produce('headers', 'bytes'::bytea, headers => '{"a": "b"}'::jsonb);
SELECT kafka.produce('headers', 'built', headers => jsonb_build_object('table', 'orders', 'op', 'INSERT'));
SELECT kafka.produce('headers', 'literal', headers => '{"(a,\"\\\\x01\")"}');
SELECT kafka.produce('headers', 'empty array', headers => '{}'::kafka.header[]);
SELECT kafka.produce('headers', 'empty object', headers => '{}'::jsonb);
SELECT kafka.produce('headers', 'none', headers => NULL);
SELECT "offset", convert_from(value, 'UTF8') AS value, headers FROM kafka.fetch('headers', 0, 0);
-- As rows.
SELECT r."offset", h.ordinality, h.key, h.value, convert_from(h.value, 'UTF8') AS text
FROM kafka.fetch('headers', 0, 0) AS r, unnest(r.headers) WITH ORDINALITY AS h
WHERE r."offset" IN (1, 2) ORDER BY 1, 2;
-- Headers that were read can be produced again as they are.
SELECT kafka.produce('headers', value, key, headers) FROM kafka.fetch('headers', 0, 0, max_records => 3);
SELECT count(*) FILTER (WHERE a.headers = b.headers) AS same, count(*) FROM kafka.fetch('headers', 0, 0) AS a JOIN kafka.fetch('headers', 0, 0) AS b ON b."offset" = a."offset" + 9 WHERE a."offset" < 3;
-- Many, and large ones.
SELECT kafka.produce('headers', 'many', headers => (SELECT array_agg((i::text, decode(repeat('ab', i), 'hex'))::kafka.header ORDER BY i) FROM generate_series(1, 1000) AS i));
SELECT array_length(headers, 1), (headers[1000]).key, length((headers[1000]).value) FROM kafka.fetch('headers', 0, 12);
-- The cast by itself.
SELECT kafka.headers('{"a": "b"}'), '[{"key": "k", "value": "v"}]'::jsonb::kafka.header[];
-- A header needs a key.
SELECT kafka.produce('headers', 'v', headers => ARRAY[(NULL, '\x01')]::kafka.header[]);
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.produce('headers', 'v', headers => ARRAY[NULL]::kafka.header[]);
SELECT kafka.produce('headers', 'v', headers => '[{"value": "a"}]'::jsonb);
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.produce('headers', 'v', headers => '[{"key": null}]'::jsonb);
SELECT kafka.produce('headers', 'v', headers => '[{"key": 1}]'::jsonb);
SELECT kafka.produce('headers', 'v', headers => '["a"]'::jsonb);
SELECT kafka.produce('headers', 'v', headers => '"a"'::jsonb);
SELECT kafka.produce('headers', 'v', headers => 'null'::jsonb);
SELECT high_watermark FROM kafka.partitions WHERE topic = 'headers';
