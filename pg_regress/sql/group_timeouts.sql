-- Members that are not heard of leave; whoever calls next sees it, and kafka.maintain sees it for groups that nobody calls.
SET pg_kafka.group_initial_rebalance_delay = 0;
SET pg_kafka.group_min_session_timeout = 1;
SELECT kafka.create_topic('timeouts', 2) IS NOT NULL AS created;
SELECT * FROM kafka.join_group('timeouts', ARRAY['timeouts'], session_timeout_ms => 600000) \gset a_
SELECT error_code FROM kafka.sync_group('timeouts', 1, :'a_member_id');
SELECT error_code, state FROM kafka.join_group('timeouts', ARRAY['timeouts'], session_timeout_ms => 300);
SELECT error_code, state FROM kafka.join_group('timeouts', member_id => :'a_member_id');
SELECT error_code, array_length(partitions, 1) AS partitions FROM kafka.sync_group('timeouts', 2, :'a_member_id');
SELECT member_count, state FROM kafka.groups WHERE group_id = 'timeouts';
SELECT pg_sleep(0.4);
-- Reading shows what the clock has done, and writes nothing.
SELECT member_count, state FROM kafka.groups WHERE group_id = 'timeouts';
SELECT count(*) FROM kafka_log.group_members WHERE group_id = 'timeouts';
SELECT error_code, state FROM kafka.heartbeat('timeouts', 2, :'a_member_id');
SELECT count(*) FROM kafka_log.group_members WHERE group_id = 'timeouts';
SELECT error_code, generation_id FROM kafka.join_group('timeouts', member_id => :'a_member_id', session_timeout_ms => 300);
SELECT error_code, partitions FROM kafka.sync_group('timeouts', 3, :'a_member_id');
SELECT pg_sleep(0.4);
SELECT task, done > 0 AS done FROM kafka.maintain();
SELECT state, generation_id, leader IS NULL AS no_leader FROM kafka_log.groups WHERE group_id = 'timeouts';
SELECT error_code FROM kafka.heartbeat('timeouts', 3, :'a_member_id');
-- An id that is handed out is kept for a session timeout too.
SELECT error_code FROM kafka.join_group('timeouts', ARRAY['timeouts'], session_timeout_ms => 300, require_member_id => true);
SELECT phase FROM kafka_log.group_members WHERE group_id = 'timeouts';
SELECT pg_sleep(0.4);
SELECT * FROM kafka.maintain();
SELECT count(*) FROM kafka_log.group_members WHERE group_id = 'timeouts';
-- A heartbeat that follows another closely writes nothing.
SELECT * FROM kafka.join_group('timeouts', ARRAY['timeouts'], session_timeout_ms => 600000) \gset b_
SELECT error_code FROM kafka.sync_group('timeouts', :b_generation_id, :'b_member_id');
SELECT xmin AS before FROM kafka_log.group_members WHERE group_id = 'timeouts' \gset
SELECT error_code FROM kafka.heartbeats(ARRAY['timeouts'], ARRAY[:b_generation_id], ARRAY[:'b_member_id']);
SELECT xmin = :'before'::xid AS untouched FROM kafka_log.group_members WHERE group_id = 'timeouts';
SELECT kafka.leave_group('timeouts', :'b_member_id'), kafka.delete_group('timeouts'), kafka.delete_topic('timeouts');
