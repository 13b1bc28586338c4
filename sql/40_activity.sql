-- What happened, by month. Twelve partitions made here, for ever: retention is TRUNCATE of a month.
-- (Partitions made at run time would land in dumps and block each other.)

CREATE TABLE dialstack.activity (
    activity_id   bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    at            timestamptz NOT NULL,
    session_id    uuid,
    api_key_id    uuid,
    env_id        integer     NOT NULL,
    definition_id integer,
    latency_us    integer,
    month         smallint    NOT NULL,
    kind          text        NOT NULL,
    operation     text        NOT NULL,
    status        text        NOT NULL,
    reason        text,
    subject       text        COLLATE "C",
    account       text        COLLATE "C",
    ip            inet,
    user_agent    text,
    -- What the rollups need. xid is the transaction that wrote the row: rows become visible in the order
    -- of neither time nor number, but those of finished transactions are all there.
    xid                xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    session_created_at timestamptz,
    expires_before     timestamptz,
    expires_after      timestamptz
) PARTITION BY LIST (month);
COMMENT ON TABLE dialstack.activity IS 'what happened to sessions, partitioned by UTC month';
COMMENT ON COLUMN dialstack.activity.activity_id IS 'number of the row';
COMMENT ON COLUMN dialstack.activity.at IS 'when it happened';
COMMENT ON COLUMN dialstack.activity.session_id IS 'the session';
COMMENT ON COLUMN dialstack.activity.api_key_id IS 'API key that the caller presented';
COMMENT ON COLUMN dialstack.activity.env_id IS 'its environment';
COMMENT ON COLUMN dialstack.activity.definition_id IS 'its definition; user sessions only';
COMMENT ON COLUMN dialstack.activity.latency_us IS 'microseconds inside the database until the row was written';
COMMENT ON COLUMN dialstack.activity.month IS 'UTC month of at, 1 to 12; the partition';
COMMENT ON COLUMN dialstack.activity.kind IS 'user, account or client';
COMMENT ON COLUMN dialstack.activity.operation IS 'create, verify, refresh, extend, reauthenticate, revoke, delete, grant, reuse or evict';
COMMENT ON COLUMN dialstack.activity.status IS 'success or fail';
COMMENT ON COLUMN dialstack.activity.reason IS 'why it failed, or why a session was revoked';
COMMENT ON COLUMN dialstack.activity.subject IS 'identifier, or the account of an account session that was made for nobody in particular; null for client sessions';
COMMENT ON COLUMN dialstack.activity.account IS 'account of an account session';
COMMENT ON COLUMN dialstack.activity.ip IS 'address of the user';
COMMENT ON COLUMN dialstack.activity.user_agent IS 'user agent of the user';
COMMENT ON COLUMN dialstack.activity.xid IS 'transaction that wrote the row; rollups go by it';
COMMENT ON COLUMN dialstack.activity.session_created_at IS 'creation of the session whose end moved';
COMMENT ON COLUMN dialstack.activity.expires_before IS 'end that the session had, where a refresh, extension, revocation or deletion moved it';
COMMENT ON COLUMN dialstack.activity.expires_after IS 'end that the session got; null where it was revoked or deleted';
COMMENT ON SEQUENCE dialstack.activity_activity_id_seq IS 'counts the rows of activity';

-- A publication FOR ALL TABLES lets no row be deleted of a table without an identity; no unique index is wanted here, and
-- few rows are deleted one by one.
DO $$
DECLARE
    part text;
BEGIN
    FOR month IN 1..12 LOOP
        part := pg_catalog.concat('dialstack.activity_', pg_catalog.lpad(month::pg_catalog.text, 2, '0'));
        EXECUTE pg_catalog.concat(
            'CREATE TABLE ', part, ' PARTITION OF dialstack.activity FOR VALUES IN (', month, ')');
        EXECUTE pg_catalog.concat('ALTER TABLE ', part, ' REPLICA IDENTITY FULL');
        EXECUTE pg_catalog.concat('COMMENT ON TABLE ', part, ' IS ''activity of month ', month, '''');
    END LOOP;
END
$$;
CREATE INDEX activity_env_at ON dialstack.activity (env_id, at);
CREATE INDEX activity_subject_at ON dialstack.activity (env_id, subject, at);
CREATE INDEX activity_xid ON dialstack.activity (xid, activity_id);
COMMENT ON INDEX dialstack.activity_env_at IS 'the logs of an environment, newest first';
COMMENT ON INDEX dialstack.activity_subject_at IS 'the logs and the dashboard of one user';
COMMENT ON INDEX dialstack.activity_xid IS 'finds what is not rolled up yet';
