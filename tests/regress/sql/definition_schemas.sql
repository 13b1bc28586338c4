-- The schema of session data: three forms, one stored.
SELECT t.product('sch');
CREATE FUNCTION t.schema(schema jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT jsonb_pretty(dialstack.session_define('sch', 'x', 'X', '', '$Session{userId}', 1, 'hours', schema) -> 'schema');
$$;
-- What a schema says to data: `no error`, or the DETAIL.
CREATE FUNCTION t.check(schema jsonb, data jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM dialstack.definition_create('sch', 'check', 'Check', '', schema, '$Session{userId}', 1, 'hours');
    RETURN t.error(format('SELECT * FROM dialstack.session_create(%L, %L, %L, %L)', 'sch', 'production', 'check', data));
END
$$;

-- 1. Typed fields.
SELECT t.schema('{"userId": {"type": "string", "required": true}, "age": {"type": "integer"}, "tags": {"type": "array"},
                  "any": {"type": "any"}, "short": "number", "either": {"type": ["string", "null"], "required": true}}');
-- Fields nest, and take JSON Schema's other keywords.
SELECT t.schema('{"userId": {"type": "string", "minLength": 3, "required": true},
                  "details": {"type": "object", "properties": {"email": {"type": "string", "format": "email", "required": true}}}}');
-- 2. Sample values: types are inferred, nothing is required.
SELECT t.schema('{"userId": "user_456", "count": 3, "ok": true, "nothing": null, "list": [1, 2], "mixed": ["a", 1], "empty": [], "details": {"email": "a@example.com"}}');
-- 3. JSON Schema, drafts 2020-12 (also when it does not say so), 2019-09 and 7.
SELECT t.schema('{"type": "object", "properties": {"userId": {"type": "string"}}, "required": ["userId"]}');
SELECT t.schema('{"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"userId": {"$ref": "#/definitions/id"}},
                  "definitions": {"id": {"type": "string"}}}');
-- The empty schema accepts every object.
SELECT t.schema('{}');
-- Normalising what is normalised changes nothing.
SELECT bool_and(dialstack.session_define('sch', 'x', 'X', '', '$Session{userId}', 1, 'hours', one -> 'schema') = one) AS stable
  FROM unnest(ARRAY['{"userId": {"type": "string", "required": true}}', '{"userId": "x", "n": [1]}', '{}',
                    '{"type": "object", "properties": {"userId": {"type": "string"}}}']::jsonb[]) AS s,
       dialstack.session_define('sch', 'x', 'X', '', '$Session{userId}', 1, 'hours', s) AS one;

-- Data that satisfies its schema is accepted; else DETAIL names the path and the rule, never the value.
SELECT t.check('{"userId": {"type": "string", "required": true}, "age": {"type": "integer"}}', '{"userId": "u", "age": 3}');
SELECT t.check('{"userId": {"type": "string", "required": true}, "age": {"type": "integer"}}', '{"age": "s3cret"}');
SELECT t.check('{"userId": "u", "details": {"email": "x"}}', '{"userId": "u", "details": {"email": 42}, "more": 1}');
SELECT t.check('{"userId": "u", "list": [1, 2]}', '{"userId": "u", "list": [1, "s3cret"]}');
SELECT t.check('{"userId": {"type": "string", "required": true, "pattern": "^user_[0-9]+$"}}', '{"userId": "s3cret"}');
SELECT t.check('{"userId": {"type": "string", "enum": ["a", "b"], "required": true}}', '{"userId": "s3cret"}');
SELECT t.check('{"userId": "string", "mail": {"type": "string", "format": "email"}}', '{"userId": "u", "mail": "s3cret"}');
SELECT t.check('{"type": "object", "properties": {"userId": {"type": "string"}}, "additionalProperties": false}',
               '{"userId": "u", "extra": "s3cret"}');
SELECT t.check('{"type": "object", "properties": {"userId": {"type": "string"}, "n": {"oneOf": [{"const": 1}, {"const": 2}]}}}',
               '{"userId": "u", "n": "s3cret"}');
-- Keys of odd names are told as a JSON pointer.
SELECT t.check('{"userId": "u", "a/b~c": {"ü": "x"}}', '{"userId": "u", "a/b~c": {"ü": 1}}');
-- Not more than five violations are told.
SELECT t.check('{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1}',
               '{"a": "", "b": "", "c": "", "d": "", "e": "", "f": "", "g": ""}');
-- No refusal has repeated a value.
SELECT count(*) FROM t.raised WHERE concat(message, detail, hint) LIKE '%s3cret%';

-- What is no schema is refused.
\pset format unaligned
SELECT s AS schema, t.error(format('SELECT t.schema(%L)', s))
  FROM unnest(ARRAY['[]', '"string"', '3', 'null', '{"type": "string"}', '{"type": "object", "properties": {"userId": {"type": "strong"}}}',
    '{"userId": {"type": "string", "required": true}, "age": 3}',
    '{"$schema": "http://json-schema.org/draft-04/schema#"}',
    '{"type": "object", "properties": {"userId": {"pattern": "("}}}',
    '{"type": "object", "properties": {"userId": {"pattern": "(?=x)"}}}',
    '{"type": "object", "properties": {"userId": {"$ref": "https://example.com/schema.json"}}}',
    '{"type": "object", "properties": {"userId": {"$ref": "file:///etc/passwd"}}}',
    '{"type": "object", "properties": {"userId": {"$ref": "#/$defs/nowhere"}}}',
    '{"type": "object", "properties": {"child": {"$ref": "#"}}}']) AS s;
\pset format aligned
-- Its size and depth are bounded.
SELECT t.error(format('SELECT t.schema(%L)', jsonb_build_object('userId', jsonb_build_object('type', 'string', 'description', repeat('x', 65536)))));
SELECT t.error(format('SELECT t.schema(%L)', (repeat('{"a": ', 40) || '1' || repeat('}', 40))));
SELECT t.error(format('SELECT t.schema(%L)', (repeat('{"a": ', 5000) || '1' || repeat('}', 5000))));
-- A schema that is small as text and endless when written out.
SELECT t.error(format('SELECT t.schema(%L)', '{"type": "object", "$defs": {"z": {"type": "string"}, '
    || string_agg(format('"d%s": {"properties": {"a": {"$ref": "#/$defs/d%s"}, "b": {"$ref": "#/$defs/d%s"}}}', n, n + 1, n + 1), ', ')
    || ', "d21": {"$ref": "#/$defs/z"}}, "properties": {"x": {"$ref": "#/$defs/d1"}}}')) FROM generate_series(1, 20) n;
-- A pattern takes linear time, whatever is matched.
SELECT t.check('{"userId": {"type": "string", "required": true, "pattern": "^(a+)+$"}}',
               jsonb_build_object('userId', repeat('a', 250) || '!'));

-- A selector must be able to find a primitive in what the schema describes.
SELECT s AS selector, t.error(format('SELECT dialstack.session_define(%L, %L, %L, %L, %L, 1, %L, %L)', 'sch', 'x', 'X', '', s, 'hours',
    '{"userId": "u", "details": {"email": "x"}, "list": [1]}'))
  FROM unnest('{userId, details.email, details, list, userId.x, undeclared}'::text[]) AS s;
