-- Groups that the server assigns (KIP-848): members only send heartbeats.
SELECT kafka.create_topic('served', 4) IS NOT NULL AS created;
-- The first member gets everything at once.
SELECT error_code, member_id, member_epoch, heartbeat_interval_ms, assigned_topics, assigned_partitions FROM kafka.consumer_group_heartbeat('served', 'a', subscribed_topics => ARRAY['served'], client_id => 'one', client_host => 'h');
SELECT error_code, member_epoch, assigned_partitions FROM kafka.consumer_group_heartbeat('served', 'a', 1, client_id => 'one', client_host => 'h');
-- The second is told what it may have: nothing that the first still holds.
SELECT error_code, member_epoch, assigned_partitions FROM kafka.consumer_group_heartbeat('served', 'b', subscribed_topics => ARRAY['served'], client_id => 'two', client_host => 'h');
SELECT group_id, group_type, state, protocol_type, protocol_name, generation_id, member_count FROM kafka.groups WHERE group_id = 'served';
SELECT member_id, member_type, member_epoch, state, client_id, subscribed_topics, assigned_partitions FROM kafka.group_members WHERE group_id = 'served' ORDER BY member_id;
-- The first learns that it is to give two of them up, and says when it has.
SELECT error_code, member_epoch, assigned_topics, assigned_partitions FROM kafka.consumer_group_heartbeat('served', 'a', 1, client_id => 'one', client_host => 'h');
SELECT h.error_code, h.member_epoch FROM kafka.topics AS t, kafka.consumer_group_heartbeat('served', 'a', 1, owned_topic_ids => ARRAY[t.topic_id, t.topic_id], owned_partitions => ARRAY[0, 1], client_id => 'one', client_host => 'h') AS h WHERE t.topic = 'served';
SELECT error_code, member_epoch, assigned_partitions FROM kafka.consumer_group_heartbeat('served', 'b', 2, client_id => 'two', client_host => 'h');
SELECT h.error_code, h.member_epoch FROM kafka.topics AS t, kafka.consumer_group_heartbeat('served', 'b', 2, owned_topic_ids => ARRAY[t.topic_id, t.topic_id], owned_partitions => ARRAY[2, 3], client_id => 'two', client_host => 'h') AS h WHERE t.topic = 'served';
SELECT member_id, member_epoch, assigned_partitions, target_partitions, assignment_epoch, state FROM kafka.describe_groups(ARRAY['served']) ORDER BY member_id;
-- Offsets: each commits what it holds, at its epoch.
SELECT error_code FROM kafka.commit_offsets('served', ARRAY['served'], ARRAY[0], ARRAY[5]::int8[], member_id => 'a', generation_id => 2);
SELECT error_code, error_message FROM kafka.commit_offsets('served', ARRAY['served'], ARRAY[2], ARRAY[5]::int8[], member_id => 'b', generation_id => 1);
SELECT error_code, error_message FROM kafka.commit_offsets('served', ARRAY['served'], ARRAY[0], ARRAY[5]::int8[], member_id => 'c', generation_id => 2);
SELECT "offset" FROM kafka.committed_offsets('served', ARRAY['served'], ARRAY[0], member_id => 'a', member_epoch => 2);
SELECT * FROM kafka.committed_offsets('served', ARRAY['served'], ARRAY[0], member_id => 'a', member_epoch => 1);
SELECT * FROM kafka.committed_offsets('served', member_id => 'c', member_epoch => 1);
SELECT error_code, error_message FROM kafka.delete_offsets('served', ARRAY['served'], ARRAY[0]);
SELECT kafka.delete_group('served');
-- Refused.
SELECT error_code, error_message FROM kafka.consumer_group_heartbeat('served', 'a', 7);
SELECT error_code, error_message FROM kafka.consumer_group_heartbeat('served', 'c', 2);
SELECT error_code, error_message FROM kafka.consumer_group_heartbeat('served', 'c', 0);
SELECT error_code, error_message FROM kafka.consumer_group_heartbeat('served', 'c', subscribed_topics => ARRAY['served'], server_assignor => 'best');
SELECT error_code, error_message FROM kafka.consumer_group_heartbeat('served', 'c', subscribed_topic_regex => 'serv(');
SELECT error_code, error_message FROM kafka.consumer_group_heartbeat('nothing', 'c', 3);
SELECT error_code, error_message FROM kafka.consumer_group_heartbeat('', 'c', subscribed_topics => ARRAY['served']);
SELECT * FROM kafka.consumer_group_heartbeat(NULL, 'c');
SELECT error_code, error_message FROM kafka.join_group('served', ARRAY['served'], protocols => ARRAY['odd'], metadata => ARRAY[''::bytea], protocol_type => 'connect');
-- A topic that grows is noticed when the group is next looked after.
SELECT kafka.create_partitions('served', 5);
UPDATE kafka_log.groups SET next_deadline = 0 WHERE group_id = 'served';
SELECT task, done FROM kafka.maintain() WHERE task = 'groups advanced';
SELECT state, generation_id FROM kafka.groups WHERE group_id = 'served';
SELECT error_code, member_epoch, assigned_partitions FROM kafka.consumer_group_heartbeat('served', 'a', 2, client_id => 'one', client_host => 'h');
-- A commit that comes when the topics are to be looked at does so too.
SELECT kafka.create_partitions('served', 6);
UPDATE kafka_log.groups SET deadline = 0 WHERE group_id = 'served';
SELECT error_code FROM kafka.commit_offsets('served', ARRAY['served'], ARRAY[0], ARRAY[6]::int8[], member_id => 'a', generation_id => 3);
SELECT state, generation_id FROM kafka.groups WHERE group_id = 'served';
SELECT error_code, member_epoch, array_length(assigned_partitions, 1) AS partitions FROM kafka.consumer_group_heartbeat('served', 'a', 3, client_id => 'one', client_host => 'h');
-- A regular expression of topics; a static member comes back to what it had (KIP-345).
SELECT error_code, member_epoch, assigned_topics FROM kafka.consumer_group_heartbeat('expressed', 's1', subscribed_topic_regex => 'serv.*', group_instance_id => 'i');
SELECT error_code, member_epoch FROM kafka.consumer_group_heartbeat('expressed', 's1', -2, group_instance_id => 'i');
SELECT error_code, member_epoch, assigned_topics FROM kafka.consumer_group_heartbeat('expressed', 's2', subscribed_topic_regex => 'serv.*', group_instance_id => 'i');
SELECT error_code FROM kafka.consumer_group_heartbeat('expressed', 's1', 1, group_instance_id => 'i');
-- kafka.poll is a member of such a group too.
SELECT kafka.produce('served', 'v' || p, partition => p) FROM generate_series(0, 4) AS p;
SELECT idx, error_code, member_id FROM kafka.leave_group('served', ARRAY['b']);
SELECT error_code, member_epoch FROM kafka.consumer_group_heartbeat('served', 'a', 4, subscribed_topics => ARRAY['served'], rebalance_timeout_ms => 1000, owned_topic_ids => '{}', owned_partitions => '{}', client_id => 'one', client_host => 'h');
SELECT count(*) > 0 AS some FROM kafka.poll('served', ARRAY['served']);
SELECT group_type, member_count FROM kafka.groups WHERE group_id = 'served';
-- All leave; the group without members can be used by either protocol.
SELECT count(*) AS left_behind FROM kafka.group_members AS m, kafka.leave_group(m.group_id, ARRAY[m.member_id]) AS l WHERE l.error_code <> 0;
SELECT group_id, group_type, state, member_count FROM kafka.groups ORDER BY group_id;
SET pg_kafka.group_initial_rebalance_delay = 0;
SELECT error_code, state, generation_id FROM kafka.join_group('served', ARRAY['served']);
SELECT group_type FROM kafka.groups WHERE group_id = 'served';
SELECT count(*) AS left_behind FROM kafka.group_members AS m, kafka.leave_group(m.group_id, ARRAY[m.member_id]) AS l WHERE l.error_code <> 0;
SELECT kafka.delete_group(group_id) FROM kafka.groups;
SELECT kafka.delete_topic('served');
