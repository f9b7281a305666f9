-- Nobody but the owner may use anything until it is granted: messages are not public.
REVOKE ALL ON SCHEMA kafka, kafka_log FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA kafka, kafka_log FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA kafka_log FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA kafka FROM PUBLIC;
-- A conversion that shows nothing, and that the cast from jsonb needs.
GRANT EXECUTE ON FUNCTION kafka.headers(jsonb) TO PUBLIC;
