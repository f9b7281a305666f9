import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Producers that keep five requests under way: {@code Pipelined BOOTSTRAP TOPIC PRODUCERS RECORDS TRANSACTION}.
 * Each sends its numbers to the partitions in turn; with TRANSACTION above 0 so many are a transaction.
 * Ends with 1 where anything had to be sent twice.
 */
public final class Pipelined {
    private static final int PARTITIONS = 4;

    public static void main(String[] args) throws Exception {
        int producers = Integer.parseInt(args[2]);
        int records = Integer.parseInt(args[3]);
        int transaction = Integer.parseInt(args[4]);
        var threads = Executors.newFixedThreadPool(producers);
        List<Callable<Void>> tasks = IntStream.range(0, producers)
            .<Callable<Void>>mapToObj(number -> () -> produce(args[0], args[1], number, records, transaction))
            .toList();
        for (Future<Void> done : threads.invokeAll(tasks)) {
            done.get();
        }
        threads.shutdown();
    }

    private static Void produce(String bootstrap, String topic, int number, int records, int transaction) throws Exception {
        Map<String, Object> settings = new HashMap<>(Map.of(
            "bootstrap.servers", bootstrap,
            "enable.idempotence", true,
            "max.in.flight.requests.per.connection", 5,
            "linger.ms", 0,
            "batch.size", 300));
        if (transaction > 0) {
            settings.put("transactional.id", topic + "-" + number);
        }
        try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            if (transaction > 0) {
                producer.initTransactions();
            }
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < records; i++) {
                if (transaction > 0 && i % transaction == 0) {
                    producer.beginTransaction();
                }
                byte[] value = "%d %d %s".formatted(number, i, "x".repeat(80)).getBytes(StandardCharsets.UTF_8);
                sent.add(producer.send(new ProducerRecord<>(topic, i % PARTITIONS, null, value)));
                if (transaction > 0 && (i + 1) % transaction == 0) {
                    producer.commitTransaction();
                }
            }
            for (var future : sent) {
                future.get();
            }
            producer.metrics().forEach((name, metric) -> {
                boolean total = List.of("record-retry-total", "record-error-total").contains(name.name());
                if (total && name.group().equals("producer-metrics") && !metric.metricValue().equals(0.0)) {
                    throw new AssertionError(name.name() + " of producer " + number + ": " + metric.metricValue());
                }
            });
        }
        return null;
    }
}
