//! Writes the install script, on standard output, from the declarations that pgrx puts into the library.
//!
//! usage: install-script SECTION, a file with the library's section `.pgrxsc`. Run by scripts/install-script.

use std::collections::{BTreeSet, HashMap};
use std::error::Error;

use pgrx_sql_entity_graph::section::decode_entities;
use pgrx_sql_entity_graph::{ControlFile, PgrxSql, SqlGraphEntity, ToSql};

const HEAD: &str = "\
-- The install script. Written by `make sql` from the source and from the files beside it: change those.

\\echo Use \"CREATE EXTENSION dialstack_sessions\" to load this file. \\quit
";

fn main() -> Result<(), Box<dyn Error>> {
    let section = std::fs::read(std::env::args().nth(1).ok_or("which section?")?)?;
    let control = ControlFile::try_from(include_str!("../dialstack_sessions.control"))?;
    if control.default_version != env!("CARGO_PKG_VERSION") {
        return Err("the control file and Cargo.toml name different versions".into());
    }

    let mut entities = vec![SqlGraphEntity::ExtensionRoot(control)];
    entities.extend(decode_entities(&section)?);
    let schema = PgrxSql::build(entities.into_iter(), env!("CARGO_PKG_NAME").into(), false)?;

    print!("{HEAD}");
    for entity in ordered(&schema)? {
        // sql/10_schema.sql creates the one schema, and refuses one that is there already.
        if matches!(entity, SqlGraphEntity::Schema(_)) {
            continue;
        }
        let sql = entity.to_sql(&schema)?;
        let lines: Vec<_> = sql.trim().lines().skip_while(|line| is_origin(line)).collect();
        if !lines.is_empty() {
            print!("\n{}\n", lines.join("\n").trim());
        }
    }
    Ok(())
}

/// What is required before what requires it, and otherwise by kind and name. The order of pgrx itself is another one
/// at each run.
fn ordered<'a>(schema: &'a PgrxSql<'a>) -> Result<Vec<&'a SqlGraphEntity<'a>>, Box<dyn Error>> {
    let graph = &schema.graph;
    let mut requirements: HashMap<_, usize> = graph.node_indices().map(|node| (node, 0)).collect();
    for required in graph.node_indices() {
        for node in graph.neighbors(required) {
            *requirements.entry(node).or_default() += 1;
        }
    }

    let mut ready: BTreeSet<_> = graph
        .node_indices()
        .filter(|node| requirements[node] == 0)
        .map(|node| (&graph[node], node))
        .collect();
    let mut ordered = Vec::new();
    while let Some((entity, required)) = ready.pop_first() {
        ordered.push(entity);
        for node in graph.neighbors(required) {
            let open = requirements.entry(node).or_default();
            *open -= 1;
            if *open == 0 {
                ready.insert((&graph[node], node));
            }
        }
    }
    if ordered.len() < graph.node_count() {
        return Err("declarations require each other".into());
    }
    Ok(ordered)
}

/// True for the comments above a statement that say which line of the source it comes from and what it
/// requires: with them, each change of the source would be a change of the script.
fn is_origin(line: &str) -> bool {
    ["-- src/", "-- requires:", "--   ", "-- dialstack_sessions::"]
        .iter()
        .any(|start| line.starts_with(start))
        || ["-- bootstrap", "-- finalize"].contains(&line)
}
