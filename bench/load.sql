-- A thousand sessions, made by session_create itself, and what the clients hold of them.
WITH made AS MATERIALIZED (
    SELECT 125 * chunk + i % 125 AS batch, c.*, bench.data(1000 * chunk + i) AS data,
           translate(encode(sha256(uuid_send(gen_random_uuid())), 'base64'), '+/=', '-_') AS opaque_token
    FROM nextval('bench.chunk') AS chunk, generate_series(0, 999) AS i,
         LATERAL dialstack.session_create('bench', 'production', 'web', bench.data(1000 * chunk + i)) AS c
), rows AS (
    SELECT batch, array_agg(token) AS t, array_agg(opaque_token) AS o,
           array_agg(session_id) AS s, array_agg(refresh_token) AS r
    FROM made GROUP BY batch
), lookup AS (
    INSERT INTO bench.lookup (token_hash, data) SELECT sha256(opaque_token::bytea), data FROM made
), held AS (
    INSERT INTO bench.held
    SELECT batch, t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], o[1], o[2], o[3], o[4], o[5], o[6], o[7], o[8]
    FROM rows
)
INSERT INTO bench.walked
SELECT batch, s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8]
FROM rows;
