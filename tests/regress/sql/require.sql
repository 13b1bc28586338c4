-- session_require: the row of session_verify, or VERIFY_FAILED.
SELECT t.product('req');
SELECT token, refresh_token, session_id FROM dialstack.session_create('req', 'production', 'web', '{"userId": "u"}') \gset
SELECT r = v AS same_row, r.valid, r.identifier
  FROM dialstack.session_require(:'token', 'req', 'production', 'web') r, dialstack.session_verify(:'token', 'req', 'production', 'web') v;
SELECT count(*) FROM dialstack.session_require('web:' || :'token');
-- Each reason is an error that tells it, and never the token.
SELECT t.error('SELECT * FROM dialstack.session_require(NULL)');
SELECT t.error($$SELECT * FROM dialstack.session_require('rubbish')$$);
SELECT t.error(format('SELECT * FROM dialstack.session_require(%L)', :'refresh_token'));
SELECT t.error(format('SELECT * FROM dialstack.session_require(%L, product => %L)', :'token', 'other'));
SELECT t.error(format('SELECT * FROM dialstack.session_require(%L, env => %L)', :'token', 'staging'));
SELECT t.error(format('SELECT * FROM dialstack.session_require(%L, tag => %L)', :'token', 'app'));
SELECT t.error(format('SELECT * FROM dialstack.session_require(%L, scope => %L)', :'token', 'call_logs'));
SELECT t.age(:'session_id', '31 days');
SELECT t.error(format('SELECT * FROM dialstack.session_require(%L)', :'token'));
SELECT t.age(:'session_id', '-31 days');
SELECT dialstack.session_revoke('req', 'production', 'web', identifier => 'u');
SELECT t.error(format('SELECT * FROM dialstack.session_require(%L)', :'token'));
UPDATE dialstack.sessions SET revoke_reason = 'reused' WHERE session_id = :'session_id';
SELECT t.error(format('SELECT * FROM dialstack.session_require(%L)', :'token'));
SELECT count(*) AS tells_the_token FROM t.raised
 WHERE statement LIKE '%session_require%' AND (concat(message, detail, hint) LIKE '%eyJ%' OR concat(message, detail, hint) LIKE '%rt_live%');
