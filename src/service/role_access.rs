//! Which role has which access level, within which limits.

use crate::error::Result;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{FromRow, Statement, bind};
use crate::service::level::Level;

/// `$1`, `$2`, `$3`: markers, their levels and whether they mark a limited grant, in one order. A limit belongs to the
/// limited grant of the level to the role of that name.
static LIST: Statement = Statement::new(
    "WITH granted AS ( \
            SELECT coalesce(r.rolname, 'PUBLIC')::text AS role_name, m.level, m.limited, m.position \
              FROM unnest($1, $2, $3) WITH ORDINALITY m (marker, level, limited, position) \
              JOIN pg_catalog.pg_proc p ON p.proname = m.marker \
                                       AND p.pronamespace = 'dialstack'::regnamespace \
             CROSS JOIN LATERAL aclexplode(p.proacl) a \
              LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee \
             WHERE a.grantee <> p.proowner), \
          listed AS ( \
            SELECT coalesce(g.role_name, l.role_name) AS role_name, coalesce(g.level, l.level) AS level, \
                   coalesce(g.limited, true) AS limited, p.product, e.env, \
                   CASE WHEN g.role_name IS NOT NULL AND g.limited AND l.role_name IS NULL \
                        THEN 'reaches nothing: no limit is left' \
                        WHEN g.role_name IS NOT NULL THEN NULL \
                        WHEN EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = l.role_name) \
                        THEN 'the role does not have the level' \
                        ELSE 'there is no such role' END AS finding \
              FROM granted g \
              FULL JOIN dialstack.access_limits l \
                     ON g.limited AND l.role_name = g.role_name AND l.level = g.level \
              LEFT JOIN dialstack.environments e ON e.env_id = l.env_id \
              LEFT JOIN dialstack.products p ON p.product_id = coalesce(l.product_id, e.product_id)) \
          SELECT role_name, level, limited, product, env, finding FROM listed \
           ORDER BY role_name COLLATE \"C\", array_position($2, level), product, env",
);

/// The grants of access levels, with the limits of each, and limits without a grant: the role, the level, whether it is
/// limited, product and environment of the limit, and what is wrong with it. The owner of the extension and superusers,
/// who have every level, are not listed.
pub fn list<R: FromRow>() -> Result<Vec<R>> {
    let (mut names, mut levels, mut limited) = (Vec::new(), Vec::new(), Vec::new());
    for level in Level::ALL {
        for marker in level.markers() {
            names.push(marker.to_string_lossy().into_owned());
            levels.push(level.as_str());
            limited.push(marker != level.marker());
        }
    }
    LIST.read(&AsOwner::enter()?, &[bind(names), bind(levels), bind(limited)], R::from_row)
}
