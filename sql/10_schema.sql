-- The schema, and what the database must be.

-- Plain CREATE SCHEMA, without IF NOT EXISTS: a schema that somebody prepared is thereby refused.
CREATE SCHEMA dialstack;
COMMENT ON SCHEMA dialstack IS 'dialstack_sessions: a session service inside the database';

DO $$
BEGIN
    IF pg_catalog.getdatabaseencoding() OPERATOR(pg_catalog.<>) 'UTF8' THEN
        RAISE EXCEPTION 'dialstack_sessions needs a database with encoding UTF8'
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Create the database with ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;
END
$$;
