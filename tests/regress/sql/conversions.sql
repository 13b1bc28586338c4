-- uuid_or_null, bigint_or_null, integer_or_null: what is no such value is NULL and no error.
SELECT text, dialstack.uuid_or_null(text) AS uuid, dialstack.bigint_or_null(text) AS bigint, dialstack.integer_or_null(text) AS integer
  FROM unnest(ARRAY['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', 'a0eebc999c0b4ef8bb6d6bb9bd380a11', '7', '007', '2147483648', '9223372036854775808', '', NULL]) AS text;
