"""confluent-kafka (librdkafka): confluent_client.py COMMAND BOOTSTRAP ARGUMENT..."""

import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic, OffsetSpec

import records

BOOTSTRAP = sys.argv[2]


def producer(**settings):
    settings = {name.replace("_", "."): value for name, value in settings.items()}
    return Producer({"bootstrap.servers": BOOTSTRAP, **settings})


class Delivered:
    def __init__(self):
        self.messages = []

    def __call__(self, error, message):
        if error:
            raise RuntimeError(f"not delivered: {error}")
        self.messages.append(message)


def read(topic):
    """Every message of the topic, by assignment."""
    # librdkafka wants a group's name, and does not use it where partitions are assigned.
    consumer = Consumer(
        {
            "bootstrap.servers": BOOTSTRAP,
            "group.id": "unused",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "check.crcs": True,
        }
    )
    partitions = consumer.list_topics(topic, 10).topics[topic].partitions
    missing = 0
    for partition in partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), 10)
        missing += high - low
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    until = time.monotonic() + 60
    while missing:
        assert time.monotonic() < until, f"{missing} messages are missing"
        for message in consumer.consume(min(missing, 10_000), 1):
            if message.error():
                raise RuntimeError(message.error())
            missing -= 1
            yield message
    consumer.close()


def lines(topic, codec, path, out):
    sent = records.read_lines(path)
    delivered = Delivered()
    client = producer(
        compression_type=codec,
        linger_ms=5,
        enable_idempotence=True,
        queue_buffering_max_messages=1_000_000,
    )
    for number, line in enumerate(sent):
        client.produce(topic, line, str(number).encode(), on_delivery=delivered)
        if number % 1000 == 0:
            client.poll(0)
    assert client.flush(60) == 0
    assert len(delivered.messages) == len(sent)
    found = records.Lines(len(sent))
    for message in read(topic):
        found.add(message.partition(), message.offset(), message.key(), message.value())
    found.write(out)


def special(topic):
    client = producer()
    for line in records.stdin_lines():
        timestamp, key, value, headers = records.parse(line)
        client.produce(
            topic, value, key, timestamp=timestamp, headers=headers, on_delivery=Delivered()
        )
        assert client.flush(30) == 0
    for message in read(topic):
        records.show(message.timestamp()[1], message.key(), message.value(), message.headers())


def partitions(topic):
    client = producer(partitioner="murmur2_random")
    for key in records.stdin_lines():
        delivered = Delivered()
        client.produce(topic, b"v", records.from_hex(key), on_delivery=delivered)
        assert client.flush(30) == 0
        print(key, delivered.messages[0].partition())


def admin(prefix):
    client = AdminClient({"bootstrap.servers": BOOTSTRAP})
    topic = prefix + "_a"

    def create(*arguments, **options):
        return client.create_topics([NewTopic(*arguments)], **options)[arguments[0]].result(30)

    create(topic, 3, 1, validate_only=True)
    assert topic not in client.list_topics(timeout=10).topics
    create(topic, 3, 1)
    assert len(client.list_topics(timeout=10).topics[topic].partitions) == 3
    records.expect_error("again", "TOPIC_ALREADY_EXISTS", lambda: create(topic, 3, 1))
    records.expect_error("slash", "TOPIC_EXCEPTION", lambda: create("no/slash", 1, 1))
    records.expect_error("replicas", "INVALID_REPLICATION_FACTOR", lambda: create(prefix, 1, 3))

    client.create_partitions([NewPartitions(topic, 4)])[topic].result(30)
    described = client.describe_topics(TopicCollection([topic]))[topic].result(30)
    assert [partition.id for partition in described.partitions] == [0, 1, 2, 3]

    sender = producer()
    for timestamp in (1000, 3000, 2000):
        sender.produce(topic, b"v", partition=1, timestamp=timestamp, on_delivery=Delivered())
    assert sender.flush(30) == 0
    at = TopicPartition(topic, 1)
    for spec, expected in (
        (OffsetSpec.earliest(), 0),
        (OffsetSpec.latest(), 3),
        (OffsetSpec.max_timestamp(), 1),
        (OffsetSpec.for_timestamp(1001), 1),
        (OffsetSpec.for_timestamp(3001), -1),
    ):
        found = client.list_offsets({at: spec})[at].result(30)
        assert found.offset == expected, f"{spec}: {found.offset}"

    cluster = client.describe_cluster().result(30)
    assert f"{cluster.nodes[0].host}:{cluster.nodes[0].port}" == BOOTSTRAP

    client.delete_topics([topic])[topic].result(30)
    assert topic not in client.list_topics(timeout=10).topics
    gone = client.delete_topics([topic])[topic]
    records.expect_error("deleted", "UNKNOWN_TOPIC_OR_PART", lambda: gone.result(30))


def group(topic, group_id, assignor, session_ms, heartbeat_ms):
    """One member of a group, until standard input ends."""
    settings = {
        "bootstrap.servers": BOOTSTRAP,
        "group.id": group_id,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    }
    if assignor == "consumer":
        settings["group.protocol"] = "consumer"
    else:
        settings["partition.assignment.strategy"] = assignor
        settings["session.timeout.ms"] = int(session_ms)
        settings["heartbeat.interval.ms"] = int(heartbeat_ms)
    consumer = Consumer(settings)
    member = records.Member()

    def commit():
        offsets = dict(member.processed)
        if not offsets:
            return
        positions = [TopicPartition(topic, *position) for position in offsets.items()]
        try:
            answer = consumer.commit(offsets=positions, asynchronous=False)
        except KafkaException as error:
            print("not committed:", error, file=sys.stderr)
            return
        refused = [position for position in answer if position.error]
        assert not refused, refused
        member.committed(offsets)

    def numbers(partitions):
        return [partition.partition for partition in partitions]

    def on_assign(_, partitions):
        member.partitions("assigned", numbers(partitions))

    def on_revoke(_, partitions):
        commit()
        member.forget(numbers(partitions))
        member.partitions("revoked", numbers(partitions))

    def on_lost(_, partitions):
        member.forget(numbers(partitions))
        member.partitions("lost", numbers(partitions))

    consumer.subscribe([topic], on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost)
    while not member.leaving.is_set():
        for message in consumer.consume(100, 0.1):
            if message.error():
                print("instead of a message:", message.error(), file=sys.stderr)
            else:
                member.record(message.partition(), message.offset())
        if member.due():
            commit()
    consumer.close()


COMMANDS = {
    "lines": lines,
    "records": special,
    "partitions": partitions,
    "admin": admin,
    "group": group,
}
COMMANDS[sys.argv[1]](*sys.argv[3:])
