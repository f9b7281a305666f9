"""kafka-python: kafka_python_client.py COMMAND BOOTSTRAP ARGUMENT..."""

import sys
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

import records

BOOTSTRAP = sys.argv[2]


def read(topic):
    """Every record of the topic, by assignment."""
    consumer = KafkaConsumer(
        bootstrap_servers=BOOTSTRAP,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        max_poll_records=10_000,
    )
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    ends = consumer.end_offsets(partitions)
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    until = time.monotonic() + 60
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        assert time.monotonic() < until, "records are missing"
        for found in consumer.poll(1000).values():
            yield from found
    consumer.close()


def lines(topic, codec, path, out):
    sent = records.read_lines(path)
    producer = KafkaProducer(
        bootstrap_servers=BOOTSTRAP,
        compression_type=None if codec == "none" else codec,
        linger_ms=5,
        enable_idempotence=True,
    )
    futures = [
        producer.send(topic, line, str(number).encode()) for number, line in enumerate(sent)
    ]
    producer.flush(60)
    for future in futures:
        future.get(60)
    producer.close()
    found = records.Lines(len(sent))
    for record in read(topic):
        found.add(record.partition, record.offset, record.key, record.value)
    found.write(out)


def special(topic):
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
    for line in records.stdin_lines():
        timestamp, key, value, headers = records.parse(line)
        producer.send(topic, value, key, headers, timestamp_ms=timestamp).get(30)
    producer.close()
    for record in read(topic):
        records.show(record.timestamp, record.key, record.value, record.headers)


def partitions(topic):
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
    for key in records.stdin_lines():
        print(key, producer.send(topic, b"v", records.from_hex(key)).get(30).partition)
    producer.close()


def admin(prefix):
    client = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    topic = prefix + "_a"

    def create(name, **options):
        return client.create_topics({name: {"num_partitions": 3, **options}})

    client.create_topics({topic: {"num_partitions": 3}}, validate_only=True)
    assert topic not in client.list_topics()
    create(topic)
    assert topic in client.list_topics()
    records.expect_error("again", "TopicAlreadyExists", lambda: create(topic))
    records.expect_error("slash", "InvalidTopic", lambda: create("no/slash"))
    records.expect_error(
        "replicas", "InvalidReplicationFactor", lambda: create(prefix, replication_factor=3)
    )
    client.create_partitions({topic: 4})
    described = client.describe_topics([topic])
    assert [partition["partition_index"] for partition in described[0]["partitions"]] == [0, 1, 2, 3]

    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
    for timestamp in (1000, 3000, 2000):
        producer.send(topic, b"v", partition=1, timestamp_ms=timestamp).get(30)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP)
    at = TopicPartition(topic, 1)
    assert consumer.beginning_offsets([at]) == {at: 0}
    assert consumer.end_offsets([at]) == {at: 3}
    assert consumer.offsets_for_times({at: 1001})[at].offset == 1
    assert consumer.offsets_for_times({at: 3001})[at] is None
    consumer.close()

    client.delete_topics([topic])
    assert topic not in client.list_topics()
    records.expect_error(
        "deleted", "UnknownTopicOrPartition", lambda: client.delete_topics([topic])
    )
    client.close()


COMMANDS = {"lines": lines, "records": special, "partitions": partitions, "admin": admin}
COMMANDS[sys.argv[1]](*sys.argv[3:])
