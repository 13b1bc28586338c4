//! The table `signing_algorithm`.

use crate::error::Result;
use crate::pg::roles::AsOwner;
use crate::pg::statements::{Statement, bind};
use crate::token::Algorithm;

static CONFIGURED: Statement = Statement::new("SELECT alg FROM dialstack.signing_algorithm");

static CONFIGURE: Statement = Statement::new(
    "INSERT INTO dialstack.signing_algorithm AS a (alg) VALUES ($1) \
          ON CONFLICT (singleton) DO UPDATE SET alg = excluded.alg WHERE a.alg <> excluded.alg",
);

pub fn configured(owner: &AsOwner) -> Result<Option<Algorithm>> {
    let found = CONFIGURED.write(owner, &[], |row| row.required::<String>(1))?;
    Ok(found.first().and_then(|alg| Algorithm::parse(alg)))
}

pub fn configure(owner: &AsOwner, alg: Algorithm) -> Result<()> {
    CONFIGURE.execute(owner, &[bind(alg.as_str())]).map(|_| ())
}
