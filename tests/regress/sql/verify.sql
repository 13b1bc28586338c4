-- session_verify: whose a token is, or why it is not good. A bad token is an answer, not an error.
SELECT t.product('ver');
SELECT t.product('ver2');
SELECT token, refresh_token, session_id, expires_at FROM dialstack.session_create('ver', 'production', 'web', '{"userId": "user_456", "cart": 3}') \gset

-- A good one.
SELECT valid, reason, kind, session_id = :'session_id' AS session_id, identifier, account, data, scopes, expires_at = :'expires_at' AS expires_at, product, env, tag
  FROM dialstack.session_verify(token => :'token') \gx
-- Bare or as `tag:jwt`.
SELECT t.verdict('web:' || :'token') AS with_tag, t.verdict('app:' || :'token') AS with_another_tag, t.verdict(':' || :'token') AS with_no_tag,
       t.verdict('web:web:' || :'token') AS twice, t.verdict('web: ' || :'token') AS with_blank;
-- Where it belongs; each of product, env and tag alone.
SELECT t.verdict(:'token', product => 'ver', env => 'production', tag => 'web') AS here, t.verdict(:'token', product => 'ver') AS product,
       t.verdict(:'token', env => 'production') AS env, t.verdict(:'token', tag => 'web') AS tag;

-- mismatch: authentic, but of another product, environment or tag, whether that exists or not.
SELECT t.verdict(:'token', product => 'ver2') AS product, t.verdict(:'token', env => 'staging') AS env, t.verdict(:'token', tag => 'app') AS tag,
       t.verdict(:'token', product => 'nope') AS unknown, t.verdict(:'token', product => 'VER') AS "case", t.verdict(:'token', product => '') AS empty;
-- A refusal tells nothing else.
SELECT * FROM dialstack.session_verify(:'token', product => 'ver2') \gx
-- scope_disabled: a user session has no scopes.
SELECT t.verdict(:'token', scope => 'call_logs') AS scope, t.verdict(:'token', scope => '') AS empty_scope;

-- invalid: malformed, forged, unknown.
SELECT label, t.verdict(token) FROM (VALUES (1, 'NULL', NULL), (2, 'empty', ''), (3, 'a dot', '.'), (4, 'two dots', '..'), (5, 'rubbish', 'rubbish'),
    (6, 'a refresh token', :'refresh_token'), (7, 'in upper case', upper(:'token')), (8, 'with a blank', :'token' || ' '), (9, 'with a line end', :'token' || E'\n'),
    (10, 'Bearer', 'Bearer ' || :'token'), (11, 'unsigned', split_part(:'token', '.', 1) || '.' || split_part(:'token', '.', 2) || '.'),
    (12, 'alg none', 'eyJhbGciOiJub25lIn0.' || split_part(:'token', '.', 2) || '.'), (13, 'four parts', :'token' || '.x'),
    (14, 'a client secret', 'cs_live_AAAA'), (15, 'a client session token', 'cst_test_AAAA'), (16, 'an API key', 'sk_live_AAAA')) AS c (n, label, token) ORDER BY n;
-- Unlike a bad token, it is not an error to forget where it belongs: NULL asks for nothing.
SELECT t.verdict(:'token', NULL, NULL, NULL, NULL);

-- The data is as it is now, not as it was when the token was made.
SELECT count(*) FROM dialstack.session_update_data(:'session_id', '{"userId": "user_456", "cart": 4}');
SELECT data FROM dialstack.session_verify(:'token');

-- READ ONLY transactions, subtransactions, and whatever is rolled back.
BEGIN READ ONLY;
SELECT t.verdict(:'token') AS read_only;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT t.verdict(:'token') AS deferrable;
COMMIT;
BEGIN;
SAVEPOINT a;
SELECT dialstack.session_revoke('ver', 'production', 'web', session_id => :'session_id');
SELECT t.verdict(:'token') AS revoked_inside;
ROLLBACK TO a;
SELECT t.verdict(:'token') AS rolled_back_to;
SAVEPOINT b;
SELECT dialstack.session_revoke('ver', 'production', 'web', session_id => :'session_id');
RELEASE b;
SELECT t.verdict(:'token') AS revoked_again;
ROLLBACK;
SELECT t.verdict(:'token') AS undone;
DO $$ BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN PERFORM dialstack.session_verify('rubbish'); END $$;
SELECT t.verdict(:'token') AS after_an_error;
-- It makes no transaction write.
BEGIN;
SELECT t.verdict(:'token') AS verdict, pg_current_xact_id_if_assigned() IS NULL AS without_transaction_id;
COMMIT;
-- Verifying changes nothing.
SELECT count(*) AS operations FROM dialstack.activity WHERE session_id = :'session_id';

-- expired: the access token; then the session.
SELECT token, expires_at, session_id FROM dialstack.session_create('ver', 'production', 'web', '{"userId": "late"}', expires_in => '1 second') \gset short_
-- (Its expiry is signed: it can only be waited for.)
SELECT pg_sleep_until(:'short_expires_at');
SELECT t.verdict(:'short_token') AS token_expired;
SELECT active AS session_lives FROM dialstack.session_info(:'short_session_id');
SELECT session_id AS old_session_id, token AS old_token FROM dialstack.session_create('ver', 'production', 'web', '{"userId": "old"}') \gset
SELECT t.age(:'old_session_id', '31 days');
SELECT t.verdict(:'old_token') AS session_expired;

-- revoked, reused.
SELECT token, session_id FROM dialstack.session_create('ver', 'production', 'web', '{"userId": "gone"}') \gset gone_
SELECT dialstack.session_revoke('ver', 'production', 'web', session_id => :'gone_session_id');
SELECT t.verdict(:'gone_token') AS revoked;
SELECT token, refresh_token, session_id FROM dialstack.session_create('ver', 'production', 'web', '{"userId": "stolen"}') \gset stolen_
SELECT refresh_token FROM dialstack.session_refresh(:'stolen_refresh_token') \gset second_
SELECT ok FROM dialstack.session_refresh(:'second_refresh_token');
SELECT ok, reason FROM dialstack.session_refresh(:'stolen_refresh_token');
SELECT t.verdict(:'stolen_token') AS reused;
-- A row that is deleted by hand: invalid.
DELETE FROM dialstack.sessions WHERE session_id = :'gone_session_id';
SELECT t.verdict(:'gone_token') AS deleted;

-- Of several reasons the first is told: invalid, mismatch, revoked or reused, expired, scope_disabled.
SELECT t.verdict('x' || :'stolen_token', product => 'ver2') AS invalid, t.verdict(:'stolen_token', product => 'ver2') AS mismatch;
SELECT t.age(:'stolen_session_id', '31 days');
SELECT t.verdict(:'stolen_token', scope => 'x') AS reused;
UPDATE dialstack.sessions SET revoke_reason = 'revoked' WHERE session_id = :'stolen_session_id';
SELECT t.verdict(:'stolen_token', scope => 'x') AS revoked;
UPDATE dialstack.sessions SET revoke_reason = NULL WHERE session_id = :'stolen_session_id';
SELECT t.verdict(:'stolen_token') AS revoked_without_a_reason;
UPDATE dialstack.sessions SET revoked_at = NULL WHERE session_id = :'stolen_session_id';
SELECT t.verdict(:'stolen_token', scope => 'x') AS expired;
SELECT t.age(:'stolen_session_id', '-31 days');
SELECT t.verdict(:'stolen_token', scope => 'x') AS scope_disabled;
SELECT t.verdict(:'stolen_token') AS valid;
-- A scope that the row lists is held.
UPDATE dialstack.sessions SET scopes = '{call_logs}' WHERE session_id = :'stolen_session_id';
SELECT t.verdict(:'stolen_token', scope => 'call_logs') AS held, t.verdict(:'stolen_token', scope => 'voicemails') AS not_held;
SELECT scopes FROM dialstack.session_verify(:'stolen_token');
-- A row of another family is not this token's session.
UPDATE dialstack.sessions SET definition_id = NULL WHERE session_id = :'stolen_session_id';
SELECT t.verdict(:'stolen_token') AS of_another_family;
