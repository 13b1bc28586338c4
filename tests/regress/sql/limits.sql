-- max_sessions and on_limit.
SELECT t.product('lim');
CREATE TABLE t.lim (n int GENERATED ALWAYS AS IDENTITY, label text, token text, session_id uuid);
CREATE FUNCTION t.lim(label text, tag text, userid text DEFAULT 'u', env text DEFAULT 'production') RETURNS text LANGUAGE sql AS $$
    INSERT INTO t.lim (label, token, session_id)
    SELECT label, token, session_id FROM dialstack.session_create('lim', env, tag, jsonb_build_object('userId', userid))
    RETURNING label;
$$;
CREATE VIEW t.lim_verdicts AS SELECT label, t.verdict(token), revoke_reason FROM t.lim, dialstack.session_info(session_id) ORDER BY n;

-- evict_oldest, the default: the oldest make room.
SELECT max_sessions, on_limit FROM dialstack.definition_create('lim', 'two', 'Two', '', '{}', '$Session{userId}', 1, 'hours', max_sessions => 2);
SELECT count(t.lim('two ' || n, 'two')) FROM generate_series(1, 4) n;
SELECT * FROM t.lim_verdicts;
-- The cap is each user's, in each environment, for each definition.
SELECT t.lim('another user', 'two', 'v'), t.lim('another environment', 'two', 'u', 'staging'), t.lim('another definition', 'web');
SELECT * FROM t.lim_verdicts WHERE verdict = 'valid';
-- A refresh is not a new session, nor makes it one young: the oldest by creation goes.
SELECT session_id FROM t.lim WHERE label = 'two 3' \gset
UPDATE dialstack.sessions SET last_seen_at = now() + interval '1 second' WHERE session_id = :'session_id';
SELECT t.lim('two 5', 'two');
SELECT * FROM t.lim_verdicts WHERE label LIKE 'two %' AND verdict = 'valid';
-- What is revoked or expired takes no place.
SELECT dialstack.session_revoke('lim', 'production', 'two', session_id => session_id) FROM t.lim WHERE label = 'two 4';
SELECT t.lim('two 6', 'two');
SELECT * FROM t.lim_verdicts WHERE label LIKE 'two %' AND verdict = 'valid';
SELECT t.age(session_id, '31 days') FROM t.lim WHERE label = 'two 5';
SELECT t.lim('two 7', 'two');
SELECT * FROM t.lim_verdicts WHERE label LIKE 'two %' AND verdict IN ('valid', 'expired');
-- A lowered cap is kept at the next create, a raised or removed one at once.
SELECT max_sessions FROM dialstack.definition_update('lim', 'two', '{"max_sessions": 1}');
SELECT * FROM t.lim_verdicts WHERE label LIKE 'two %' AND verdict = 'valid';
SELECT t.lim('two 8', 'two');
SELECT * FROM t.lim_verdicts WHERE label LIKE 'two %' AND verdict = 'valid';
SELECT max_sessions FROM dialstack.definition_update('lim', 'two', '{"max_sessions": null}');
SELECT count(t.lim('two ' || n, 'two')) FROM generate_series(9, 12) n;
SELECT count(*) FROM t.lim_verdicts WHERE label LIKE 'two %' AND verdict = 'valid';

-- deny: the new one is refused, and leaves nothing behind.
SELECT max_sessions, on_limit FROM dialstack.definition_create('lim', 'strict', 'Strict', '', '{}', '$Session{userId}', 1, 'hours', max_sessions => 2, on_limit => 'deny');
SELECT count(t.lim('strict ' || n, 'strict')) FROM generate_series(1, 2) n;
SELECT count(*) AS before FROM dialstack.activity \gset
SELECT t.error($$SELECT t.lim('strict 3', 'strict')$$);
SELECT count(*) - :before AS activity FROM dialstack.activity;
SELECT total_sessions, identifier FROM dialstack.session_users JOIN dialstack.session_definitions USING (definition_id)
  JOIN dialstack.products p USING (product_id) WHERE p.product = 'lim' AND tag = 'strict';
SELECT * FROM t.lim_verdicts WHERE label LIKE 'strict%';
-- Another user is free to come; the same one after a session of his ended.
SELECT t.lim('strict v', 'strict', 'v');
SELECT dialstack.session_revoke('lim', 'production', 'strict', session_id => session_id) FROM t.lim WHERE label = 'strict 1';
SELECT t.lim('strict 4', 'strict');
SELECT * FROM t.lim_verdicts WHERE label LIKE 'strict%';
SELECT t.code($$SELECT t.lim('strict 5', 'strict')$$);
SELECT t.age(session_id, '31 days') FROM t.lim WHERE label = 'strict 2';
SELECT t.code($$SELECT t.lim('strict 6', 'strict')$$);
