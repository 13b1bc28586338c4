-- Logical replication of everything hinders no function: `CREATE PUBLICATION … FOR ALL TABLES` forbids to
-- change or delete rows of tables that have no identity.
SET client_min_messages = error;
SELECT t.product('pub');
CREATE PUBLICATION everything FOR ALL TABLES;

-- Only the table that is always empty has none.
SELECT relname FROM pg_class c WHERE relnamespace = 'dialstack'::regnamespace AND relkind = 'r' AND relreplident <> 'f'
   AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary);

SELECT token, refresh_token, session_id FROM dialstack.session_create('pub', 'production', 'web', '{"userId": "ann"}') \gset
SELECT ok, token, refresh_token FROM dialstack.session_refresh(:'refresh_token') \gset
SELECT dialstack.session_revoke('pub', 'production', 'web', :'session_id') AS revoked;
SELECT count(*) FROM dialstack.session_create('pub', 'staging', 'web', '{"userId": "ann"}');
SELECT dialstack.session_revoke_all('pub', 'staging', 'web', 'ann') AS revoked;
-- Activity of another year in a month that is still needed goes row by row.
INSERT INTO dialstack.activity (at, month, env_id, kind, operation, status)
SELECT at - interval '1 year', extract(month FROM at AT TIME ZONE 'UTC'), env_id, kind, operation, status FROM dialstack.activity WHERE session_id = :'session_id';
SELECT sum((dialstack.maintain() ->> 'activity_purged')::int) AS purged FROM generate_series(1, 2);
SELECT count(*) AS old FROM dialstack.activity WHERE at < now() - interval '11 months';
SELECT count(*) FROM dialstack.signing_key_rotate('seal');
SELECT dialstack.env_delete('pub', 'production'), dialstack.api_key_revoke(api_key_id) FROM dialstack.api_key_create('pub', 'staging');

DROP PUBLICATION everything;
