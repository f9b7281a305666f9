-- Version 0.2.0: groups and committed offsets. A new installation runs this script behind
-- the others, so that it ends where an upgrade ends.

-- Tables
CREATE SEQUENCE kafka_log.group_version_seq AS int8;
CREATE TABLE kafka_log.groups (
    group_id text COLLATE "C" PRIMARY KEY,
    group_type text NOT NULL CHECK (group_type IN ('classic', 'consumer')),
    state text NOT NULL,
    generation_id int4 NOT NULL,
    assignment_epoch int4,
    protocol_type text,
    protocol_name text,
    leader text,
    deadline int8,
    initial_deadline int8,
    metadata_hash int8,
    reason text,
    next_deadline int8,
    version int8 NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

CREATE TABLE kafka_log.group_members (
    group_id text COLLATE "C" NOT NULL,
    member_id text COLLATE "C" NOT NULL,
    heartbeat_at int8 NOT NULL,
    session_timeout_ms int4 NOT NULL,
    rebalance_timeout_ms int4 NOT NULL,
    group_instance_id text,
    client_id text NOT NULL,
    client_host text NOT NULL,
    phase text,
    protocol_names text[],
    protocol_metadata bytea[],
    assignment bytea,
    member_epoch int4,
    previous_member_epoch int4,
    member_state text,
    rack_id text,
    subscribed_topics text[],
    subscribed_topic_regex text,
    server_assignor text,
    assigned jsonb,
    pending_revocation jsonb,
    target jsonb,
    revoke_deadline int8,
    rejoin_deadline int8,
    PRIMARY KEY (group_id, member_id)
) WITH (fillfactor = 50);

CREATE TABLE kafka_log.consumer_offsets (
    group_id text COLLATE "C" NOT NULL,
    topic_number int4 NOT NULL,
    partition int4 NOT NULL,
    committed_offset int8 NOT NULL,
    leader_epoch int4,
    metadata text NOT NULL DEFAULT '',
    committed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (group_id, topic_number, partition)
) WITH (fillfactor = 50);

SELECT pg_catalog.pg_extension_config_dump('kafka_log.groups', '');
SELECT pg_catalog.pg_extension_config_dump('kafka_log.group_members', '');
SELECT pg_catalog.pg_extension_config_dump('kafka_log.consumer_offsets', '');
SELECT pg_catalog.pg_extension_config_dump('kafka_log.group_version_seq', '');

-- Membership. These answer with Kafka's error_code instead of raising it, and never wait.
CREATE FUNCTION kafka.join_group(
    group_id text,
    topics text[] DEFAULT NULL,
    member_id text DEFAULT NULL,
    group_instance_id text DEFAULT NULL,
    session_timeout_ms int4 DEFAULT NULL,
    rebalance_timeout_ms int4 DEFAULT NULL,
    protocol_type text DEFAULT 'consumer',
    protocols text[] DEFAULT NULL,
    metadata bytea[] DEFAULT NULL,
    client_id text DEFAULT NULL,
    client_host text DEFAULT NULL,
    require_member_id boolean DEFAULT false,
    reason text DEFAULT NULL,
    supports_skipping_assignment boolean DEFAULT false
) RETURNS TABLE (
    error_code int2,
    error_message text,
    state text,
    member_id text,
    generation_id int4,
    protocol_type text,
    protocol_name text,
    leader text,
    skip_assignment boolean,
    member_ids text[],
    member_instance_ids text[],
    member_metadata bytea[],
    wait_ms int4,
    version int8,
    next text
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'join_group_wrapper';

CREATE FUNCTION kafka.sync_group(
    group_id text,
    generation_id int4,
    member_id text,
    group_instance_id text DEFAULT NULL,
    protocol_type text DEFAULT NULL,
    protocol_name text DEFAULT NULL,
    assigned_member_ids text[] DEFAULT NULL,
    assignments bytea[] DEFAULT NULL
) RETURNS TABLE (
    error_code int2,
    error_message text,
    state text,
    protocol_type text,
    protocol_name text,
    assignment bytea,
    topics text[],
    partitions int4[],
    wait_ms int4,
    version int8,
    next text
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'sync_group_wrapper';

CREATE FUNCTION kafka.heartbeat(group_id text, generation_id int4, member_id text, group_instance_id text DEFAULT NULL)
    RETURNS TABLE (error_code int2, error_message text, state text, next text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'heartbeat_wrapper';

CREATE FUNCTION kafka.heartbeats(
    group_ids text[],
    generation_ids int4[],
    member_ids text[],
    group_instance_ids text[] DEFAULT NULL
) RETURNS TABLE (idx int4, error_code int2)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'heartbeats_wrapper';

CREATE FUNCTION kafka.leave_group(
    group_id text,
    member_ids text[],
    group_instance_ids text[] DEFAULT NULL,
    reasons text[] DEFAULT NULL
) RETURNS TABLE (idx int4, error_code int2, error_message text, member_id text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'leave_group_wrapper';

CREATE FUNCTION kafka.leave_group(group_id text, member_id text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'leave_group_member_wrapper';

CREATE FUNCTION kafka.consumer_group_heartbeat(
    group_id text,
    member_id text DEFAULT NULL,
    member_epoch int4 DEFAULT 0,
    subscribed_topics text[] DEFAULT NULL,
    subscribed_topic_regex text DEFAULT NULL,
    owned_topic_ids uuid[] DEFAULT NULL,
    owned_partitions int4[] DEFAULT NULL,
    group_instance_id text DEFAULT NULL,
    rack_id text DEFAULT NULL,
    rebalance_timeout_ms int4 DEFAULT NULL,
    server_assignor text DEFAULT NULL,
    client_id text DEFAULT NULL,
    client_host text DEFAULT NULL
) RETURNS TABLE (
    error_code int2,
    error_message text,
    member_id text,
    member_epoch int4,
    heartbeat_interval_ms int4,
    assigned_topic_ids uuid[],
    assigned_topics text[],
    assigned_partitions int4[]
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'consumer_group_heartbeat_wrapper';

-- Inspection
CREATE FUNCTION kafka.describe_groups(group_ids text[] DEFAULT NULL)
    RETURNS TABLE (
        idx int4,
        error_code int2,
        error_message text,
        group_id text,
        group_type text,
        state text,
        protocol_type text,
        protocol_name text,
        generation_id int4,
        assignment_epoch int4,
        leader text,
        member_id text,
        group_instance_id text,
        member_type text,
        member_epoch int4,
        member_state text,
        client_id text,
        client_host text,
        rack_id text,
        subscribed_topics text[],
        subscribed_topic_regex text,
        metadata bytea,
        assignment bytea,
        assigned_topics text[],
        assigned_topic_ids uuid[],
        assigned_partitions int4[],
        target_topics text[],
        target_topic_ids uuid[],
        target_partitions int4[],
        session_timeout_ms int4,
        rebalance_timeout_ms int4,
        last_heartbeat timestamptz
    )
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'describe_groups_wrapper';

CREATE FUNCTION kafka.describe_group(group_id text) RETURNS TABLE (
    group_type text,
    state text,
    protocol_name text,
    generation_id int4,
    member_id text,
    group_instance_id text,
    client_id text,
    client_host text,
    subscribed_topics text[],
    assigned_topics text[],
    assigned_partitions int4[],
    last_heartbeat timestamptz
)
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'describe_group_wrapper';

CREATE FUNCTION kafka.list_groups(states text[] DEFAULT NULL, types text[] DEFAULT NULL)
    RETURNS TABLE (group_id text, group_type text, state text, protocol_type text, protocol_name text, generation_id int4, member_count int4)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'list_groups_wrapper';

CREATE FUNCTION kafka.delete_group(group_id text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'delete_group_wrapper';

-- Offsets
CREATE FUNCTION kafka.commit_offset(
    group_id text,
    topic text,
    partition int4,
    "offset" int8,
    metadata text DEFAULT NULL,
    leader_epoch int4 DEFAULT NULL,
    member_id text DEFAULT NULL,
    generation_id int4 DEFAULT NULL
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'commit_offset_wrapper';

CREATE FUNCTION kafka.commit_offsets(
    group_id text,
    topics text[],
    partitions int4[],
    offsets int8[],
    leader_epochs int4[] DEFAULT NULL,
    metadata text[] DEFAULT NULL,
    member_id text DEFAULT NULL,
    generation_id int4 DEFAULT NULL,
    group_instance_id text DEFAULT NULL,
    topic_ids uuid[] DEFAULT NULL
) RETURNS TABLE (idx int4, error_code int2, error_message text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'commit_offsets_wrapper';

CREATE FUNCTION kafka.committed_offset(group_id text, topic text, partition int4) RETURNS int8
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'committed_offset_wrapper';

CREATE FUNCTION kafka.committed_offsets(
    group_id text,
    topics text[] DEFAULT NULL,
    partitions int4[] DEFAULT NULL,
    topic_ids uuid[] DEFAULT NULL,
    member_id text DEFAULT NULL,
    member_epoch int4 DEFAULT NULL
) RETURNS TABLE (
    idx int4,
    error_code int2,
    error_message text,
    topic text,
    topic_id uuid,
    partition int4,
    "offset" int8,
    leader_epoch int4,
    metadata text,
    committed_at timestamptz
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100 AS 'MODULE_PATHNAME', 'committed_offsets_wrapper';

CREATE FUNCTION kafka.delete_offsets(group_id text, topics text[], partitions int4[])
    RETURNS TABLE (idx int4, error_code int2, error_message text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'delete_offsets_wrapper';

CREATE FUNCTION kafka.wait_for_groups(group_ids text[], versions int8[], max_wait_ms int4, waiter int4 DEFAULT NULL)
    RETURNS TABLE (idx int4, version int8)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'wait_for_groups_wrapper';

CREATE FUNCTION kafka.maintain() RETURNS TABLE (task text, done int8)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 5 AS 'MODULE_PATHNAME', 'maintain_wrapper';

-- Consume
CREATE FUNCTION kafka.poll(
    group_id text,
    topics text[],
    max_records int4 DEFAULT 500,
    max_wait_ms int4 DEFAULT 0,
    max_bytes int4 DEFAULT 52428800,
    auto_offset_reset text DEFAULT 'earliest',
    group_instance_id text DEFAULT NULL,
    session_timeout_ms int4 DEFAULT NULL
) RETURNS TABLE (
    topic text,
    partition int4,
    "offset" int8,
    "timestamp" timestamptz,
    key bytea,
    value bytea,
    headers kafka.header[]
)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 500 AS 'MODULE_PATHNAME', 'poll_wrapper';

-- Views
CREATE VIEW kafka.groups AS
    SELECT g.group_id, g.group_type, g.state, g.protocol_type, g.protocol_name, g.generation_id, g.member_count
    FROM kafka.list_groups() AS g;

CREATE VIEW kafka.group_members AS
    SELECT
        m.group_id,
        m.member_id,
        m.group_instance_id,
        m.member_type,
        m.member_epoch,
        m.member_state AS state,
        m.client_id,
        m.client_host,
        m.subscribed_topics,
        m.assigned_topics,
        m.assigned_partitions,
        m.last_heartbeat
    FROM kafka.describe_groups() AS m
    WHERE m.member_id IS NOT NULL;

-- WITH keeps the view from being updatable: offsets change through the functions.
CREATE VIEW kafka.consumer_offsets AS
    WITH o AS (SELECT * FROM kafka_log.consumer_offsets)
    SELECT o.group_id, t.topic, o.partition, o.committed_offset AS "offset", o.leader_epoch, o.metadata, o.committed_at
    FROM o JOIN kafka_log.topics AS t ON t.topic_number = o.topic_number;

CREATE VIEW kafka.consumer_lag AS
    SELECT
        o.group_id,
        o.topic,
        o.partition,
        o."offset" AS committed_offset,
        w.high_watermark,
        greatest(w.high_watermark - greatest(o."offset", w.log_start_offset), 0) AS lag
    FROM kafka.consumer_offsets AS o
    CROSS JOIN LATERAL kafka.watermarks(o.topic, o.partition) AS w;

-- Nobody but the owner may use anything until it is granted.
REVOKE ALL ON kafka_log.groups, kafka_log.group_members, kafka_log.consumer_offsets FROM PUBLIC;
REVOKE ALL ON kafka.groups, kafka.group_members, kafka.consumer_offsets, kafka.consumer_lag FROM PUBLIC;
REVOKE ALL ON SEQUENCE kafka_log.group_version_seq FROM PUBLIC;
REVOKE ALL ON FUNCTION
    kafka.join_group(text, text[], text, text, int4, int4, text, text[], bytea[], text, text, boolean, text, boolean),
    kafka.sync_group(text, int4, text, text, text, text, text[], bytea[]),
    kafka.heartbeat(text, int4, text, text),
    kafka.heartbeats(text[], int4[], text[], text[]),
    kafka.leave_group(text, text[], text[], text[]),
    kafka.leave_group(text, text),
    kafka.consumer_group_heartbeat(text, text, int4, text[], text, uuid[], int4[], text, text, int4, text, text, text),
    kafka.describe_groups(text[]),
    kafka.describe_group(text),
    kafka.list_groups(text[], text[]),
    kafka.delete_group(text),
    kafka.commit_offset(text, text, int4, int8, text, int4, text, int4),
    kafka.commit_offsets(text, text[], int4[], int8[], int4[], text[], text, int4, text, uuid[]),
    kafka.committed_offset(text, text, int4),
    kafka.committed_offsets(text, text[], int4[], uuid[], text, int4),
    kafka.delete_offsets(text, text[], int4[]),
    kafka.wait_for_groups(text[], int8[], int4, int4),
    kafka.maintain(),
    kafka.poll(text, text[], int4, int4, int4, text, text, int4)
FROM PUBLIC;

COMMENT ON TABLE kafka_log.groups IS 'One row per group.';
COMMENT ON COLUMN kafka_log.groups.group_id IS 'Name of the group.';
COMMENT ON COLUMN kafka_log.groups.group_type IS 'classic: a member that leads the group assigns. consumer: the server does (KIP-848).';
COMMENT ON COLUMN kafka_log.groups.state IS 'As Kafka names it: Empty, PreparingRebalance, CompletingRebalance, Stable; for consumer groups Empty, Assigning, Reconciling, Stable.';
COMMENT ON COLUMN kafka_log.groups.generation_id IS 'Generation; the group epoch of a consumer group.';
COMMENT ON COLUMN kafka_log.groups.assignment_epoch IS 'Group epoch of the target assignment; consumer groups only.';
COMMENT ON COLUMN kafka_log.groups.protocol_type IS 'What kind of members they are, such as consumer.';
COMMENT ON COLUMN kafka_log.groups.protocol_name IS 'The protocol that the members elected; for consumers the assignor.';
COMMENT ON COLUMN kafka_log.groups.leader IS 'Member id of the leader.';
COMMENT ON COLUMN kafka_log.groups.deadline IS 'When the phase of a rebalance ends at the latest; for a consumer group when its topics are to be looked at again. In milliseconds since the epoch.';
COMMENT ON COLUMN kafka_log.groups.initial_deadline IS 'Up to when members that join prolong the first rebalance, in milliseconds since the epoch.';
COMMENT ON COLUMN kafka_log.groups.metadata_hash IS 'Of the topics and partitions that the target assignment was made of; consumer groups only.';
COMMENT ON COLUMN kafka_log.groups.reason IS 'Why the last rebalance began.';
COMMENT ON COLUMN kafka_log.groups.next_deadline IS 'Not later than the time at which something is due, in milliseconds since the epoch.';
COMMENT ON COLUMN kafka_log.groups.version IS 'Another one after every change but heartbeats.';
COMMENT ON COLUMN kafka_log.groups.changed_at IS 'When the group last changed, heartbeats aside.';

COMMENT ON TABLE kafka_log.group_members IS 'One row per member of a group, and per member id that was handed out.';
COMMENT ON COLUMN kafka_log.group_members.group_id IS 'The group.';
COMMENT ON COLUMN kafka_log.group_members.member_id IS 'Id that the server gave the member, or the member itself (KIP-848).';
COMMENT ON COLUMN kafka_log.group_members.heartbeat_at IS 'Last sign of life that was noted, in milliseconds since the epoch; the latest may be an eighth of the session timeout newer.';
COMMENT ON COLUMN kafka_log.group_members.session_timeout_ms IS 'After this time without a sign of life the member is given up.';
COMMENT ON COLUMN kafka_log.group_members.rebalance_timeout_ms IS 'How long the member may take to join a rebalance, or to give partitions up.';
COMMENT ON COLUMN kafka_log.group_members.group_instance_id IS 'Name of a static member (KIP-345).';
COMMENT ON COLUMN kafka_log.group_members.client_id IS 'What the client calls itself.';
COMMENT ON COLUMN kafka_log.group_members.client_host IS 'Where it connects from.';
COMMENT ON COLUMN kafka_log.group_members.phase IS 'Pending: only an id; Waiting: is to join or sync; Joined, Synced: has done so. Classic protocol only.';
COMMENT ON COLUMN kafka_log.group_members.protocol_names IS 'Protocols that the member offers, the preferred one first; null where it speaks the consumer protocol.';
COMMENT ON COLUMN kafka_log.group_members.protocol_metadata IS 'Metadata of each protocol.';
COMMENT ON COLUMN kafka_log.group_members.assignment IS 'What the leader assigned, as bytes of the protocol.';
COMMENT ON COLUMN kafka_log.group_members.member_epoch IS 'Epoch that the member has been told (KIP-848).';
COMMENT ON COLUMN kafka_log.group_members.previous_member_epoch IS 'The epoch before, which it may still name.';
COMMENT ON COLUMN kafka_log.group_members.member_state IS 'Where the member stands on its way to its target assignment.';
COMMENT ON COLUMN kafka_log.group_members.rack_id IS 'Rack of the member.';
COMMENT ON COLUMN kafka_log.group_members.subscribed_topics IS 'Topics that it subscribes to by name.';
COMMENT ON COLUMN kafka_log.group_members.subscribed_topic_regex IS 'Regular expression of the topics that it subscribes to.';
COMMENT ON COLUMN kafka_log.group_members.server_assignor IS 'Assignor that it asks for.';
COMMENT ON COLUMN kafka_log.group_members.assigned IS 'Partitions by topic id that it holds.';
COMMENT ON COLUMN kafka_log.group_members.pending_revocation IS 'Partitions by topic id that it is to give up.';
COMMENT ON COLUMN kafka_log.group_members.target IS 'Partitions by topic id that it is to have in the end.';
COMMENT ON COLUMN kafka_log.group_members.revoke_deadline IS 'When it must have given them up, in milliseconds since the epoch.';
COMMENT ON COLUMN kafka_log.group_members.rejoin_deadline IS 'When a member of a consumer group that speaks the classic protocol must have joined again, or synced, in milliseconds since the epoch.';

COMMENT ON TABLE kafka_log.consumer_offsets IS 'Committed offsets, one row per group and partition.';
COMMENT ON COLUMN kafka_log.consumer_offsets.group_id IS 'The group.';
COMMENT ON COLUMN kafka_log.consumer_offsets.topic_number IS 'The topic.';
COMMENT ON COLUMN kafka_log.consumer_offsets.partition IS 'Partition number, from 0.';
COMMENT ON COLUMN kafka_log.consumer_offsets.committed_offset IS 'Offset of the next record to be read.';
COMMENT ON COLUMN kafka_log.consumer_offsets.leader_epoch IS 'Leader epoch of the record before, where the client told it.';
COMMENT ON COLUMN kafka_log.consumer_offsets.metadata IS 'What the client wanted to be kept with it.';
COMMENT ON COLUMN kafka_log.consumer_offsets.committed_at IS 'When it was committed.';
COMMENT ON SEQUENCE kafka_log.group_version_seq IS 'Source of kafka_log.groups.version.';

COMMENT ON VIEW kafka.groups IS 'The groups, as of now.';
COMMENT ON COLUMN kafka.groups.group_id IS 'Name of the group.';
COMMENT ON COLUMN kafka.groups.group_type IS 'classic or consumer (KIP-848).';
COMMENT ON COLUMN kafka.groups.state IS 'As Kafka names it.';
COMMENT ON COLUMN kafka.groups.protocol_type IS 'What kind of members they are, such as consumer.';
COMMENT ON COLUMN kafka.groups.protocol_name IS 'The protocol that the members elected; for consumers the assignor.';
COMMENT ON COLUMN kafka.groups.generation_id IS 'Generation, or group epoch.';
COMMENT ON COLUMN kafka.groups.member_count IS 'Number of members.';
COMMENT ON VIEW kafka.group_members IS 'The members of all groups, as of now.';
COMMENT ON COLUMN kafka.group_members.group_id IS 'The group.';
COMMENT ON COLUMN kafka.group_members.member_id IS 'Id of the member.';
COMMENT ON COLUMN kafka.group_members.group_instance_id IS 'Name of a static member (KIP-345).';
COMMENT ON COLUMN kafka.group_members.member_type IS 'Protocol that it speaks: classic or consumer.';
COMMENT ON COLUMN kafka.group_members.member_epoch IS 'Its epoch (KIP-848).';
COMMENT ON COLUMN kafka.group_members.state IS 'Where it stands in the present rebalance.';
COMMENT ON COLUMN kafka.group_members.client_id IS 'What the client calls itself.';
COMMENT ON COLUMN kafka.group_members.client_host IS 'Where it connects from; empty for a Unix socket.';
COMMENT ON COLUMN kafka.group_members.subscribed_topics IS 'Topics that it subscribes to.';
COMMENT ON COLUMN kafka.group_members.assigned_topics IS 'Topic of each assigned partition.';
COMMENT ON COLUMN kafka.group_members.assigned_partitions IS 'Number of each assigned partition.';
COMMENT ON COLUMN kafka.group_members.last_heartbeat IS 'Last sign of life that was noted.';
COMMENT ON VIEW kafka.consumer_offsets IS 'Committed offsets of all groups.';
COMMENT ON COLUMN kafka.consumer_offsets.group_id IS 'The group.';
COMMENT ON COLUMN kafka.consumer_offsets.topic IS 'Name of the topic.';
COMMENT ON COLUMN kafka.consumer_offsets.partition IS 'Partition number, from 0.';
COMMENT ON COLUMN kafka.consumer_offsets."offset" IS 'Offset of the next record to be read.';
COMMENT ON COLUMN kafka.consumer_offsets.leader_epoch IS 'Leader epoch of the record before, where the client told it.';
COMMENT ON COLUMN kafka.consumer_offsets.metadata IS 'What the client wanted to be kept with it.';
COMMENT ON COLUMN kafka.consumer_offsets.committed_at IS 'When it was committed.';
COMMENT ON VIEW kafka.consumer_lag IS 'How far groups are behind, for each partition with a committed offset.';
COMMENT ON COLUMN kafka.consumer_lag.group_id IS 'The group.';
COMMENT ON COLUMN kafka.consumer_lag.topic IS 'Name of the topic.';
COMMENT ON COLUMN kafka.consumer_lag.partition IS 'Partition number, from 0.';
COMMENT ON COLUMN kafka.consumer_lag.committed_offset IS 'Offset of the next record to be read.';
COMMENT ON COLUMN kafka.consumer_lag.high_watermark IS 'First offset that cannot be read yet.';
COMMENT ON COLUMN kafka.consumer_lag.lag IS 'Offsets between the two, as far as they are still there.';

COMMENT ON FUNCTION kafka.join_group(text, text[], text, text, int4, int4, text, text[], bytea[], text, text, boolean, text, boolean) IS 'Joins a group (KIP-62), or asks again about a join that had to wait. Returns the generation, or wait_ms: then call again with the member_id given, at the latest after so many milliseconds, best when kafka.wait_for_groups says that version has passed; asking again is a sign of life. next says what to call next. topics: a consumer of these topics, that offers the assignors range, roundrobin, sticky and cooperative-sticky; or protocols, the preferred one first, each with its metadata (for consumers: ConsumerProtocolSubscription). A known member that gives neither goes on as it joined. session_timeout_ms: default 45000; rebalance_timeout_ms: default 300000. group_instance_id: static membership (KIP-345). require_member_id: a new member is only told its id, with error_code 79, and joins again with it (KIP-394). The leader alone gets the members, with their metadata. error_code: 23 where the members have no protocol in common, 24 empty group id, 25 unknown member, 26 session timeout out of range, 81 group full, 82 fenced instance. In an explicit transaction the group stays locked until its end.';
COMMENT ON FUNCTION kafka.sync_group(text, int4, text, text, text, text, text[], bytea[]) IS 'Takes a member''s assignment of its generation. The leader brings the assignments (assignments[i] for assigned_member_ids[i]); with null in their place the server assigns for it, by the assignor that the members elected. Returns the assignment, for consumers also as topics and partitions, or wait_ms as kafka.join_group does. protocol_type and protocol_name are checked where given (KIP-559). error_code: 22 another generation, 25 unknown member, 27 the group rebalances: join again, 82 fenced instance.';
COMMENT ON FUNCTION kafka.heartbeat(text, int4, text, text) IS 'A member''s sign of life, due within each session timeout. error_code: 0 all is well, 22 another generation, 25 unknown member, 27 the group rebalances: join again, 82 fenced instance. next says what to call next.';
COMMENT ON FUNCTION kafka.heartbeats(text[], int4[], text[], text[]) IS 'Signs of life of several members, for the listener, idx from 1. Takes no lock and writes nothing but times. error_code is 0 where all is well, and null where only kafka.heartbeat can tell.';
COMMENT ON FUNCTION kafka.leave_group(text, text[], text[], text[]) IS 'Members leave, named by member id, or by group instance id where that is null or empty (KIP-345, KIP-800 for the reasons). Returns a row for each, idx from 1, with error_code 0, 25 (unknown member) or 82 (fenced instance), and the id of the member that left.';
COMMENT ON FUNCTION kafka.leave_group(text, text) IS 'A member leaves. Raises KF025 for an unknown one.';
COMMENT ON FUNCTION kafka.consumer_group_heartbeat(text, text, int4, text[], text, uuid[], int4[], text, text, int4, text, text, text) IS 'Heartbeat of a member whose group the server assigns (KIP-848). member_epoch: 0 joins, -1 leaves, -2 leaves for a while (static member), otherwise the epoch last returned. null: unchanged since the last heartbeat, at joining the default (rebalance_timeout_ms 300000, no owned partitions); owned partitions are pairs of owned_topic_ids[i] and owned_partitions[i]. Returns the member''s epoch, and the assignment where it has changed: first only what nobody else still holds. error_code: 25 unknown member, 81 group full, 82 fenced instance, 110 fenced epoch: join again with 0, 111 the instance is still in use, 112 unknown assignor, 128 bad regular expression.';
COMMENT ON FUNCTION kafka.describe_groups(text[]) IS 'Groups with their members, for the listener: a row for each member, one with a null member_id for a group without, idx being the group''s position from 1. null group_ids: all groups. An unknown group has error_code 69 and state Dead. generation_id is the group epoch where the server assigns (KIP-848).';
COMMENT ON FUNCTION kafka.describe_group(text) IS 'A group with its members: a row for each, one with a null member_id where there is none. Raises KF069 for an unknown group.';
COMMENT ON FUNCTION kafka.list_groups(text[], text[]) IS 'The groups that are in one of the states and of one of the types (classic, consumer), in any case of letters; null or empty: all.';
COMMENT ON FUNCTION kafka.delete_group(text) IS 'Deletes a group and its offsets. Raises KF068 where it has members, KF069 for an unknown group.';
COMMENT ON FUNCTION kafka.commit_offset(text, text, int4, int8, text, int4, text, int4) IS 'Commits a group''s offset (the next one to be read) in the caller''s transaction. Members say who they are by member_id and generation_id; without, the group must have no members. Raises KF003 for an unknown topic or partition, KF012 where metadata exceeds pg_kafka.offset_metadata_max_bytes, KF022 for another generation, KF024 for an empty group id, KF025 for an unknown member, KF027 while a new assignment is awaited.';
COMMENT ON FUNCTION kafka.commit_offsets(text, text[], int4[], int8[], int4[], text[], text, int4, text, uuid[]) IS 'Commits several offsets, idx from 1, with Kafka''s error_code; a fault of the group or the member is told for each. topic_ids[i] goes before topics[i]. generation_id: a consumer group''s member epoch where the server assigns (KIP-848).';
COMMENT ON FUNCTION kafka.committed_offset(text, text, int4) IS 'The offset that a group has committed for a partition; null where there is none. Raises KF003 for an unknown topic or partition.';
COMMENT ON FUNCTION kafka.committed_offsets(text, text[], int4[], uuid[], text, int4) IS 'What a group has committed: all of it where topics and topic_ids are null, otherwise a row for each partition asked for, idx from 1, with a null offset where there is none and error_code 100 for an unknown topic id. member_id and member_epoch: checked where the server assigns (KIP-848); raises KF025 and KF113.';
COMMENT ON FUNCTION kafka.delete_offsets(text, text[], int4[]) IS 'Forgets a group''s offsets, idx from 1, with error_code 3 for an unknown topic or partition and 86 where a member is subscribed to the topic (KIP-496). Raises KF068 where members cannot be asked what they subscribe to, KF069 for an unknown group.';
COMMENT ON FUNCTION kafka.wait_for_groups(text[], int8[], int4, int4) IS 'Waits until a group''s version is another than the given one, at most max_wait_ms, and returns those that are (-1 where the group is gone). waiter: an id by which kafka.interrupt_wait ends the wait early.';
COMMENT ON FUNCTION kafka.maintain() IS 'Does what time alone brings about: groups go on whose members or phases timed out, offsets expire (pg_kafka.offsets_retention), unused groups go. Returns how much was done. The listener calls it every few seconds; correctness never depends on it.';
COMMENT ON FUNCTION kafka.poll(text, text[], int4, int4, int4, text, text, int4) IS 'Returns the next records of a group''s topics and advances the group''s offsets behind them, in the caller''s transaction: committed together, or not at all. This session joins the group as a consumer, or goes on as the member that it is; while members are awaited, or an assignment, it returns nothing: commit and call again. A transaction whose session has lost its membership meanwhile (no call or commit within session_timeout_ms, default 45000) fails when it commits. max_wait_ms: waits so long for records. max_bytes: of keys and values; at least one record is returned. auto_offset_reset: where a partition without a committed offset begins, earliest (default) or latest. group_instance_id: static membership (KIP-345). Raises KF003, KF023 and others as kafka.join_group tells them.';
