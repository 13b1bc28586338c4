-- configuration_export, configuration_apply; if_not_exists.
SELECT t.product('cfg');
SELECT dialstack.scope_delete(scope, 'cfg') FROM dialstack.scope_list('cfg') WHERE scope <> 'fax' AND scope <> 'call_logs';
SELECT dialstack.scope_create('fax', 'faxes', 'cfg');
-- The document holds names only, in a stable order: no id, no time, no key.
SELECT jsonb_pretty(p) FROM jsonb_array_elements(dialstack.configuration_export() -> 'products') p WHERE p ->> 'product' = 'cfg';
SELECT dialstack.configuration_export() - 'products' AS version, dialstack.configuration_export() = dialstack.configuration_export() AS stable;
SELECT array_agg(p ->> 'product' ORDER BY n) = array_agg(p ->> 'product' ORDER BY p ->> 'product' COLLATE "C") AS by_name
  FROM jsonb_array_elements(dialstack.configuration_export() -> 'products') WITH ORDINALITY x (p, n);
BEGIN READ ONLY;
SELECT dialstack.configuration_export() IS NOT NULL AS exported, count(*) AS differences FROM dialstack.configuration_apply(dialstack.configuration_export());
ROLLBACK;

-- The document with another product cfg; without any for NULL.
CREATE FUNCTION pg_temp.with_cfg(cfg jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('version', 1, 'products', CASE WHEN cfg IS NULL THEN '[]' ELSE jsonb_build_array(cfg) END || coalesce(jsonb_agg(p), '[]'))
      FROM jsonb_array_elements(dialstack.configuration_export() -> 'products') p WHERE p ->> 'product' <> 'cfg'
$$;
CREATE FUNCTION pg_temp.cfg() RETURNS jsonb LANGUAGE sql AS $$
    SELECT p FROM jsonb_array_elements(dialstack.configuration_export() -> 'products') p WHERE p ->> 'product' = 'cfg'
$$;
-- Edits: another name, one scope more and one less, one changed; an environment more; a definition changed, one more.
CREATE TEMPORARY TABLE wanted AS
SELECT pg_temp.with_cfg(pg_temp.cfg() || jsonb_build_object(
    'name', 'The Shop',
    'scopes', '[{"scope": "fax", "description": "sending faxes"}, {"scope": "mail", "description": ""}]'::jsonb,
    'environments', pg_temp.cfg() -> 'environments' || '[{"env": "demo", "live": false}]',
    'definitions', jsonb_build_array(
        pg_temp.cfg() -> 'definitions' -> 0 || '{"expiry": 20, "max_sessions": 3}',
        '{"tag": "app", "name": "App", "selector": "$Session{id}", "expiry": 1, "period": "day", "schema": {"id": "x"}}'::jsonb))) AS document;
SELECT action, object, name, change FROM wanted, dialstack.configuration_apply(document);
-- A dry run changes nothing.
SELECT count(*) AS still FROM wanted, dialstack.configuration_apply(document);
SELECT action, object, name FROM wanted, dialstack.configuration_apply(document, dry_run => false);
-- Applied twice, it changes nothing; and the export is the document in full.
SELECT count(*) AS changes FROM wanted, dialstack.configuration_apply(document, dry_run => false);
SELECT count(*) AS changes FROM dialstack.configuration_apply(dialstack.configuration_export(), dry_run => false);
-- A number counts by its value, in whatever form the document and the table have it.
CREATE TEMPORARY TABLE large AS
SELECT pg_temp.with_cfg(jsonb_set(pg_temp.cfg(), '{definitions,0,schema}', '{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "n": {"type": "number", "maximum": 12345678901234567890.0}}}')) AS document;
BEGIN;
SELECT count(*) AS changes FROM large, dialstack.configuration_apply(document, dry_run => false);
SELECT count(*) AS changes FROM large, dialstack.configuration_apply(document);
ROLLBACK;
SELECT tag, name, expiry, period, refresh_expiry, max_sessions FROM dialstack.definition_list('cfg');
SELECT scope, description FROM dialstack.scope_list('cfg');
SELECT env, live FROM dialstack.env_list('cfg');
SELECT name FROM dialstack.product_list() WHERE product = 'cfg';

-- What is not in the document is deleted, and the row says what dies with it.
SELECT token FROM dialstack.session_create('cfg', 'production', 'web', '{"userId": "ann"}') \gset
SELECT client_secret FROM dialstack.account_session_create('acct', product => 'cfg', env => 'staging') \gset
SELECT api_key FROM dialstack.api_key_create('cfg', 'staging') \gset
SELECT action, object, name, change FROM dialstack.configuration_apply(pg_temp.with_cfg(pg_temp.cfg() #- '{environments,2}' #- '{definitions,1}' #- '{scopes,0}'));
SELECT action, object, name, change FROM dialstack.configuration_apply(pg_temp.with_cfg(NULL));
SELECT t.verdict(:'token'), t.verdict(:'client_secret');
BEGIN;
SELECT count(*) AS deleted FROM dialstack.configuration_apply(pg_temp.with_cfg(pg_temp.cfg() #- '{environments,2}' #- '{definitions,1}' #- '{scopes,0}'), false);
SELECT t.verdict(:'token'), t.verdict(:'client_secret');
SELECT count(*) AS again FROM dialstack.configuration_apply(dialstack.configuration_export(), false);
ROLLBACK;
SELECT t.verdict(:'token'), t.verdict(:'client_secret');

-- An environment that is in use does not become one for tests; nothing of the document is done then.
CREATE TEMPORARY TABLE mode AS
SELECT pg_temp.with_cfg(jsonb_set(pg_temp.cfg(), '{environments,1,live}', 'false') || '{"name": "Half done"}') AS document;
SELECT action, object, name, change FROM mode, dialstack.configuration_apply(document);
SELECT t.error('SELECT dialstack.configuration_apply(document, false) FROM mode');
SELECT name FROM dialstack.product_list() WHERE product = 'cfg';
SELECT dialstack.session_revoke_all('cfg', 'production', 'web', 'ann');
SELECT action, object, name, change FROM mode, dialstack.configuration_apply(document, false);

-- A bad document is refused as a whole, whatever else it says.
SELECT document, t.error(format('SELECT dialstack.configuration_apply(%L, dry_run => false)', document))
  FROM unnest(ARRAY[
    '[]', '{}', '{"version": 2}', '{"version": "1", "products": []}', '{"version": 1}', '{"version": 1, "products": [], "more": 1}',
    '{"version": 1, "products": [{"product": "a b", "name": "x", "scopes": [], "environments": [], "definitions": []}]}',
    '{"version": 1, "products": [{"product": "a", "name": 1, "scopes": [], "environments": [], "definitions": []}]}',
    '{"version": 1, "products": [{"product": "a", "name": "x", "scopes": [], "environments": [{"env": "e"}], "definitions": []}]}',
    '{"version": 1, "products": [{"product": "a", "name": "x", "scopes": [], "environments": [], "definitions": [{"tag": "t"}]}]}',
    '{"version": 1, "products": [{"product": "a", "name": "x", "scopes": [{"scope": "s", "description": "\u0001"}], "environments": [], "definitions": []}]}'
  ]) AS document;
SELECT t.error(format('SELECT dialstack.configuration_apply(%L, false)', pg_temp.with_cfg(jsonb_set(pg_temp.cfg(), '{definitions,2}', pg_temp.cfg() #> '{definitions,0}'))));
SELECT t.error(format('SELECT dialstack.configuration_apply(%L, false)', jsonb_build_object('version', 1, 'products', jsonb_build_array(pg_temp.cfg(), pg_temp.cfg()))));
-- A definition is checked as session_register() checks it.
SELECT t.error(format('SELECT dialstack.configuration_apply(%L, false)', pg_temp.with_cfg(jsonb_set(pg_temp.cfg(), '{definitions,0}', (pg_temp.cfg() #> '{definitions,0}') || change))))
  FROM unnest(ARRAY['{"selector": "$id"}', '{"expiry": 0}', '{"idle_timeout": "soon"}', '{"maxSessions": 2}', '{"idle_timeout": "1 second"}', '{"schema": {"type": "object", "properties": {"id": {"type": "text"}}}}', '{"product": "cfg"}']::jsonb[]) AS change;
-- One that is too large is refused before it is read.
SELECT t.error($$SELECT dialstack.configuration_apply(jsonb_build_object('version', 1, 'products', repeat('x', 4194305)))$$);
SELECT t.code($$SELECT dialstack.configuration_apply(('{"version": ' || repeat('[', 65) || repeat(']', 65) || '}')::jsonb)$$);
SELECT t.code('SELECT dialstack.configuration_apply(NULL)'), t.code($$SELECT dialstack.configuration_apply('{}', dry_run => NULL)$$);
SELECT count(*) AS changes FROM mode, dialstack.configuration_apply(document);
BEGIN READ ONLY;
SELECT dialstack.configuration_apply(document, false) FROM mode;
ROLLBACK;
SET dialstack_sessions.api_key = 'sk_live_x';
SELECT t.kind('SELECT dialstack.configuration_export()'), t.kind('SELECT dialstack.configuration_apply(document) FROM mode');
RESET dialstack_sessions.api_key;

-- A number of the schema comes back from the table in another form: no difference.
SELECT count(*) AS created FROM dialstack.definition_create('cfg', 'big', 'Big', '', '{"type": "object", "properties": {"id": {"type": "number", "maximum": 12345678901234567890.0, "minimum": 1.0}}}', '$Session{id}', 1, 'day');
SELECT count(*) AS changes FROM dialstack.configuration_apply(dialstack.configuration_export(), false);

-- A migration that runs again says if_not_exists.
SET client_min_messages = notice;
SELECT dialstack.product_create('cfg', 'Another', '{other}', if_not_exists => true) = product_id AS the_same FROM dialstack.product_list() WHERE product = 'cfg';
SELECT dialstack.env_create('cfg', 'demo', live => true, if_not_exists => true);
SELECT dialstack.scope_create('mail', 'another', 'cfg', if_not_exists => true);
SELECT count(*) AS changes FROM mode, dialstack.configuration_apply(jsonb_set(document, '{version}', '1')) WHERE object <> 'definition';
SELECT dialstack.product_create('cfg.new', if_not_exists => true) IS NOT NULL AS created;
SELECT dialstack.env_create('cfg.new', 'production', if_not_exists => true);
SELECT dialstack.scope_create('mail', 'mails', 'cfg.new', if_not_exists => true);
SELECT env, live FROM dialstack.env_list('cfg.new');
-- What is not valid stays an error.
SELECT t.code($$SELECT dialstack.product_create('a b', if_not_exists => true)$$), t.code($$SELECT dialstack.env_create('nope', 'production', if_not_exists => true)$$),
       t.code($$SELECT dialstack.product_create('cfg', if_not_exists => NULL)$$), t.code($$SELECT dialstack.env_create('cfg', 'demo', if_not_exists => NULL)$$), t.code($$SELECT dialstack.scope_create('mail', '', 'cfg', if_not_exists => NULL)$$);
SELECT dialstack.product_delete(product) FROM unnest('{cfg,cfg.new}'::text[]) AS product;
