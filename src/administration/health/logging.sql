-- What the server logs by the settings of this connection, and what by those of a role or database beyond that: whether
-- the values of parameters, or the texts of statements alone; and the finding.
WITH here (known) AS (
    SELECT jsonb_object_agg(n.name, coalesce(s.setting, current_setting(n.name, true)))
      FROM unnest(ARRAY[
               'log_statement', 'log_min_duration_statement', 'log_min_duration_sample', 'log_statement_sample_rate',
               'log_transaction_sample_rate', 'log_parameter_max_length', 'log_parameter_max_length_on_error',
               'pgaudit.log', 'pgaudit.log_parameter', 'auto_explain.log_min_duration',
               'auto_explain.log_parameter_max_length']) AS n (name)
      LEFT JOIN pg_catalog.pg_settings s ON s.name = n.name
),
settings (of, known) AS (
    SELECT '', known FROM here
     UNION ALL
    SELECT ' of ' || concat_ws(' in ', 'role ' || quote_ident(r.rolname), 'database ' || quote_ident(d.datname)),
           here.known || (SELECT jsonb_object_agg(lower(split_part(c.change, '=', 1)),
                                                  trim(substr(c.change, strpos(c.change, '=') + 1)))
                            FROM unnest(s.setconfig) AS c (change))
      FROM here
     CROSS JOIN pg_catalog.pg_db_role_setting s
      LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
      LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
     WHERE s.setdatabase = 0 OR d.datname = current_database()
),
-- Statements are logged because of the first setting, their parameters by the second one, if there is one. A least time
-- that is not negative logs, and a length or a share with another digit than 0, whatever its unit.
logged (of, position, parameters, reason) AS (
    SELECT s.of, w.position, p.are_logged,
           concat(w.setting, ' = ', s.known ->> w.setting,
                  CASE WHEN p.are_logged THEN ' with ' || w.parameter || ' = ' || (s.known ->> w.parameter) END)
      FROM settings s
     CROSS JOIN LATERAL jsonb_to_record(s.known) AS k (
           log_statement text, log_min_duration_statement text, log_min_duration_sample text,
           log_statement_sample_rate text, log_transaction_sample_rate text,
           log_parameter_max_length_on_error text, "pgaudit.log" text, "auto_explain.log_min_duration" text)
     CROSS JOIN LATERAL (VALUES
           (1, 'log_statement', 'log_parameter_max_length', lower(k.log_statement) IN ('all', 'mod')),
           (2, 'log_min_duration_statement', 'log_parameter_max_length', k.log_min_duration_statement ~ '^[^-]'),
           (3, 'log_min_duration_sample', 'log_parameter_max_length',
            k.log_min_duration_sample ~ '^[^-]' AND k.log_statement_sample_rate ~ '[1-9]'),
           (4, 'log_transaction_sample_rate', 'log_parameter_max_length', k.log_transaction_sample_rate ~ '[1-9]'),
           (5, 'auto_explain.log_min_duration', 'auto_explain.log_parameter_max_length',
            k."auto_explain.log_min_duration" ~ '^[^-]'),
           (6, 'pgaudit.log', 'pgaudit.log_parameter', lower(k."pgaudit.log") NOT IN ('', 'none')),
           (7, 'log_parameter_max_length_on_error', NULL, k.log_parameter_max_length_on_error ~ '[1-9]')
           ) AS w (position, setting, parameter, is_logged)
     CROSS JOIN LATERAL (VALUES
           (w.parameter IS NULL OR coalesce(s.known ->> w.parameter ~* '[1-9]|^(on|true|yes)$', false))
           ) AS p (are_logged)
     WHERE w.is_logged
)
SELECT l.parameters, format('By the settings%s: %s.', l.of, string_agg(l.reason, ', ' ORDER BY l.position))
  FROM logged l
 WHERE l.of = ''
    OR NOT EXISTS (SELECT FROM logged h WHERE h.of = '' AND (h.parameters, h.reason) = (l.parameters, l.reason))
 GROUP BY l.of, l.parameters
