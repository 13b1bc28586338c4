-- Rollups: what the dashboard needs to know of the activity, counted by maintain() and by nobody else.
-- Like all state they are in no logical dump.

CREATE TABLE dialstack.rollup_state (
    singleton   boolean     NOT NULL DEFAULT true,
    xid         xid8        NOT NULL,
    activity_id bigint      NOT NULL,
    ran_at      timestamptz NOT NULL DEFAULT pg_catalog.now(),
    took        interval,
    done        jsonb,
    CONSTRAINT rollup_state_pkey PRIMARY KEY (singleton),
    CONSTRAINT rollup_state_singleton_check CHECK (singleton)
);
INSERT INTO dialstack.rollup_state (xid, activity_id) VALUES ('0', 0);
COMMENT ON TABLE dialstack.rollup_state IS 'how far the activity is rolled up, and what maintain() did last; one row';
COMMENT ON COLUMN dialstack.rollup_state.singleton IS 'always true: there is one row';
COMMENT ON COLUMN dialstack.rollup_state.xid IS 'transaction of the last row of activity that is rolled up';
COMMENT ON COLUMN dialstack.rollup_state.activity_id IS 'number of that row; rows count by transaction, then by number';
COMMENT ON COLUMN dialstack.rollup_state.ran_at IS 'when maintain() began last; before that the installation';
COMMENT ON COLUMN dialstack.rollup_state.took IS 'how long that lasted';
COMMENT ON COLUMN dialstack.rollup_state.done IS 'what it answered';

-- The metrics are those of src/maintenance/rollup/of_sessions.sql and of_users.sql.
CREATE TABLE dialstack.activity_rollup (
    bucket        timestamptz NOT NULL,
    count         bigint      NOT NULL,
    env_id        integer     NOT NULL,
    definition_id integer     NOT NULL,
    grain         text        NOT NULL COLLATE "C",
    metric        text        NOT NULL COLLATE "C",
    sum           numeric     NOT NULL,
    CONSTRAINT activity_rollup_pkey PRIMARY KEY (grain, env_id, definition_id, metric, bucket)
) WITH (fillfactor = 85);
COMMENT ON TABLE dialstack.activity_rollup IS 'counts of the activity by quarters of an hour, and of ends also by days, and those to come by seconds';
COMMENT ON COLUMN dialstack.activity_rollup.bucket IS 'beginning of the bucket; -infinity in totals';
COMMENT ON COLUMN dialstack.activity_rollup.count IS 'how many';
COMMENT ON COLUMN dialstack.activity_rollup.env_id IS 'environment';
COMMENT ON COLUMN dialstack.activity_rollup.definition_id IS 'definition; 0: account sessions, -1: client sessions';
COMMENT ON COLUMN dialstack.activity_rollup.grain IS 'length of the bucket: second, quarter (of an hour), day (UTC) or total (of all time)';
COMMENT ON COLUMN dialstack.activity_rollup.metric IS 'what is counted: OPERATION/STATUS, ends, revoked, first_seen, active_until, seen_until, active_users_DAYS';
COMMENT ON COLUMN dialstack.activity_rollup.sum IS 'seconds that the sessions counted lasted, or microseconds that the operations counted took';

-- Beside session_users, which every create locks and which is therefore left alone.
CREATE TABLE dialstack.rollup_users (
    active_until  timestamptz NOT NULL,
    seen_until    timestamptz NOT NULL,
    env_id        integer     NOT NULL,
    definition_id integer     NOT NULL,
    identifier    text        NOT NULL COLLATE "C",
    active_days   date[]      NOT NULL,
    CONSTRAINT rollup_users_pkey PRIMARY KEY (env_id, definition_id, identifier)
) WITH (fillfactor = 85);
COMMENT ON TABLE dialstack.rollup_users IS 'users as the rollups have counted them';
COMMENT ON COLUMN dialstack.rollup_users.active_until IS 'latest end of the user''s unrevoked sessions; -infinity where there is none';
COMMENT ON COLUMN dialstack.rollup_users.seen_until IS 'when the user is expired: active_until, or 30 days after the last creation or refresh of a session, whichever is later';
COMMENT ON COLUMN dialstack.rollup_users.env_id IS 'environment';
COMMENT ON COLUMN dialstack.rollup_users.definition_id IS 'definition';
COMMENT ON COLUMN dialstack.rollup_users.identifier IS 'identifier of the user';
COMMENT ON COLUMN dialstack.rollup_users.active_days IS 'UTC days of about the last two months on which the user was active, in order';
