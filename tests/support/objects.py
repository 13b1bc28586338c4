"""What an installation consists of, as text without object ids: everything in the schema, and what of
it the extension owns."""

# (what, definition, privileges, comment). A function's definition holds its signature, volatility and
# parallel safety.
_OBJECTS = """
    SELECT 'extension' AS what, format('%s %s %s %s', extversion, extowner::regrole,
               extnamespace::regnamespace, extrelocatable) AS definition, NULL AS privileges,
           obj_description(oid, 'pg_extension') AS comment
      FROM pg_extension WHERE extname = 'dialstack_sessions'
    UNION ALL
    SELECT 'schema', nspowner::regrole::text, nspacl::text, obj_description(oid, 'pg_namespace')
      FROM pg_namespace WHERE nspname = 'dialstack'
    UNION ALL
    SELECT 'default privileges', format('%s %s', defaclrole::regrole, defaclobjtype), defaclacl::text, NULL
      FROM pg_default_acl WHERE defaclnamespace = 'dialstack'::regnamespace
    UNION ALL
    SELECT 'function', format('%s %s', p.proowner::regrole, pg_get_functiondef(p.oid)), p.proacl::text,
           obj_description(p.oid, 'pg_proc')
      FROM pg_proc p WHERE p.pronamespace = 'dialstack'::regnamespace
    UNION ALL
    SELECT 'relation', format('%s %s %s %s %s %s %s %s %s %s', c.relname, c.relkind, c.relowner::regrole,
               c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.reloptions,
               pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid)),
           c.relacl::text, obj_description(c.oid, 'pg_class')
      FROM pg_class c WHERE c.relnamespace = 'dialstack'::regnamespace
    UNION ALL
    SELECT 'view', format('%s %s', c.relname, pg_get_viewdef(c.oid)), NULL, NULL
      FROM pg_class c WHERE c.relnamespace = 'dialstack'::regnamespace AND c.relkind = 'v'
    UNION ALL
    SELECT 'rule', pg_get_ruledef(r.oid), NULL, obj_description(r.oid, 'pg_rewrite')
      FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
     WHERE c.relnamespace = 'dialstack'::regnamespace
    UNION ALL
    SELECT 'column', format('%s.%s %s %s %s %s %s %s %s %s %s', c.relname, a.attname, a.attnum,
               format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage, a.attcompression,
               a.attidentity, a.attcollation::regcollation, a.attstattarget,
               pg_get_expr(d.adbin, d.adrelid)),
           a.attacl::text, col_description(c.oid, a.attnum)
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
      LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
     WHERE c.relnamespace = 'dialstack'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
       AND c.relkind IN ('r', 'p', 'v', 'c')
    UNION ALL
    SELECT 'index', format('%s %s', pg_get_indexdef(i.indexrelid), i.indisvalid), NULL,
           obj_description(i.indexrelid, 'pg_class')
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE c.relnamespace = 'dialstack'::regnamespace
    UNION ALL
    SELECT 'sequence', format('%s %s %s %s %s %s %s %s', sequencename, sequenceowner, data_type,
               start_value, min_value, max_value, increment_by, cycle), NULL, NULL
      FROM pg_sequences WHERE schemaname = 'dialstack'
    UNION ALL
    SELECT 'constraint', format('%s %s %s %s', c.conrelid::regclass, c.conname,
               pg_get_constraintdef(c.oid), c.convalidated), NULL, obj_description(c.oid, 'pg_constraint')
      FROM pg_constraint c WHERE c.connamespace = 'dialstack'::regnamespace
       -- Stands with the column; pg_upgrade names it in its own way.
       AND c.contype <> 'n'
    UNION ALL
    SELECT 'trigger', format('%s %s', pg_get_triggerdef(t.oid), t.tgenabled), NULL,
           obj_description(t.oid, 'pg_trigger')
      FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
     WHERE c.relnamespace = 'dialstack'::regnamespace AND NOT t.tgisinternal
    UNION ALL
    SELECT 'event trigger', format('%s %s', evtname, evtenabled), NULL, NULL FROM pg_event_trigger
    UNION ALL
    SELECT 'policy', format('%s %s %s %s', polname, polcmd, pg_get_expr(polqual, polrelid),
               pg_get_expr(polwithcheck, polrelid)), NULL, NULL
      FROM pg_policy
    UNION ALL
    SELECT 'label', format('%s %s %s', objtype, objname, label), NULL, NULL FROM pg_seclabels
    UNION ALL
    SELECT 'statistics', pg_get_statisticsobjdef(oid), NULL, NULL FROM pg_statistic_ext
    UNION ALL
    SELECT CASE WHEN c.relkind <> 'c' THEN 'row type' ELSE 'type' END,
           format('%s %s', t.typname, t.typowner::regrole), t.typacl::text, obj_description(t.oid, 'pg_type')
      FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
     WHERE t.typnamespace = 'dialstack'::regnamespace
    UNION ALL
    SELECT 'dumped', format('%s %s', r.relation::regclass, r.condition), NULL, NULL
      FROM pg_extension e, unnest(e.extconfig, e.extcondition) AS r (relation, condition)
     WHERE e.extname = 'dialstack_sessions'
    UNION ALL
    SELECT 'member', pg_describe_object(d.classid, d.objid, d.objsubid), NULL, NULL
      FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.deptype = 'e'
     WHERE e.extname = 'dialstack_sessions'
    UNION ALL
    SELECT 'rollup state', concat(s.xid, ' ', s.activity_id), NULL, NULL FROM dialstack.rollup_state AS s
"""


def objects(connection):
    return sorted(connection.execute(_OBJECTS).fetchall(), key=repr)


def differences(wanted, found, but=()):
    """What an installation lacks that another one has, and what it has beyond that; `but` names kinds to leave out."""
    wanted, found = ([row for row in objects(one) if row.what not in but] for one in (wanted, found))
    return [row for row in wanted if row not in found], [row for row in found if row not in wanted]
