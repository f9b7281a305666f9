import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Takes the steps of standard input with Apache Kafka's Java client: {@code Transactions steps
 * BOOTSTRAP}. Lines of the answer to a step begin with a bar, and a bar and a dot end it.
 */
public final class Transactions {
    /** All records are of this time. */
    private static final long TIMESTAMP = 1_700_000_000_000L;

    private static String bootstrap;
    private static Admin admin;
    private static final Map<String, KafkaProducer<String, String>> PRODUCERS = new HashMap<>();

    public static void main(String[] args) throws Exception {
        bootstrap = args[1];
        admin = Admin.create(properties());
        var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            try {
                step(line.split(" "));
            } catch (Exception error) {
                say("error " + name(error));
            }
            System.out.println("|.");
        }
    }

    private static void step(String[] words) throws Exception {
        switch (words[0]) {
            case "producer" -> newProducer(words[1], words[2], words[3]);
            case "begin" -> PRODUCERS.get(words[1]).beginTransaction();
            case "send" -> send(PRODUCERS.get(words[1]), words[2], Integer.parseInt(words[3]), rest(words, 4));
            case "commit" -> PRODUCERS.get(words[1]).commitTransaction();
            case "abort" -> PRODUCERS.get(words[1]).abortTransaction();
            case "close" -> PRODUCERS.remove(words[1]).close(Duration.ofSeconds(5));
            case "plain" -> plain(words[1], Integer.parseInt(words[2]), rest(words, 3));
            case "many" -> many(PRODUCERS.get(words[1]), Integer.parseInt(words[2]), words[3]);
            case "transform" -> transform(
                words[1], words[2], words[3], words[4], Integer.parseInt(words[5]), words[6]);
            case "committed" -> committed(words[1], words[2]);
            case "read" -> read(words[1], words[2], Integer.parseInt(words[3]));
            case "tail" -> tail(words[1], words[2]);
            case "ends" -> ends(words[1], Integer.parseInt(words[2]));
            case "transactions" -> transactions(words[1]);
            case "describe" -> describe(rest(words, 1));
            case "producers" -> producers(words[1], Integer.parseInt(words[2]));
            case "abort_open" -> abortOpen(words[1], Integer.parseInt(words[2]));
            case "fence" -> admin.fenceProducers(rest(words, 1)).all().get();
            default -> throw new IllegalArgumentException(words[0]);
        }
    }

    private static void say(String line) {
        System.out.println("| " + line);
    }

    /** The class of what went wrong, and of its cause where it says no more than that there is one. */
    private static String name(Throwable error) {
        if (error instanceof ExecutionException) {
            return name(error.getCause());
        }
        String name = error.getClass().getSimpleName();
        return error.getClass() == KafkaException.class && error.getCause() != null
            ? name + " for " + name(error.getCause())
            : name;
    }

    private static List<String> rest(String[] words, int from) {
        return Arrays.asList(words).subList(from, words.length);
    }

    private static Properties properties(Object... settings) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        for (int i = 0; i < settings.length; i += 2) {
            properties.put(settings[i], settings[i + 1]);
        }
        return properties;
    }

    // Producers

    /** What is flushed is one batch: it would wait for more by itself. */
    private static KafkaProducer<String, String> producer(Object... settings) {
        Properties properties = properties(settings);
        properties.put("linger.ms", 10_000);
        properties.put("retry.backoff.ms", 10);
        return new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer());
    }

    private static void newProducer(String name, String id, String timeout) {
        var producer = producer("transactional.id", id, "transaction.timeout.ms", timeout);
        PRODUCERS.put(name, producer);
        producer.initTransactions();
    }

    private static void send(
        KafkaProducer<String, String> producer, String topic, int partition, List<String> values) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (String value : values) {
            sent.add(producer.send(new ProducerRecord<>(topic, partition, TIMESTAMP, "key", value)));
        }
        producer.flush();
        for (var record : sent) {
            say("offset " + record.get().offset());
        }
    }

    private static void plain(String topic, int partition, List<String> values) throws Exception {
        send(PRODUCERS.computeIfAbsent("plain", name -> producer()), topic, partition, values);
    }

    private static void many(KafkaProducer<String, String> producer, int count, String topic) throws Exception {
        for (int i = 0; i < count; i++) {
            producer.beginTransaction();
            send(producer, topic, i % 3, List.of("many-" + i));
            if (i % 7 == 3) {
                producer.abortTransaction();
            } else {
                producer.commitTransaction();
            }
        }
    }

    /** A member of the group takes records, sends each on, and its offsets with them. */
    private static void transform(
        String id, String group, String from, String to, int count, String end) throws Exception {
        try (var consumer = consumer("isolation.level", "read_committed", "group.id", group,
                "enable.auto.commit", false, "auto.offset.reset", "earliest", "max.poll.records", 1);
             var producer = producer("transactional.id", id)) {
            producer.initTransactions();
            consumer.subscribe(List.of(from));
            producer.beginTransaction();
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            for (int found = 0; found < count; ) {
                for (var record : consumer.poll(Duration.ofSeconds(10))) {
                    say("took " + record.offset() + " " + record.value());
                    send(producer, to, 0, List.of(record.value() + "-on"));
                    offsets.put(new TopicPartition(from, record.partition()),
                        new OffsetAndMetadata(record.offset() + 1));
                    found++;
                }
            }
            producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
            if (end.equals("commit")) {
                producer.commitTransaction();
            } else {
                producer.abortTransaction();
            }
        }
    }

    // Consumers

    private static KafkaConsumer<String, String> consumer(Object... settings) {
        return new KafkaConsumer<>(properties(settings), new StringDeserializer(), new StringDeserializer());
    }

    private static void committed(String group, String topic) {
        try (var consumer = consumer("isolation.level", "read_committed", "group.id", group)) {
            var partition = new TopicPartition(topic, 0);
            OffsetAndMetadata committed = consumer.committed(Set.of(partition)).get(partition);
            say(committed == null ? "none" : "offset " + committed.offset() + " '" + committed.metadata() + "'");
        }
    }

    private static String text(ConsumerRecord<String, String> record) {
        return record.partition() + " " + record.offset() + " " + record.timestamp()
            + " " + record.key() + " " + record.value();
    }

    /** Every record of these partitions up to the one that says it is the end. */
    private static void read(String isolation, String topic, int partitions) {
        List<ConsumerRecord<String, String>> found = new ArrayList<>();
        Set<Integer> ended = new HashSet<>();
        try (var consumer = consumer("isolation.level", isolation)) {
            List<TopicPartition> assigned = new ArrayList<>();
            for (int partition = 0; partition < partitions; partition++) {
                assigned.add(new TopicPartition(topic, partition));
            }
            consumer.assign(assigned);
            consumer.seekToBeginning(assigned);
            while (ended.size() < partitions) {
                for (var record : consumer.poll(Duration.ofSeconds(10))) {
                    found.add(record);
                    if (record.value().equals("end")) {
                        ended.add(record.partition());
                    }
                }
            }
        }
        // In the order of arrival within each.
        found.sort(Comparator.comparingInt(ConsumerRecord::partition));
        found.forEach(record -> say(text(record)));
    }

    /** The same of the first partition, each record as it comes. */
    private static void tail(String isolation, String topic) {
        try (var consumer = consumer("isolation.level", isolation)) {
            var partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            while (true) {
                for (var record : consumer.poll(Duration.ofSeconds(10))) {
                    say(text(record));
                    if (record.value().equals("end")) {
                        return;
                    }
                }
            }
        }
    }

    // Administration

    private static void ends(String topic, int partition) throws Exception {
        var at = new TopicPartition(topic, partition);
        for (IsolationLevel isolation : IsolationLevel.values()) {
            for (OffsetSpec spec : List.of(OffsetSpec.latest(), OffsetSpec.maxTimestamp(), OffsetSpec.earliest())) {
                var found = admin.listOffsets(Map.of(at, spec), new ListOffsetsOptions(isolation)).partitionResult(at);
                say(isolation + " " + spec.getClass().getSimpleName() + " " + found.get().offset());
            }
        }
    }

    /** Of the transactional ids that begin so. */
    private static void transactions(String prefix) throws Exception {
        for (TransactionState state : new TransactionState[] {
            null, TransactionState.EMPTY, TransactionState.ONGOING,
            TransactionState.COMPLETE_COMMIT, TransactionState.COMPLETE_ABORT}) {
            var options = new ListTransactionsOptions().filterStates(state == null ? Set.of() : Set.of(state));
            show("in state " + state, prefix, options);
        }
        show("for an hour", prefix, new ListTransactionsOptions().filterOnDuration(3_600_000));
        show("by pattern", prefix, new ListTransactionsOptions().filterOnTransactionalIdPattern(prefix + ".*b.*"));
    }

    private static void show(String what, String prefix, ListTransactionsOptions options) throws Exception {
        Collection<TransactionListing> found = admin.listTransactions(options).all().get();
        found.stream()
            .filter(listed -> listed.transactionalId().startsWith(prefix))
            .sorted(Comparator.comparing(TransactionListing::transactionalId))
            .forEach(listed -> say(what + ": " + listed.transactionalId() + " producer=" + listed.producerId()
                + " " + listed.state()));
    }

    private static void describe(List<String> ids) {
        var described = admin.describeTransactions(ids);
        for (String id : ids) {
            try {
                TransactionDescription found = described.description(id).get();
                say(id + " producer=" + found.producerId() + " epoch " + found.producerEpoch()
                    + " " + found.state() + " timeout " + found.transactionTimeoutMs()
                    + " started " + found.transactionStartTimeMs().isPresent()
                    + " " + found.topicPartitions().stream().map(TopicPartition::toString).sorted().toList());
            } catch (Exception error) {
                say(id + " " + name(error));
            }
        }
    }

    private static List<ProducerState> producersOf(TopicPartition partition) throws Exception {
        return admin.describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers().stream()
            .sorted(Comparator.comparing(ProducerState::producerId))
            .toList();
    }

    private static void producers(String topic, int partition) throws Exception {
        for (ProducerState found : producersOf(new TopicPartition(topic, partition))) {
            say("producer=" + found.producerId() + " epoch " + found.producerEpoch()
                + " last sequence " + found.lastSequence()
                + " last timestamp " + (found.lastTimestamp() == TIMESTAMP ? "of the records" : "of the server")
                + " coordinator " + found.coordinatorEpoch().isPresent()
                + " open since " + found.currentTransactionStartOffset());
        }
    }

    /** As kafka-transactions.sh aborts a hanging transaction. */
    private static void abortOpen(String topic, int partition) throws Exception {
        var at = new TopicPartition(topic, partition);
        for (ProducerState found : producersOf(at)) {
            if (found.currentTransactionStartOffset().isPresent()) {
                admin.abortTransaction(new AbortTransactionSpec(at, found.producerId(),
                    (short) found.producerEpoch(), found.coordinatorEpoch().orElse(0))).all().get();
            }
        }
    }
}
