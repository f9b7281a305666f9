import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Prints how many transactions a second all producers together commit:
 * {@code CommitRate BOOTSTRAP TOPIC PARTITIONS PRODUCERS RECORDS WARM_UP_MS TIME_MS}, with so many
 * records of 100 bytes in each.
 */
public final class CommitRate {
    private static final AtomicLong COUNT = new AtomicLong();
    private static volatile boolean stop;

    public static void main(String[] args) throws Exception {
        int[] numbers = new int[5];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = Integer.parseInt(args[2 + i]);
        }
        int producers = numbers[1];
        var threads = Executors.newFixedThreadPool(producers);
        List<Future<Void>> all = new ArrayList<>();
        for (int i = 0; i < producers; i++) {
            String id = args[1] + "-" + i;
            all.add(threads.submit((Callable<Void>) () -> commit(args[0], args[1], id, numbers[0], numbers[2])));
        }
        // A busy machine takes its time to get so far.
        long until = System.nanoTime() + 30_000_000_000L;
        while (COUNT.get() == 0 && System.nanoTime() < until) {
            Thread.sleep(1);
        }
        Thread.sleep(numbers[3]);
        long before = COUNT.get();
        long started = System.nanoTime();
        Thread.sleep(numbers[4]);
        long committed = COUNT.get() - before;
        double seconds = (System.nanoTime() - started) / 1e9;
        stop = true;
        for (var one : all) {
            one.get();
        }
        threads.shutdown();
        System.out.println(committed / seconds);
    }

    private static Void commit(String bootstrap, String topic, String id, int partitions, int records) {
        while (!stop) {
            try {
                commitUntilStopped(bootstrap, topic, id, partitions, records);
            } catch (KafkaException error) {
                // This client (4.3.1) now and then sends a commit before its records, and is refused.
                System.err.println(id + " begins anew: " + error);
            }
        }
        return null;
    }

    private static void commitUntilStopped(
            String bootstrap, String topic, String id, int partitions, int records) {
        Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap, "transactional.id", id);
        byte[] value = new byte[100];
        int next = 0;
        try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.initTransactions();
            while (!stop) {
                producer.beginTransaction();
                for (int i = 0; i < records; i++) {
                    producer.send(new ProducerRecord<>(topic, next++ % partitions, null, value));
                }
                producer.commitTransaction();
                COUNT.incrementAndGet();
            }
        }
    }
}
