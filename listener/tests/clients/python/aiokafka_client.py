"""aiokafka: aiokafka_client.py COMMAND BOOTSTRAP ARGUMENT..."""

import asyncio
import contextlib
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

import records

BOOTSTRAP = sys.argv[2]


@contextlib.asynccontextmanager
async def started(client):
    await client.start()
    try:
        yield client
    finally:
        await (client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop())


def producer(**settings):
    return started(AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, **settings))


def consumer(group_id=None, **settings):
    return started(AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=group_id, **settings))


async def read(topic, partitions):
    """Every record of the topic, by assignment."""
    partitions = [TopicPartition(topic, number) for number in range(partitions)]
    async with consumer(
        enable_auto_commit=False, auto_offset_reset="none", isolation_level="read_committed"
    ) as reader:
        reader.assign(partitions)
        ends = await reader.end_offsets(partitions)
        await reader.seek_to_beginning(*partitions)
        async with asyncio.timeout(60):
            for partition in partitions:
                while await reader.position(partition) < ends[partition]:
                    found = await reader.getmany(partition, timeout_ms=1000)
                    for record in found.get(partition, []):
                        yield record


async def lines(topic, codec, path, out):
    sent = records.read_lines(path)
    async with producer(
        compression_type=None if codec == "none" else codec, linger_ms=5, enable_idempotence=True
    ) as client:
        partitions = len(await client.partitions_for(topic))
        for number, line in enumerate(sent):
            future = await client.send(topic, line, str(number).encode())
        await client.flush()
        await future
    found = records.Lines(len(sent))
    async for record in read(topic, partitions):
        found.add(record.partition, record.offset, record.key, record.value)
    found.write(out)


async def special(topic):
    async with producer() as client:
        for line in records.stdin_lines():
            timestamp, key, value, headers = records.parse(line)
            await client.send_and_wait(
                topic, value, key, timestamp_ms=timestamp, headers=headers
            )
    async for record in read(topic, 1):
        records.show(record.timestamp, record.key, record.value, record.headers)


async def partitions(topic):
    async with producer() as client:
        for key in records.stdin_lines():
            sent = await client.send_and_wait(topic, b"v", records.from_hex(key))
            print(key, sent.partition)


async def admin(prefix):
    topic = prefix + "_a"
    async with started(AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)) as client:

        async def create(name, replicas=1):
            answer = await client.create_topics([NewTopic(name, 3, replicas)])
            return answer.topic_errors[0][1]

        assert await create(topic) == 0
        assert topic in await client.list_topics()
        # TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION, INVALID_REPLICATION_FACTOR
        assert await create(topic) == 36
        assert await create("no/slash") == 17
        assert await create(prefix, 3) == 38
        await client.create_partitions({topic: NewPartitions(4)})
        described = await client.describe_topics([topic])
        assert len(described[0]["partitions"]) == 4, described

        at = TopicPartition(topic, 1)
        async with producer() as sender:
            for timestamp in (1000, 3000, 2000):
                await sender.send_and_wait(topic, b"v", partition=1, timestamp_ms=timestamp)
        async with consumer() as reader:
            assert await reader.beginning_offsets([at]) == {at: 0}
            assert await reader.end_offsets([at]) == {at: 3}
            assert (await reader.offsets_for_times({at: 1001}))[at].offset == 1
            assert (await reader.offsets_for_times({at: 3001}))[at] is None

        answer = await client.delete_topics([topic])
        assert answer.topic_error_codes[0][1] == 0
        assert topic not in await client.list_topics()


async def group(topic, group_id, assignor, session_ms, heartbeat_ms):
    """One member of a group, until standard input ends."""
    assignors = {"roundrobin": RoundRobinPartitionAssignor, "sticky": StickyPartitionAssignor}
    member = records.Member()
    owned = []
    # A rebalance goes on beside the loop below.
    one_at_a_time = asyncio.Lock()

    async def commit():
        async with one_at_a_time:
            offsets = dict(member.processed)
            if not offsets:
                return
            try:
                await reader.commit({TopicPartition(topic, p): o for p, o in offsets.items()})
            except KafkaError as error:
                print("not committed:", repr(error), file=sys.stderr)
            else:
                member.committed(offsets)

    async def release(_=None):
        await commit()
        member.forget(list(member.processed))
        if owned:
            member.partitions("revoked", owned)
        owned.clear()

    class Listener(ConsumerRebalanceListener):
        async def on_partitions_revoked(self, revoked):
            await release()

        async def on_partitions_assigned(self, assigned):
            owned.extend(partition.partition for partition in assigned)
            member.partitions("assigned", owned)

    async with consumer(
        group_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=int(session_ms),
        heartbeat_interval_ms=int(heartbeat_ms),
        partition_assignment_strategy=[assignors[assignor]],
    ) as reader:
        reader.subscribe([topic], listener=Listener())
        while not member.leaving.is_set():
            for found in (await reader.getmany(timeout_ms=100)).values():
                for record in found:
                    member.record(record.partition, record.offset)
            if member.due():
                await commit()
        # stop() does not tell the listener.
        await release()


COMMANDS = {
    "lines": lines,
    "records": special,
    "partitions": partitions,
    "admin": admin,
    "group": group,
}
asyncio.run(COMMANDS[sys.argv[1]](*sys.argv[3:]))
