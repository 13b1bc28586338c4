-- Which definition is meant, and how the identifier comes into the data.
BEGIN;
CREATE EXTENSION pgtap;
CREATE EXTENSION dialstack_test;
SELECT plan(16);

-- Here the place is the only one.
SELECT dialstack_test.as_user('user_123', role => 'web_shop');
SELECT is(dialstack.current_product(), 'my-product', 'the only product is meant');
SELECT is(dialstack.current_env(), 'production', 'the only environment is meant');
SELECT is(dialstack.current_tag(), 'user-session', 'the only definition is meant');
SELECT throws_ok($$SELECT dialstack_test.as_user('u', env => 'staging')$$, '22023',
    '0 environments could be meant', 'an environment must be there');
SELECT throws_ok($$SELECT dialstack_test.as_user('u', tag => 'nonsense')$$, '22023',
    '0 definitions of product my-product could be meant', 'a definition must be there');
SELECT throws_ok($$SELECT dialstack_test.as_user('u', product => 'nonsense')$$, '42704', NULL, 'a product must be there');
SELECT is(dialstack.current_identifier(), 'user_123', 'after an error the user is who it was');
SELECT is(current_user::text, 'web_shop', 'after an error the role is what it was');

RESET ROLE;
SELECT dialstack.product_create('clinic'), dialstack.env_create('clinic', 'test', live => false);
SELECT FROM dialstack.definition_create('clinic', 'patient', 'Patient', '',
    '{"type": "object", "required": ["ward"], "properties": {"ward": {"type": "string"},
      "person": {"type": "object", "properties": {"name": {"type": "string"}, "number": {"type": "integer"}}}}}',
    '$Session{person}{number}', 15, 'minutes');
SELECT throws_ok($$SELECT dialstack_test.as_user('user_123')$$, '22023', '2 environments could be meant',
    'where there are two environments, one must be named');
SELECT throws_ok($$SELECT dialstack_test.as_user('7', 'clinic')$$, '22023', NULL, 'data must have what the schema requires');
SELECT dialstack_test.as_user('7', 'clinic', data => '{"ward": "east"}');
SELECT is(dialstack.current_data(), '{"ward": "east", "person": {"number": 7}}',
    'the identifier has the type that the schema names, at its place');
SELECT dialstack_test.as_user('8', env => 'test', data => '{"ward": "east", "person": {"name": "Ada"}}');
SELECT is(dialstack.current_data(), '{"ward": "east", "person": {"name": "Ada", "number": 8}}',
    'what the data has beside the identifier stays');
SELECT is(dialstack.current_identifier('clinic', 'test', 'patient'), '8', 'the identifier is the one that is given');

SELECT FROM dialstack.definition_create('clinic', 'nurse', 'Nurse', '',
    '{"type": "object", "properties": {"badge": {"$ref": "#/$defs/badge"}}, "$defs": {"badge": {"type": "integer"}}}',
    '$Session{badge}', 15, 'minutes');
SELECT throws_ok($$SELECT dialstack_test.as_user('7', 'clinic', data => '{"ward": "east"}')$$, '22023',
    '2 definitions of product clinic could be meant', 'where there are two definitions, one must be named');
SELECT dialstack_test.as_user('9', 'clinic', tag => 'nurse', data => '{"badge": 9}');
SELECT is(dialstack.current_identifier(), '9', 'data that has the identifier already is taken as it is');
SELECT dialstack_test.as_user('user_123', 'my-product');
SELECT is(dialstack.current_data(), '{"userId": "user_123"}', 'without data there is the identifier alone');

SELECT * FROM finish();
ROLLBACK;
