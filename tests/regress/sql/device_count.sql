-- device_count: how many rows the tables that are marked as devices hold.
SELECT t.product('devices');
CREATE SCHEMA d;
CREATE ROLE regress_owner;
-- Devices are counted past a policy that binds the owner, who need not be allowed to call our functions.
CREATE TABLE d.devices (id int, account uuid);
INSERT INTO d.devices VALUES (1, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), (2, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
ALTER TABLE d.devices OWNER TO regress_owner;
GRANT USAGE ON SCHEMA d TO regress_owner;
SELECT dialstack.protect_table('d.devices', 'account', 'devices', 'production', 'connected_account', device => true, force => true);
CREATE FUNCTION t.counted() RETURNS bigint LANGUAGE sql AS $$
    SELECT device_count FROM dialstack.client_session_create(connected_account_ids => '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', product => 'devices', env => 'production');
$$;
CREATE POLICY failing ON d.devices USING (1 / (id - id) = 1);
SELECT t.counted();
-- Where they can't be counted, by an error or in time, there is no figure, the call succeeds, and the lint says why.
REVOKE ALL ON d.devices FROM regress_owner;
SELECT t.counted();
SELECT severity, weakness, detail FROM dialstack.policy_lint() WHERE relation = 'd.devices'::regclass AND weakness = 'not_counted';
GRANT ALL ON d.devices TO regress_owner;
CREATE FUNCTION d.slow(n int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_sleep(CASE current_user WHEN 'regress_owner' THEN current_setting('my.nap')::float ELSE 0 END); RETURN true; END $$;
SET my.nap = 0;
CREATE INDEX slow ON d.devices (id) WHERE d.slow(1);
SET my.nap = 600;
SET statement_timeout = '60s';
SELECT t.counted();
SELECT severity, weakness, detail FROM dialstack.policy_lint() WHERE relation = 'd.devices'::regclass AND weakness = 'not_counted';
-- What the caller set still holds.
SET statement_timeout = '100ms';
SELECT t.counted();
SELECT pg_sleep(60);
RESET statement_timeout;
DROP INDEX d.slow;
SELECT t.counted();
-- Code of the owner asks nobody to retry.
CREATE FUNCTION d.retry(n int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF current_setting('my.retry', true) = 'yes' THEN RAISE EXCEPTION 'retry' USING ERRCODE = '40001'; END IF; RETURN true; END $$;
CREATE INDEX retry ON d.devices (id) WHERE d.retry(1);
SET my.retry = 'yes';
SELECT t.counted();
SELECT detail FROM dialstack.policy_lint() WHERE relation = 'd.devices'::regclass AND weakness = 'not_counted';
RESET my.retry;
DROP INDEX d.retry;
DROP FUNCTION d.retry;
SELECT t.counted();
-- As a partition of a table of devices they are counted once.
CREATE TABLE d.whole (id int, account uuid) PARTITION BY LIST (id);
SELECT dialstack.protect_table('d.whole', 'account', 'devices', 'production', 'connected_account', device => true, force => true);
CREATE TABLE d.part PARTITION OF d.whole DEFAULT PARTITION BY LIST (id);
ALTER TABLE d.part ATTACH PARTITION d.devices DEFAULT;
SELECT t.counted();
ALTER TABLE d.part DETACH PARTITION d.devices;
DROP TABLE d.whole;
SELECT t.counted();
-- As a part of a table that inherits too.
CREATE TABLE d.whole (id int, account uuid);
SELECT dialstack.protect_table('d.whole', 'account', 'devices', 'production', 'connected_account', device => true, force => true);
CREATE TABLE d.part () INHERITS (d.whole);
ALTER TABLE d.devices INHERIT d.part;
SELECT t.counted();
ALTER TABLE d.devices NO INHERIT d.part;
DROP TABLE d.part, d.whole;
SELECT t.counted();
DROP TABLE d.devices;
DROP OWNED BY regress_owner;
DROP ROLE regress_owner;
DROP FUNCTION t.counted;
DROP SCHEMA d CASCADE;
