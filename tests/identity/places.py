"""Where the random interleavings take place."""

from support.service import call

PRODUCT = "model"
ENVS = ("a", "b")
TAGS = ("web", "app")
TENANTS = (1, 2, 3, 4)
ROLE = "backend"
SCOPES = ("call_logs", "voicemails", "dial_plan")


def set_up(admin):
    """One product, two environments and definitions, and tables with a row of each tenant."""
    call(admin, "product_create", product=PRODUCT)
    for env in ENVS:
        call(admin, "env_create", product=PRODUCT, env=env)
    for tag in TAGS:
        call(admin, "definition_create", **definition(tag))
    admin.execute(f"""
        CREATE SCHEMA model;
        CREATE TABLE model.of_account AS
            SELECT n AS tenant, 'acct_' || n AS account FROM generate_series(1, {len(TENANTS)}) n;
        CREATE TABLE model.of_connected AS
            SELECT n AS tenant, lpad(to_hex(n), 32, '0')::uuid AS account_id
              FROM generate_series(1, {len(TENANTS)}) n;
        ALTER TABLE model.of_account ENABLE ROW LEVEL SECURITY;
        ALTER TABLE model.of_connected ENABLE ROW LEVEL SECURITY;
        CREATE POLICY owned ON model.of_account
            USING (account = (SELECT dialstack.current_account('model', 'a')));
        CREATE POLICY owned ON model.of_connected
            USING (account_id = ANY (dialstack.current_connected_accounts('model', 'a')));
        GRANT USAGE ON SCHEMA model TO {ROLE};
        GRANT SELECT ON ALL TABLES IN SCHEMA model TO {ROLE}""")


def definition(tag):
    """The arguments of definition_create."""
    return {
        "product": PRODUCT,
        "tag": tag,
        "name": tag,
        "description": "a user",
        "schema": '{"userId": {"type": "string", "required": true}}',
        "selector": "$Session{userId}",
        "expiry": 1,
        "period": "days",
    }
