-- What the benchmarks of row-level security compare. psql variables: rows.
-- Every table has the same rows; a policy of each gives account acct_7 a thousandth of them.

CREATE ROLE bench_app;
SELECT dialstack.grant_access('bench_app', 'client');
GRANT USAGE ON SCHEMA bench TO bench_app;

CREATE TABLE bench.constant (account text NOT NULL, amount integer NOT NULL);
INSERT INTO bench.constant SELECT 'acct_' || i % 1000, i FROM generate_series(1, :rows) AS i;
CREATE TABLE bench.bare (LIKE bench.constant);
INSERT INTO bench.bare TABLE bench.constant;
CREATE TABLE bench.wrapped (LIKE bench.constant);
INSERT INTO bench.wrapped TABLE bench.constant;
-- The same with an index.
CREATE TABLE bench.indexed_constant (LIKE bench.constant);
INSERT INTO bench.indexed_constant TABLE bench.constant;
CREATE INDEX ON bench.indexed_constant (account);
CREATE TABLE bench.indexed (LIKE bench.constant);
INSERT INTO bench.indexed TABLE bench.constant;
CREATE INDEX ON bench.indexed (account);

CREATE POLICY p ON bench.constant USING (account = 'acct_7');
CREATE POLICY p ON bench.bare USING (account = dialstack.current_account());
CREATE POLICY p ON bench.wrapped
    USING (account = (SELECT dialstack.current_account('bench', 'production')));
CREATE POLICY p ON bench.indexed_constant USING (account = 'acct_7');
CREATE POLICY p ON bench.indexed
    USING (account = (SELECT dialstack.current_account('bench', 'production')));
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{constant, bare, wrapped, indexed_constant, indexed}'::text[] LOOP
        EXECUTE format('ALTER TABLE bench.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('GRANT SELECT ON bench.%I TO bench_app', name);
    END LOOP;
END
$$;

-- The token of acct_7, and sessions to revoke while others verify.
CREATE TABLE bench.secret AS
SELECT client_secret FROM dialstack.account_session_create(
    'acct_7', product => 'bench', env => 'production', expires_in => '1 day');
GRANT SELECT ON bench.secret TO bench_app;
CREATE TABLE bench.doomed (number bigint PRIMARY KEY, session_id uuid NOT NULL);
CREATE SEQUENCE bench.doom;

-- Milliseconds of a query, under the policies of acct_7.
CREATE FUNCTION bench.milliseconds(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
BEGIN
    SET LOCAL ROLE bench_app;
    PERFORM dialstack.session_use((SELECT client_secret FROM bench.secret));
    began := clock_timestamp();
    EXECUTE query;
    RETURN extract(epoch FROM clock_timestamp() - began) * 1e3;
END
$$;
-- The shape of a query's plan, under the same policies.
CREATE FUNCTION bench.plan(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    shape text := '';
BEGIN
    SET LOCAL ROLE bench_app;
    PERFORM dialstack.session_use((SELECT client_secret FROM bench.secret));
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
        CONTINUE WHEN line !~ '(Scan|Aggregate)';
        shape := concat_ws(', ', nullif(shape, ''), regexp_replace(line, ' on .*|^ *-> *', '', 'g'));
    END LOOP;
    RETURN shape;
END
$$;
