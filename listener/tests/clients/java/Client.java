import java.io.BufferedOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Properties;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicaAssignmentException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.Utils;

/**
 * What the tests ask of Apache Kafka's Java client: {@code Client COMMAND BOOTSTRAP ARGUMENT...}.
 * Ends with 1 and a stack trace where the server answers otherwise than expected.
 */
public final class Client {
    private static String bootstrap;

    public static void main(String[] args) throws Exception {
        bootstrap = args[1];
        switch (args[0]) {
            case "lines" -> lines(args[2], args[3], Path.of(args[4]), Path.of(args[5]));
            case "records" -> records(args[2]);
            case "read" -> read(args[2], args[3]).forEach(record -> System.out.println(text(record)));
            case "partitions" -> partitions(args[2]);
            case "monotonic" -> monotonic(args[2], Integer.parseInt(args[3]));
            case "admin" -> admin(args[2]);
            case "positions" -> positions(args[2]);
            case "seek" -> seek(args[2], Long.parseLong(args[3]));
            case "tail" -> tail(args[2]);
            case "idempotent" -> idempotent(args[2]);
            case "acks" -> acks(args[2], args[3]);
            case "synchronous" -> synchronous(args[2]);
            case "sizes" -> sizes(args[2]);
            case "split" -> split(args[2]);
            case "append_time" -> appendTime(args[2]);
            case "auto_create" -> autoCreate(args[2]);
            case "recreate" -> recreate(args[2]);
            case "unsupported" -> unsupported(args[2], args[3]);
            case "offsets" -> offsets(args[2], args[3]);
            case "group" -> group(args[2], args[3], args[4], Integer.parseInt(args[5]), Integer.parseInt(args[6]));
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    // Clients

    private static KafkaProducer<byte[], byte[]> producer(Object... settings) {
        return new KafkaProducer<>(properties(settings), new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static KafkaConsumer<byte[], byte[]> consumer(Object... settings) {
        return new KafkaConsumer<>(properties(settings), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static Admin newAdmin(Object... settings) {
        return Admin.create(properties(settings));
    }

    private static Properties properties(Object... settings) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        for (int i = 0; i < settings.length; i += 2) {
            properties.put(settings[i], settings[i + 1]);
        }
        return properties;
    }

    private static <K, V> List<TopicPartition> assignAll(KafkaConsumer<K, V> consumer, String topic) {
        List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
            .map(info -> new TopicPartition(topic, info.partition()))
            .sorted(Comparator.comparingInt(TopicPartition::partition))
            .toList();
        consumer.assign(partitions);
        return partitions;
    }

    /** Every record of the topic, partition after partition; checks that offsets rise. */
    private static List<ConsumerRecord<byte[], byte[]>> read(String topic, String isolation) {
        try (var consumer = consumer("isolation.level", isolation)) {
            List<TopicPartition> partitions = assignAll(consumer, topic);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            Map<Integer, List<ConsumerRecord<byte[], byte[]>>> found = new HashMap<>();
            while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
                for (var record : consumer.poll(Duration.ofSeconds(10))) {
                    List<ConsumerRecord<byte[], byte[]>> before =
                        found.computeIfAbsent(record.partition(), partition -> new ArrayList<>());
                    check(before.isEmpty() || before.get(before.size() - 1).offset() < record.offset(),
                        "the offset rises to " + record.offset());
                    before.add(record);
                }
            }
            return partitions.stream()
                .flatMap(partition -> found.getOrDefault(partition.partition(), List.of()).stream())
                .toList();
        }
    }

    // A record as a line: timestamp, key, value, headers; "-" is null, "x" and hexadecimals are bytes.

    private static String text(ConsumerRecord<byte[], byte[]> record) {
        String headers = Arrays.stream(record.headers().toArray())
            .map(header -> hex(header.key().getBytes(StandardCharsets.UTF_8)) + "=" + hex(header.value()))
            .collect(Collectors.joining(","));
        return record.timestamp() + " " + hex(record.key()) + " " + hex(record.value()) + " [" + headers + "]";
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, String text) {
        String[] parts = text.split(" ");
        List<Header> headers = new ArrayList<>();
        for (String header : parts[3].substring(1, parts[3].length() - 1).split(",")) {
            if (!header.isEmpty()) {
                String[] pair = header.split("=");
                headers.add(new RecordHeader(new String(bytes(pair[0]), StandardCharsets.UTF_8), bytes(pair[1])));
            }
        }
        return new ProducerRecord<>(
            topic, null, Long.valueOf(parts[0]), bytes(parts[1]), bytes(parts[2]), headers);
    }

    private static String hex(byte[] bytes) {
        return bytes == null ? "-" : "x" + HexFormat.of().formatHex(bytes);
    }

    private static byte[] bytes(String hex) {
        return hex.equals("-") ? null : HexFormat.of().parseHex(hex.substring(1));
    }

    private static byte[] utf8(Object value) {
        return value.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static int number(byte[] text) {
        return Integer.parseInt(new String(text, StandardCharsets.UTF_8));
    }

    private static List<String> input() throws Exception {
        return new String(System.in.readAllBytes(), StandardCharsets.UTF_8).lines().toList();
    }

    // Expectations

    private static void check(boolean so, String what) {
        if (!so) {
            throw new AssertionError("expected: " + what);
        }
    }

    private static void same(Object found, Object expected, String what) {
        if (!Objects.equals(expected, found)) {
            throw new AssertionError(what + ": expected " + expected + ", found " + found);
        }
    }

    private interface Action {
        Object run() throws Exception;
    }

    /** The cause must be of that class, and its message must contain the text. */
    private static void fails(Class<? extends Throwable> type, String text, Action action) throws Exception {
        Object result;
        try {
            result = action.run();
        } catch (Exception error) {
            Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
            if (type.isInstance(cause) && String.valueOf(cause.getMessage()).contains(text)) {
                return;
            }
            throw new AssertionError("expected " + type.getSimpleName() + " with \"" + text + "\"", error);
        }
        throw new AssertionError("expected " + type.getSimpleName() + ", found " + result);
    }

    // Commands

    /** Sends each line under its number, reads all and puts them together again. */
    private static void lines(String topic, String codec, Path in, Path out) throws Exception {
        List<String> lines = Files.readAllLines(in);
        try (var producer = producer("compression.type", codec, "linger.ms", 5)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < lines.size(); i++) {
                sent.add(producer.send(new ProducerRecord<>(topic, utf8(i), utf8(lines.get(i)))));
            }
            for (var future : sent) {
                check(future.get().hasOffset(), "an offset");
            }
        }
        byte[][] found = new byte[lines.size()][];
        Map<Integer, Integer> last = new HashMap<>();
        for (var record : read(topic, "read_committed")) {
            int number = number(record.key());
            check(found[number] == null, "line " + number + " once");
            Integer before = last.put(record.partition(), number);
            check(before == null || before < number, "line " + number + " after " + before);
            found[number] = record.value();
        }
        try (var writer = new BufferedOutputStream(Files.newOutputStream(out))) {
            for (byte[] line : found) {
                writer.write(line);
                writer.write('\n');
            }
        }
    }

    /** Sends the records of standard input and prints what is read back. */
    private static void records(String topic) throws Exception {
        try (var producer = producer()) {
            for (String line : input()) {
                producer.send(record(topic, line)).get();
            }
        }
        read(topic, "read_committed").forEach(record -> System.out.println(text(record)));
    }

    /** Sends a record for each key of standard input; prints the partitions chosen. */
    private static void partitions(String topic) throws Exception {
        try (var producer = producer()) {
            int partitions = producer.partitionsFor(topic).size();
            for (String key : input()) {
                int partition = producer.send(new ProducerRecord<>(topic, bytes(key), utf8("v"))).get().partition();
                same(partition, Utils.toPositive(Utils.murmur2(bytes(key))) % partitions, "partition of " + key);
                System.out.println(key + " " + partition);
            }
        }
    }

    /** What ProducerPerformance --payload-monotonic has sent: each number once, rising in each partition. */
    private static void monotonic(String topic, int count) {
        boolean[] seen = new boolean[count];
        Map<Integer, Integer> last = new HashMap<>();
        int found = 0;
        for (var record : read(topic, "read_committed")) {
            int number = number(record.value());
            check(!seen[number], number + " once");
            seen[number] = true;
            Integer before = last.put(record.partition(), number);
            check(before == null || before < number, number + " after " + before);
            found++;
        }
        same(found, count, "records");
    }

    private static void admin(String prefix) throws Exception {
        String topic = prefix + "_a";
        String other = prefix + "_b";
        try (var admin = newAdmin()) {
            // Cluster
            var cluster = admin.describeCluster();
            var node = cluster.nodes().get().iterator().next();
            same(cluster.nodes().get().size(), 1, "brokers");
            same(node.host() + ":" + node.port(), bootstrap, "the broker's address");
            same(cluster.controller().get().id(), node.id(), "the controller");
            check(!cluster.clusterId().get().isEmpty(), "a cluster id");
            System.out.println("cluster_id " + cluster.clusterId().get());

            // Create
            var dry = admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1)), new CreateTopicsOptions().validateOnly(true));
            dry.all().get();
            check(!admin.listTopics().names().get().contains(topic), "nothing created by validateOnly");
            var created = admin.createTopics(List.of(
                new NewTopic(topic, 3, (short) 1).configs(Map.of("compression.type", "zstd", "max.message.bytes", "100000")),
                new NewTopic(other, Optional.empty(), Optional.empty())));
            created.all().get();
            same(created.numPartitions(topic).get(), 3, "partitions told when created");
            same(created.replicationFactor(topic).get(), 1, "replication factor told when created");
            same(created.config(topic).get().get("compression.type").value(), "zstd", "config told when created");
            Uuid id = created.topicId(topic).get();
            check(!id.equals(Uuid.ZERO_UUID), "a topic id");
            fails(TopicExistsException.class, topic, () -> admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get());
            fails(InvalidTopicException.class, "", () -> admin.createTopics(List.of(new NewTopic("no/slash", 1, (short) 1))).all().get());
            fails(InvalidPartitionsException.class, "", () -> admin.createTopics(List.of(new NewTopic(prefix + "_c", 0, (short) 1))).all().get());
            fails(ApiException.class, "partitions", () -> admin.createTopics(List.of(new NewTopic(prefix + "_c", Integer.MAX_VALUE, (short) 1))).all().get());
            fails(InvalidReplicationFactorException.class, "", () -> admin.createTopics(List.of(new NewTopic(prefix + "_c", 1, (short) 3))).all().get());
            fails(InvalidReplicaAssignmentException.class, "", () -> admin.createTopics(List.of(new NewTopic(prefix + "_c", Map.of(0, List.of(1, 2, 3))))).all().get());
            fails(InvalidConfigurationException.class, "no.such.config", () -> admin.createTopics(List.of(new NewTopic(prefix + "_c", 1, (short) 1).configs(Map.of("no.such.config", "1")))).all().get());

            // List and describe
            check(admin.listTopics().names().get().containsAll(Set.of(topic, other)), "both topics listed");
            var described = admin.describeTopics(List.of(topic)).topicNameValues().get(topic).get();
            same(described.topicId(), id, "topic id");
            same(described.isInternal(), false, "internal");
            same(described.partitions().stream().map(partition -> partition.partition()).toList(), List.of(0, 1, 2), "partitions");
            for (var partition : described.partitions()) {
                same(partition.leader().id(), node.id(), "leader");
                same(partition.replicas(), List.of(node), "replicas");
                same(partition.isr(), List.of(node), "in-sync replicas");
            }
            var byId = admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).topicIdValues().get(id).get();
            same(byId.name(), topic, "name by id");
            fails(UnknownTopicOrPartitionException.class, "", () -> admin.describeTopics(List.of(prefix + "_none")).topicNameValues().get(prefix + "_none").get());
            Uuid unknown = Uuid.randomUuid();
            fails(UnknownTopicIdException.class, "", () -> admin.describeTopics(TopicCollection.ofTopicIds(List.of(unknown))).topicIdValues().get(unknown).get());
            check(!admin.listTopics().names().get().contains(prefix + "_none"), "describing creates nothing");

            // More partitions
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
            same(admin.describeTopics(List.of(topic)).topicNameValues().get(topic).get().partitions().size(), 5, "partitions then");
            fails(InvalidPartitionsException.class, "", () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all().get());
            fails(InvalidPartitionsException.class, "", () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get());
            fails(UnknownTopicOrPartitionException.class, "", () -> admin.createPartitions(Map.of(prefix + "_none", NewPartitions.increaseTo(2))).all().get());

            // Offsets
            var partition = new TopicPartition(topic, 1);
            try (var producer = producer()) {
                for (long timestamp : new long[] {1000, 3000, 2000}) {
                    producer.send(new ProducerRecord<>(topic, 1, timestamp, utf8("k"), utf8(timestamp))).get();
                }
            }
            Map<OffsetSpec, String> expected = new HashMap<>();
            expected.put(OffsetSpec.earliest(), "0 -1");
            expected.put(OffsetSpec.latest(), "3 -1");
            expected.put(OffsetSpec.maxTimestamp(), "1 3000");
            expected.put(OffsetSpec.forTimestamp(500), "0 1000");
            expected.put(OffsetSpec.forTimestamp(1001), "1 3000");
            expected.put(OffsetSpec.forTimestamp(3001), "-1 -1");
            expected.put(OffsetSpec.earliestLocal(), "0 -1");
            expected.put(OffsetSpec.latestTiered(), "-1 -1");
            for (var spec : expected.entrySet()) {
                var found = admin.listOffsets(Map.of(partition, spec.getKey())).partitionResult(partition).get();
                same(found.offset() + " " + found.timestamp(), spec.getValue(), "offset of " + spec.getKey().getClass().getSimpleName());
            }
            var empty = new TopicPartition(topic, 0);
            var none = admin.listOffsets(Map.of(empty, OffsetSpec.maxTimestamp())).partitionResult(empty).get();
            same(none.offset() + " " + none.timestamp(), "-1 -1", "max timestamp of an empty partition");

            // Delete, by name and by id
            Uuid otherId = admin.describeTopics(List.of(other)).topicNameValues().get(other).get().topicId();
            admin.deleteTopics(List.of(topic)).all().get();
            admin.deleteTopics(TopicCollection.ofTopicIds(List.of(otherId))).all().get();
            Set<String> left = admin.listTopics().names().get();
            check(!left.contains(topic) && !left.contains(other), "both deleted");
            fails(UnknownTopicOrPartitionException.class, "", () -> admin.deleteTopics(List.of(topic)).all().get());
            fails(UnknownTopicIdException.class, "", () -> admin.deleteTopics(TopicCollection.ofTopicIds(List.of(otherId))).all().get());
        }
    }

    /** On a topic of one partition with offsets 0 to 99, timestamps of a second's distance from 1,000,000. */
    private static void positions(String topic) throws Exception {
        var partition = new TopicPartition(topic, 0);
        for (String isolation : List.of("read_committed", "read_uncommitted")) {
            try (var consumer = consumer("isolation.level", isolation, "max.poll.records", 10, "auto.offset.reset", "none")) {
                var only = List.of(partition);
                consumer.assign(only);
                same(consumer.beginningOffsets(only).get(partition), 0L, "beginning");
                same(consumer.endOffsets(only).get(partition), 100L, "end");

                consumer.seek(partition, 42);
                var records = consumer.poll(Duration.ofSeconds(10)).records(partition);
                same(records.get(0).offset(), 42L, "offset after seek");
                same(records.size(), 10, "records of a poll");
                same(consumer.position(partition), 52L, "position");
                same(consumer.currentLag(partition).orElse(-1), 48L, "lag");

                consumer.seekToBeginning(only);
                same(consumer.poll(Duration.ofSeconds(10)).records(partition).get(0).offset(), 0L, "offset at the beginning");
                consumer.seekToEnd(only);
                same(consumer.position(partition), 100L, "position at the end");
                same(consumer.poll(Duration.ofMillis(300)).count(), 0, "records at the end");

                Function<Long, Object> at = timestamp -> {
                    var found = consumer.offsetsForTimes(Map.of(partition, timestamp)).get(partition);
                    return found == null ? "none" : found.offset() + " " + found.timestamp();
                };
                same(at.apply(0L), "0 1000000", "offset at 0");
                same(at.apply(1_005_000L), "5 1005000", "offset at an exact time");
                same(at.apply(1_005_001L), "6 1006000", "offset between two times");
                same(at.apply(1_099_001L), "none", "offset after the last");

                consumer.seek(partition, 5000);
                fails(OffsetOutOfRangeException.class, topic, () -> consumer.poll(Duration.ofSeconds(10)));
            }
            try (var consumer = consumer("isolation.level", isolation, "auto.offset.reset", "earliest")) {
                consumer.assign(List.of(partition));
                consumer.seek(partition, 5000);
                List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
                for (int i = 0; i < 10 && found.isEmpty(); i++) {
                    consumer.poll(Duration.ofSeconds(1)).forEach(found::add);
                }
                same(found.get(0).offset(), 0L, "offset after a reset to the earliest");
            }
        }
    }

    /** Prints offset and value of the first record found at an offset of partition 0. */
    private static void seek(String topic, long offset) {
        var partition = new TopicPartition(topic, 0);
        try (var consumer = consumer("auto.offset.reset", "none")) {
            consumer.assign(List.of(partition));
            consumer.seek(partition, offset);
            var found = consumer.poll(Duration.ofSeconds(10)).records(partition);
            System.out.println(found.get(0).offset() + " " + new String(found.get(0).value(), StandardCharsets.UTF_8));
        }
    }

    /** Prints "ready" at the end of partition 0, and then each record's value as it comes, three of them. */
    private static void tail(String topic) {
        try (var consumer = consumer("fetch.max.wait.ms", 20_000)) {
            var only = List.of(new TopicPartition(topic, 0));
            consumer.assign(only);
            consumer.seekToEnd(only);
            consumer.poll(Duration.ofMillis(500));
            System.out.println("ready");
            for (int found = 0; found < 3; ) {
                for (var record : consumer.poll(Duration.ofSeconds(60))) {
                    System.out.println(new String(record.value(), StandardCharsets.UTF_8));
                    found++;
                }
            }
        }
    }

    /** Many small batches, five requests under way, into several partitions: all once and in order. */
    private static void idempotent(String topic) throws Exception {
        int count = 40_000;
        try (var producer = producer("linger.ms", 0, "batch.size", 300, "max.in.flight.requests.per.connection", 5)) {
            int partitions = producer.partitionsFor(topic).size();
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                sent.add(producer.send(new ProducerRecord<>(topic, i % partitions, utf8("k"), utf8(i))));
            }
            for (int i = 0; i < count; i++) {
                same(sent.get(i).get().offset(), (long) i / partitions, "offset of " + i);
            }
        }
        monotonic(topic, count);
    }

    private static void acks(String topic, String acks) throws Exception {
        int count = 20_000;
        try (var producer = producer("acks", acks, "enable.idempotence", false, "max.in.flight.requests.per.connection", 1)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                sent.add(producer.send(new ProducerRecord<>(topic, utf8(i % 100), utf8(i))));
            }
            for (var future : sent) {
                same(future.get().hasOffset(), !acks.equals("0"), "an offset is told");
            }
        }
        // Nothing tells when what was sent with acks=0 is there.
        for (int i = 0; acks.equals("0") && i < 100 && read(topic, "read_committed").size() < count; i++) {
            Thread.sleep(100);
        }
        monotonic(topic, count);
    }

    /** Producers that wait for each record, at the same time: the offsets told are the records' own. */
    private static void synchronous(String topic) throws Exception {
        int producers = 16;
        int each = 100;
        var pool = Executors.newFixedThreadPool(producers);
        List<Future<Map<String, String>>> running = new ArrayList<>();
        for (int p = 0; p < producers; p++) {
            String name = "p" + p + "-";
            running.add(pool.submit(() -> {
                Map<String, String> sent = new HashMap<>();
                try (var producer = producer("linger.ms", 0)) {
                    for (int i = 0; i < each; i++) {
                        var told = producer.send(new ProducerRecord<>(topic, utf8(name + i), utf8(name + i))).get();
                        sent.put(told.partition() + " " + told.offset(), name + i);
                    }
                }
                return sent;
            }));
        }
        Map<String, String> told = new HashMap<>();
        for (var producer : running) {
            told.putAll(producer.get());
        }
        pool.shutdown();
        check(pool.awaitTermination(10, TimeUnit.SECONDS), "the producers end");
        same(told.size(), producers * each, "different offsets told");
        Map<String, String> found = new HashMap<>();
        for (var record : read(topic, "read_committed")) {
            found.put(record.partition() + " " + record.offset(), new String(record.value(), StandardCharsets.UTF_8));
        }
        same(found, told, "records");
    }

    /** Large records: up to max.message.bytes (1048588), and larger than what a consumer asks for. */
    private static void sizes(String topic) throws Exception {
        byte[] large = new byte[1_000_000];
        new Random(1).nextBytes(large);
        try (var producer = producer("max.request.size", 8 << 20)) {
            producer.send(new ProducerRecord<>(topic, utf8("before"))).get();
            producer.send(new ProducerRecord<>(topic, large)).get();
            fails(RecordTooLargeException.class, "", () -> producer.send(new ProducerRecord<>(topic, new byte[2_000_000])).get());
            producer.send(new ProducerRecord<>(topic, utf8("after"))).get();
        }
        try (var consumer = consumer("max.partition.fetch.bytes", 1000, "fetch.max.bytes", 1000)) {
            assignAll(consumer, topic);
            consumer.seekToBeginning(consumer.assignment());
            List<Integer> sizes = new ArrayList<>();
            for (int i = 0; i < 30 && sizes.size() < 3; i++) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    sizes.add(record.value().length);
                    check(record.value().length != large.length || Arrays.equals(record.value(), large), "the same bytes");
                }
            }
            same(sizes, List.of(6, large.length, 5), "sizes");
        }
    }

    /** Batches beyond the topic's limit: told so, the producer halves them until they fit. */
    private static void split(String topic) throws Exception {
        int count = 2000;
        try (var producer = producer("batch.size", 100_000, "linger.ms", 100)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                sent.add(producer.send(new ProducerRecord<>(topic, new byte[200], utf8(i))));
            }
            for (var future : sent) {
                check(future.get().hasOffset(), "an offset");
            }
        }
        monotonic(topic, count);
    }

    /** On a topic with message.timestamp.type=LogAppendTime, what the producer says does not count. */
    private static void appendTime(String topic) throws Exception {
        long start = System.currentTimeMillis();
        List<Long> told = new ArrayList<>();
        for (String codec : List.of("none", "lz4")) {
            try (var producer = producer("compression.type", codec)) {
                told.add(producer.send(new ProducerRecord<>(topic, 0, 5L, null, utf8("value"))).get().timestamp());
            }
        }
        check(told.get(0) >= start && told.get(1) <= System.currentTimeMillis(), "the time of the append: " + told);
        var records = read(topic, "read_committed");
        same(records.stream().map(ConsumerRecord::timestamp).toList(), told, "timestamps");
        for (var record : records) {
            same(record.timestampType(), TimestampType.LOG_APPEND_TIME, "type");
        }
    }

    private static void autoCreate(String topic) throws Exception {
        try (var consumer = consumer("allow.auto.create.topics", false, "default.api.timeout.ms", 3000)) {
            fails(TimeoutException.class, "", () -> {
                var partition = new TopicPartition(topic, 0);
                consumer.assign(List.of(partition));
                return consumer.position(partition);
            });
        }
        try (var admin = newAdmin()) {
            check(!admin.listTopics().names().get().contains(topic), "a consumer that must not create has not");
        }
        try (var producer = producer()) {
            same(producer.send(new ProducerRecord<>(topic, utf8("first"))).get().offset(), 0L, "first offset");
        }
        same(read(topic, "read_committed").size(), 1, "records");
        try (var producer = producer("max.block.ms", 5000)) {
            fails(InvalidTopicException.class, "no/slash", () -> producer.send(new ProducerRecord<>("no/slash", utf8("x"))).get());
        }
    }

    /** A topic deleted and created again under a producer and a consumer which both go on. */
    private static void recreate(String topic) throws Exception {
        var partition = new TopicPartition(topic, 0);
        try (var admin = newAdmin(); var producer = producer("metadata.max.age.ms", 500);
                var consumer = consumer("metadata.max.age.ms", 500, "auto.offset.reset", "earliest")) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            for (int round = 0; round < 3; round++) {
                try {
                    admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
                } catch (ExecutionException error) {
                    // The producer, looking for its topic, has made it.
                    if (!(error.getCause() instanceof TopicExistsException)) throw error;
                }
                String value = "round " + round;
                same(producer.send(new ProducerRecord<>(topic, utf8(value))).get().offset(), 0L, "offset in round " + round);
                List<String> found = new ArrayList<>();
                for (int i = 0; i < 30 && !found.contains(value); i++) {
                    consumer.poll(Duration.ofMillis(500)).forEach(record -> found.add(new String(record.value(), StandardCharsets.UTF_8)));
                    if (found.isEmpty() && round > 0 && i % 4 == 3) {
                        // The position is beyond the new topic's end or exactly there.
                        consumer.seekToBeginning(List.of(partition));
                    }
                }
                same(found, List.of(value), "records in round " + round);
                admin.deleteTopics(List.of(topic)).all().get();
            }
        }
    }

    /** What is not served must fail by saying so. */
    private static void unsupported(String topic, String what) throws Exception {
        Action action = switch (what) {
            case "describe_configs" -> () -> {
                try (var admin = newAdmin()) {
                    return admin.describeConfigs(List.of(new ConfigResource(ConfigResource.Type.TOPIC, topic))).all().get();
                }
            };
            case "describe_acls" -> () -> {
                try (var admin = newAdmin()) {
                    return admin.describeAcls(AclBindingFilter.ANY).values().get();
                }
            };
            case "authorized_operations" -> () -> {
                try (var admin = newAdmin()) {
                    return admin.describeTopics(List.of(topic), new DescribeTopicsOptions().includeAuthorizedOperations(true)).topicNameValues().get(topic).get();
                }
            };
            default -> throw new IllegalArgumentException(what);
        };
        String outcome;
        try {
            outcome = "done " + action.run();
        } catch (Exception error) {
            Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
            outcome = cause.getClass().getSimpleName() + " " + cause.getMessage();
        }
        System.out.println(outcome.replace('\n', ' '));
    }

    // Groups

    /** Offsets of a group without members: by a consumer that assigns itself, and by an administrator. */
    private static void offsets(String topic, String group) throws Exception {
        var first = new TopicPartition(topic, 0);
        var second = new TopicPartition(topic, 1);
        try (var producer = producer()) {
            for (int i = 0; i < 10; i++) {
                producer.send(new ProducerRecord<>(topic, i % 2, null, utf8(i))).get();
            }
        }
        try (var consumer = consumer("group.id", group, "auto.offset.reset", "earliest")) {
            consumer.assign(List.of(first, second));
            same(consumer.committed(Set.of(first)).get(first), null, "committed at first");
            consumer.commitSync(Map.of(first, new OffsetAndMetadata(2, Optional.of(0), "met\u00e4data")));
        }
        try (var consumer = consumer("group.id", group, "auto.offset.reset", "earliest")) {
            consumer.assign(List.of(first, second));
            same(consumer.position(first), 2L, "position where something is committed");
            same(consumer.position(second), 0L, "position where nothing is");
            var committed = consumer.committed(Set.of(first, second));
            same(committed.get(first).offset(), 2L, "committed");
            same(committed.get(first).metadata(), "met\u00e4data", "metadata");
            same(committed.get(second), null, "nothing committed");
        }
        try (var admin = newAdmin()) {
            var listed = admin.listGroups().all().get().stream().filter(each -> each.groupId().equals(group)).toList();
            same(listed.size(), 1, "groups of that name");
            same(listed.get(0).groupState().get().toString(), "Empty", "its state");

            admin.alterConsumerGroupOffsets(group, Map.of(second, new OffsetAndMetadata(3))).all().get();
            var missing = new TopicPartition(topic, 9);
            fails(UnknownTopicOrPartitionException.class, "",
                () -> admin.alterConsumerGroupOffsets(group, Map.of(missing, new OffsetAndMetadata(1))).all().get());
            same(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().keySet(),
                Set.of(first, second), "partitions with offsets");
            admin.deleteConsumerGroupOffsets(group, Set.of(first)).all().get();
            same(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get(),
                Map.of(second, new OffsetAndMetadata(3)), "offsets left");
            admin.deleteConsumerGroups(List.of(group)).all().get();
            fails(GroupIdNotFoundException.class, "", () -> admin.deleteConsumerGroups(List.of(group)).all().get());
            same(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get(), Map.of(), "offsets of no group");
        }
    }

    private static final long COMMIT_INTERVAL_NANOS = TimeUnit.MILLISECONDS.toNanos(200);

    private static final Map<String, Class<?>> ASSIGNORS = Map.of(
        "range", RangeAssignor.class,
        "roundrobin", RoundRobinAssignor.class,
        "sticky", StickyAssignor.class,
        "cooperative-sticky", CooperativeStickyAssignor.class);

    /** One member, until standard input ends: a line for each thing that happens to it. */
    private static void group(String topic, String group, String assignor, int session, int heartbeat) {
        AtomicBoolean leaving = new AtomicBoolean();
        Thread input = new Thread(() -> {
            try {
                System.in.readAllBytes();
            } catch (java.io.IOException error) {
                error.printStackTrace();
            }
            leaving.set(true);
        });
        input.setDaemon(true);
        input.start();
        Map<TopicPartition, OffsetAndMetadata> processed = new HashMap<>();
        try (var consumer = member(group, assignor, session, heartbeat)) {
            consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    say("assigned", partitions);
                }

                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    commit(consumer, processed);
                    processed.keySet().removeAll(partitions);
                    say("revoked", partitions);
                }

                @Override
                public void onPartitionsLost(Collection<TopicPartition> partitions) {
                    processed.keySet().removeAll(partitions);
                    say("lost", partitions);
                }
            });
            long committed = System.nanoTime();
            while (!leaving.get()) {
                for (var record : consumer.poll(Duration.ofMillis(100))) {
                    System.out.println("record " + record.partition() + " " + record.offset());
                    processed.put(
                        new TopicPartition(topic, record.partition()), new OffsetAndMetadata(record.offset() + 1));
                }
                if (System.nanoTime() - committed > COMMIT_INTERVAL_NANOS) {
                    commit(consumer, processed);
                    committed = System.nanoTime();
                }
            }
        }
    }

    private static KafkaConsumer<byte[], byte[]> member(String group, String assignor, int session, int heartbeat) {
        List<Object> settings = new ArrayList<>(List.of(
            "group.id", group, "enable.auto.commit", false, "auto.offset.reset", "earliest"));
        if (assignor.equals("consumer")) {
            settings.addAll(List.of("group.protocol", "consumer"));
        } else {
            settings.addAll(List.of("session.timeout.ms", session, "heartbeat.interval.ms", heartbeat));
            // By default it offers range and cooperative-sticky.
            if (!assignor.equals("default")) {
                settings.addAll(List.of("partition.assignment.strategy", ASSIGNORS.get(assignor).getName()));
            }
        }
        return consumer(settings.toArray());
    }

    private static void say(String what, Collection<TopicPartition> partitions) {
        System.out.println(partitions.stream()
            .map(partition -> String.valueOf(partition.partition()))
            .collect(Collectors.joining(",", what + " ", "")));
    }

    /** What cannot be committed in the middle of a rebalance is committed after it, or in its course. */
    private static void commit(
        KafkaConsumer<byte[], byte[]> consumer, Map<TopicPartition, OffsetAndMetadata> processed) {
        if (processed.isEmpty()) {
            return;
        }
        try {
            consumer.commitSync(processed);
        } catch (RebalanceInProgressException | CommitFailedException error) {
            System.err.println("not committed: " + error.getMessage());
            return;
        }
        processed.forEach((partition, offset) ->
            System.out.println("committed " + partition.partition() + " " + offset.offset()));
        processed.clear();
    }
}
