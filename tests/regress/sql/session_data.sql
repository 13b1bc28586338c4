-- Session data of every shape comes out as it went in, to the byte: the server's own form is what is encrypted.
SELECT t.product('data');
SELECT tag FROM dialstack.definition_create('data', 'any', 'Any', '', '{}', '$Session{userId}', 1, 'hours');

-- As it lies in tables: with a short header, compressed, out of line.
CREATE TABLE t.shapes (shape text, data jsonb);
CREATE TABLE t.shapes_out_of_line (LIKE t.shapes);
ALTER TABLE t.shapes_out_of_line ALTER data SET STORAGE EXTERNAL;
INSERT INTO t.shapes SELECT shape, data || '{"userId": "u"}' FROM (VALUES
    ('nothing else', '{}'::jsonb),
    ('empty', '{"": "", "o": {}, "a": [], "oo": {"": {}}, "aa": [[], [{}]]}'),
    ('constants', '{"t": true, "f": false, "n": null, "l": [true, false, null]}'),
    ('numbers', '{"n": [0, -0, 0.0, -0.00, 1.10, 1e3, 1E-7, 1e-400, 9007199254740993, -18446744073709551616, 123456789012345678901234567890.1234567890, 1.7e308]}'),
    ('text', '{"ključ \" \\ 😀": "é é \b\f\n\r\t \u0001 \u007f / </script>", "blanks": " {\"a\" : 1} ", "日本": ["語", "  "]}'),
    ('order and duplicates', '{"bb": 1, "a": 2, "bb": 3, "aaa": 4, "A": 5, "a": 6}'),
    ('deep objects', (repeat('{"a": ', 63) || '1' || repeat('}', 63))::jsonb),
    ('deep arrays', ('{"a": ' || repeat('[', 63) || '1.5' || repeat(']', 63) || '}')::jsonb),
    ('many members', (SELECT jsonb_object_agg('k' || n, n) FROM generate_series(1, 300) n)),
    ('many numbers', jsonb_build_object('n', (SELECT jsonb_agg(n % 10) FROM generate_series(1, 1740) n))),
    ('mixed', (SELECT jsonb_build_object('m', jsonb_agg(jsonb_build_array(n * 1.01, 'ž' || n, n % 2 = 0, NULL, jsonb_build_object('n', n)))) FROM generate_series(1, 90) n)),
    ('large', jsonb_build_object('x', repeat('x', 3400))),
    ('long', jsonb_build_object('x', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 100) n)))) AS s (shape, data);
INSERT INTO t.shapes_out_of_line SELECT shape, data::text::jsonb FROM t.shapes;
SELECT shape, length(data::text) AS text, pg_column_size(data) AS in_row, pg_column_size(o.data) AS out_of_line, pg_column_compression(data) AS compression FROM t.shapes JOIN t.shapes_out_of_line o USING (shape, data) WHERE shape IN ('nothing else', 'large', 'many numbers') ORDER BY 1;

-- Created, refreshed, and put in place of other data.
SELECT s.shape, v.data::text = s.data::text AS created, r.data::text = s.data::text AS refreshed, u.data::text = s.data::text AS updated
  FROM (SELECT * FROM t.shapes UNION ALL SELECT 'out of line: ' || shape, data FROM t.shapes_out_of_line WHERE shape IN ('large', 'long', 'many numbers')) s,
       dialstack.session_create('data', 'production', 'any', s.data) c, dialstack.session_verify(c.token) v,
       dialstack.session_refresh(c.refresh_token) f, dialstack.session_verify(f.token) r,
       dialstack.session_create('data', 'staging', 'any', '{"userId": "u", "other": 1}') o,
       dialstack.session_update_data(o.session_id, s.data) n,
       dialstack.session_verify(CASE n.session_id WHEN o.session_id THEN o.token END) u;
-- In the details of the user too.
SELECT count(*) AS sessions, count(DISTINCT shape) AS shapes, bool_and(s.data::text = d.session ->> 'data') AS same
  FROM jsonb_array_elements(dialstack.session_user_details('data', 'any', 'u', 'production') -> 'sessions') AS d (session)
  LEFT JOIN t.shapes s ON s.data = d.session -> 'data';
-- And for the policies of row-level security.
SELECT u.data::text = s.data::text AS used
  FROM t.shapes s, dialstack.session_create('data', 'production', 'any', s.data) c, dialstack.session_use(c.token, is_local => false) u
 WHERE shape = 'many members';
SELECT dialstack.current_data()::text = data::text AS current FROM t.shapes WHERE shape = 'many members';
SELECT dialstack.session_clear();

-- What a token cannot carry is refused, not stored.
SELECT t.code(format('SELECT * FROM dialstack.session_create(%L, %L, %L, %L)', 'data', 'production', 'any', data))
  FROM unnest(ARRAY['{"userId": "u", "n": 1e400}', '{"userId": "u", "n": -1e400}', '[{"userId": "u"}]', '"u"', '1', 'null', '[]', '{}']::jsonb[]) AS data;
DROP TABLE t.shapes, t.shapes_out_of_line;
