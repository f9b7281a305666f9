"""Takes the steps of standard input with confluent-kafka: confluent_transactions.py steps BOOTSTRAP

Lines of the answer to a step begin with a bar, and a bar and a dot end it.
"""

import sys

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

BOOTSTRAP = sys.argv[2]
# All records are of this time.
TIMESTAMP = 1_700_000_000_000
TIMEOUT = 30

producers = {}


def say(*words):
    print("|", *words, flush=True)


def name(error):
    flags = ["fatal"] * error.fatal() + ["retriable"] * error.retriable()
    return " ".join([error.name(), *flags, *["abort"] * error.txn_requires_abort()])


def new_producer(**settings):
    # What is flushed is one batch: it would wait for more by itself.
    settings = {setting.replace("_", "."): value for setting, value in settings.items()}
    return Producer(
        {
            "bootstrap.servers": BOOTSTRAP,
            "linger.ms": 900,
            "retry.backoff.ms": 10,
            **settings,
        }
    )


def new_consumer(isolation, group="unused", **settings):
    settings = {setting.replace("_", "."): value for setting, value in settings.items()}
    return Consumer(
        {
            "bootstrap.servers": BOOTSTRAP,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": isolation,
            **settings,
        }
    )


def producer(key, transactional_id, timeout_ms):
    producers[key] = new_producer(
        transactional_id=transactional_id, transaction_timeout_ms=timeout_ms
    )
    producers[key].init_transactions(TIMEOUT)


def begin(key):
    producers[key].begin_transaction()


def commit(key):
    producers[key].commit_transaction(TIMEOUT)


def abort(key):
    producers[key].abort_transaction(TIMEOUT)


def close(key):
    del producers[key]


def send_with(client, topic, partition, values):
    errors = []

    def delivered(error, message):
        if error:
            errors.append(error)
        else:
            say("offset", message.offset())

    for value in values:
        client.produce(
            topic, value, "key", int(partition), timestamp=TIMESTAMP, on_delivery=delivered
        )
    assert client.flush(TIMEOUT) == 0, "not flushed"
    if errors:
        raise KafkaException(errors[0])


def send(key, topic, partition, *values):
    send_with(producers[key], topic, partition, values)


def plain(topic, partition, *values):
    if "plain" not in producers:
        producers["plain"] = new_producer(enable_idempotence=True)
    send("plain", topic, partition, *values)


def many(key, count, topic):
    client = producers[key]
    for i in range(int(count)):
        client.begin_transaction()
        send_with(client, topic, i % 3, [f"many-{i}"])
        if i % 7 == 3:
            client.abort_transaction(TIMEOUT)
        else:
            client.commit_transaction(TIMEOUT)


def messages(consumer):
    while True:
        message = consumer.poll(TIMEOUT)
        assert message, "no message"
        if message.error():
            raise KafkaException(message.error())
        yield message


def transform(transactional_id, group, source, target, count, end):
    """A member of the group takes records, sends each on, and its offsets with them."""
    client = new_producer(transactional_id=transactional_id)
    client.init_transactions(TIMEOUT)
    consumer = new_consumer("read_committed", group)
    consumer.subscribe([source])
    client.begin_transaction()
    for _, message in zip(range(int(count)), messages(consumer)):
        say("took", message.offset(), message.value().decode())
        send_with(client, target, 0, [message.value() + b"-on"])
        position = TopicPartition(source, message.partition(), message.offset() + 1)
    client.send_offsets_to_transaction([position], consumer.consumer_group_metadata(), TIMEOUT)
    if end == "commit":
        client.commit_transaction(TIMEOUT)
    else:
        client.abort_transaction(TIMEOUT)
    consumer.close()


def committed(group, topic):
    consumer = new_consumer("read_committed", group)
    [found] = consumer.committed([TopicPartition(topic, 0)], TIMEOUT)
    say(*(["none"] if found.offset < 0 else ["offset", found.offset, f"'{found.metadata or ''}'"]))
    consumer.close()


def show(message):
    key, value = message.key().decode(), message.value().decode()
    say(message.partition(), message.offset(), message.timestamp()[1], key, value)


def read(isolation, topic, partitions):
    """Every record of these partitions up to the one that says it is the end."""
    partitions = range(int(partitions))
    consumer = new_consumer(isolation)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    found, ended = [], set()
    for message in messages(consumer):
        found.append(message)
        if message.value() == b"end":
            ended.add(message.partition())
            if len(ended) == len(partitions):
                break
    # In the order of arrival within each.
    for message in sorted(found, key=lambda message: message.partition()):
        show(message)
    consumer.close()


def tail(isolation, topic):
    """The same of the first partition, each record as it comes."""
    consumer = new_consumer(isolation)
    consumer.assign([TopicPartition(topic, 0, 0)])
    for message in messages(consumer):
        show(message)
        if message.value() == b"end":
            break
    consumer.close()


STEPS = [producer, begin, commit, abort, close, send, plain, many, transform, committed, read, tail]
STEPS = {step.__name__: step for step in STEPS}
for line in sys.stdin:
    step, *arguments = line.split()
    try:
        STEPS[step](*arguments)
    except (KafkaException, SystemError) as error:
        # A fatal error while a callback is due comes as the cause of a system error.
        error = error.__cause__ or error
        say("error", name(error.args[0]))
    print("|.", flush=True)
