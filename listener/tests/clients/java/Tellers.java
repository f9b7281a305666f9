import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.InvalidTxnStateException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Tellers of the bank, until standard input ends: {@code Tellers BOOTSTRAP TOPIC FIRST COUNT}.
 * Says what each transaction is made of before it is sent, what was acknowledged where, and how
 * it ended: aborted (so it begins, too), unknown (nothing has come back yet) or committed.
 */
public final class Tellers {
    private static final int PARTITIONS = 4;
    private static final int ACCOUNTS = 10;
    private static volatile boolean stop;

    private final String bootstrap;
    private final String topic;
    private final int number;
    private final Random random;
    private int begun;

    private record Leg(int account, int delta) { }

    private Tellers(String bootstrap, String topic, int number) {
        this.bootstrap = bootstrap;
        this.topic = topic;
        this.number = number;
        this.random = new Random(number);
    }

    public static void main(String[] args) throws Exception {
        int first = Integer.parseInt(args[2]);
        int count = Integer.parseInt(args[3]);
        var threads = Executors.newFixedThreadPool(count);
        List<Future<?>> all = new ArrayList<>();
        for (int number = first; number < first + count; number++) {
            Tellers teller = new Tellers(args[0], args[1], number);
            all.add(threads.submit((Callable<Void>) teller::work));
        }
        System.in.readAllBytes();
        stop = true;
        try {
            for (var teller : all) {
                teller.get();
            }
        } finally {
            threads.shutdown();
        }
    }

    private static synchronized void say(String what, Object... more) {
        StringBuilder line = new StringBuilder(what);
        for (Object word : more) {
            line.append(' ').append(word);
        }
        System.out.println(line);
        System.out.flush();
    }

    /** Leaves no transaction open. */
    private Void work() throws Exception {
        var producer = takeOver();
        while (!stop) {
            String lost = transaction(producer);
            if (lost != null) {
                say("lost", lost);
                producer.close(Duration.ZERO);
                producer = takeOver();
            }
        }
        producer.close();
        takeOver().close();
        return null;
    }

    private KafkaProducer<byte[], byte[]> takeOver() {
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", bootstrap,
            "transactional.id", "teller-" + number,
            "linger.ms", 0,
            "max.block.ms", 120_000,
            "reconnect.backoff.ms", 10,
            "reconnect.backoff.max.ms", 200,
            "retry.backoff.ms", 20);
        while (true) {
            var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
            try {
                producer.initTransactions();
                return producer;
            } catch (KafkaException error) {
                say("lost", "not initiated: " + error);
                producer.close(Duration.ZERO);
            }
        }
    }

    /** Why this producer cannot go on, or null. */
    private String transaction(KafkaProducer<byte[], byte[]> producer) throws Exception {
        String id = number + " " + begun++;
        List<Leg> legs = draw();
        say("begin", id, legs.stream().map(leg -> leg.account + ":" + leg.delta).collect(Collectors.joining(",")));
        int choice = random.nextInt(100);
        boolean committing = choice >= 28;
        try {
            fill(producer, id, legs);
            if (choice < 20) {
                if (random.nextBoolean()) {
                    producer.flush();
                }
                producer.abortTransaction();
            } else if (choice < 23) {
                return "left on purpose";
            } else if (choice < 25) {
                return commitTooLate(producer);
            } else if (choice < 28) {
                return commitAndGo(producer, id);
            } else {
                say("unknown", id);
                producer.commitTransaction();
                say("committed", id);
            }
            return null;
        } catch (ProducerFencedException | InvalidProducerEpochException | TimeoutException error) {
            return error.toString();
        } catch (KafkaException error) {
            if (hasCommittedTooEarly(error)) {
                return error.toString();
            }
            producer.abortTransaction();
            if (committing) {
                say("aborted", id);
            }
            say("lost", "aborted: " + error);
            return null;
        }
    }

    /**
     * Kafka's client (4.3.1) first looks whether there are records to be sent and then takes what is to be
     * done next: now and then it sends a commit before records that were handed to it in between, and it is
     * told that there is nothing to commit. It cannot go on.
     */
    private static boolean hasCommittedTooEarly(KafkaException error) {
        return error instanceof InvalidTxnStateException || error.getCause() instanceof InvalidTxnStateException;
    }

    private List<Leg> draw() {
        List<Leg> legs = new ArrayList<>();
        int transfers = random.nextInt(10) < 7 ? 1 : 2 + random.nextInt(4);
        for (int i = 0; i < transfers; i++) {
            int amount = 1 + random.nextInt(100);
            int from = random.nextInt(ACCOUNTS);
            legs.add(new Leg(from, -amount));
            legs.add(new Leg((from + 1 + random.nextInt(ACCOUNTS - 1)) % ACCOUNTS, amount));
        }
        return legs;
    }

    private void fill(KafkaProducer<byte[], byte[]> producer, String id, List<Leg> legs) throws Exception {
        producer.beginTransaction();
        for (int i = 0; i < legs.size(); i++) {
            Leg leg = legs.get(i);
            int place = i;
            byte[] value = "%s %d %d %d".formatted(id, i, leg.account, leg.delta).getBytes(StandardCharsets.UTF_8);
            producer.send(new ProducerRecord<>(topic, leg.account % PARTITIONS, null, value), (metadata, error) -> {
                if (error == null && metadata.hasOffset()) {
                    say("acknowledged", id, place, metadata.offset());
                }
            });
            if (random.nextInt(100) < 20) {
                Thread.sleep(random.nextInt(30));
            }
        }
    }

    /** Another one takes over before this one commits, which then must not succeed. */
    private String commitTooLate(KafkaProducer<byte[], byte[]> producer) {
        producer.flush();
        takeOver().close();
        try {
            producer.commitTransaction();
        } catch (KafkaException error) {
            return "fenced on purpose";
        }
        throw new AssertionError(number + " is not fenced");
    }

    /** Without waiting for the answer: whether it is committed it will never know. */
    private String commitAndGo(KafkaProducer<byte[], byte[]> producer, String id) throws Exception {
        producer.flush();
        say("unknown", id);
        Thread commit = new Thread(() -> {
            try {
                producer.commitTransaction();
                say("committed", id);
            } catch (KafkaException error) {
                // Nobody is there any more to hear it.
            }
        });
        commit.start();
        Thread.sleep(random.nextInt(10));
        producer.close(Duration.ZERO);
        commit.join();
        return "gone on purpose";
    }
}
