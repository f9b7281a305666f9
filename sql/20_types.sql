CREATE TYPE kafka.header AS (key text, value bytea);

CREATE FUNCTION kafka.headers(headers jsonb) RETURNS kafka.header[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'headers_wrapper';

-- So that kafka.produce takes its headers as jsonb too.
CREATE CAST (jsonb AS kafka.header[]) WITH FUNCTION kafka.headers(jsonb) AS IMPLICIT;
