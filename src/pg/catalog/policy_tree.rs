//! What a policy's expression does with our helpers, read from the expression tree that the server
//! keeps: exact, whatever the text looks like.

use std::collections::HashMap;
use std::ffi::{CString, c_void};

use pgrx::{PgList, is_a, pg_sys};

/// A function of ours that policies call.
#[derive(Clone, Debug)]
pub struct Helper {
    /// Its name.
    pub name: String,
    /// How many arguments it takes.
    pub arguments: usize,
}

impl Helper {
    /// Where its argument `product` stands; `env` follows it. `None` for a form without them.
    fn product(&self) -> Option<usize> {
        let with_product = match self.name.as_str() {
            "has_scope" => 4,
            _ if self.compares() => 3,
            _ => return None,
        };
        (self.arguments == with_product).then(|| with_product - 3)
    }

    /// Whether its answer means something only within one product: an account id of one is
    /// somebody else's in another.
    fn compares(&self) -> bool {
        matches!(
            self.name.as_str(),
            "current_account"
                | "current_identifier"
                | "current_connected_accounts"
                | "current_user_identities"
                | "has_scope"
        )
    }
}

/// A column that is compared with a helper's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The number of the column.
    pub column: i16,
    /// The operator that compares.
    pub operator: pg_sys::Oid,
    /// The collation by which it compares.
    pub collation: pg_sys::Oid,
}

/// What an expression does with our helpers.
#[derive(Default, Debug)]
pub struct Findings {
    /// Those that a statement calls for each row, in order and each once.
    pub not_wrapped: Vec<String>,
    /// Those that are not held to a product and an environment.
    pub not_bound: Vec<String>,
    /// The columns that their answers are compared with.
    pub comparisons: Vec<Comparison>,
}

struct Walk<'a> {
    helpers: &'a HashMap<pg_sys::Oid, Helper>,
    /// The sub-selects around the node, innermost last.
    queries: Vec<*mut pg_sys::Query>,
    calls: usize,
    findings: Findings,
}

/// Reads an expression tree as the catalogue keeps it.
///
/// `tree` must come from the catalogue: the server trusts the text.
pub fn read(tree: &str, helpers: &HashMap<pg_sys::Oid, Helper>, findings: Findings) -> Findings {
    let Ok(tree) = CString::new(tree) else {
        return findings;
    };
    let mut walk = Walk {
        helpers,
        queries: Vec::new(),
        calls: 0,
        findings,
    };
    // SAFETY: the catalogue's own text, which the server wrote for this very function; the nodes are
    // allocated in the current memory context. The walk outlives the call that it is passed to.
    unsafe {
        let node = pg_sys::stringToNode(tree.as_ptr());
        visit(node.cast(), (&raw mut walk).cast());
    }
    walk.findings
}

/// Whether a condition that the catalogue keeps is the one that this text would make on the table
/// today. False for a table that is gone.
///
/// `condition` must be SQL of ours, `tree` come from the catalogue.
pub fn is(tree: &str, relation: pg_sys::Oid, condition: &str) -> bool {
    let select = CString::new(format!("SELECT {condition}"));
    let (Ok(tree), Ok(select)) = (CString::new(tree), select) else {
        return false;
    };
    // SAFETY: as CREATE POLICY does it: the relation is open and locked while the text is parsed and
    // its names are looked up; the text is one SELECT of one expression. The trees are allocated in
    // the current memory context, and comparing them leaves places in the text out.
    unsafe {
        let lock = pg_sys::AccessShareLock as i32;
        let table = pg_sys::try_relation_open(relation, lock);
        if table.is_null() {
            return false;
        }
        let state = pg_sys::make_parsestate(std::ptr::null_mut());
        let entry = pg_sys::addRangeTableEntryForRelation(
            state,
            table,
            lock,
            std::ptr::null_mut(),
            false,
            false,
        );
        pg_sys::addNSItemToQuery(state, entry, false, true, true);
        let parsed = pg_sys::raw_parser(select.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT);
        let made = PgList::<pg_sys::RawStmt>::from_pg(parsed)
            .get_ptr(0)
            .map(|raw| (*raw).stmt.cast::<pg_sys::SelectStmt>())
            .and_then(|select| {
                PgList::<pg_sys::ResTarget>::from_pg((*select).targetList).get_ptr(0)
            })
            .map(|target| {
                let kind = pg_sys::ParseExprKind::EXPR_KIND_POLICY;
                let expression = pg_sys::transformExpr(state, (*target).val, kind);
                let expression = pg_sys::coerce_to_boolean(state, expression, c"POLICY".as_ptr());
                pg_sys::assign_expr_collations(state, expression);
                expression
            });
        let same = made
            .is_some_and(|made| pg_sys::equal(made.cast(), pg_sys::stringToNode(tree.as_ptr())));
        pg_sys::free_parsestate(state);
        pg_sys::relation_close(table, lock);
        same
    }
}

/// Looks at a node and goes on to those below it.
///
/// # Safety
/// `node` is NULL or a node of an expression or query; `context` is a [`Walk`].
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn visit(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: by this function's own contract; a node's tag tells its type, and the server's walkers
    // hand their context on as it is.
    unsafe {
        let walk = &mut *context.cast::<Walk<'_>>();
        match (*node).type_ {
            pg_sys::NodeTag::T_Query => {
                walk.queries.push(node.cast());
                pg_sys::query_tree_walker(node.cast(), Some(visit), context, 0);
                (*context.cast::<Walk<'_>>()).queries.pop();
                return false;
            }
            pg_sys::NodeTag::T_FuncExpr => walk.call(&*node.cast()),
            pg_sys::NodeTag::T_OpExpr => {
                let op = &*node.cast::<pg_sys::OpExpr>();
                walk.compare(op.args, op.opno, op.inputcollid);
            }
            pg_sys::NodeTag::T_ScalarArrayOpExpr => {
                let op = &*node.cast::<pg_sys::ScalarArrayOpExpr>();
                walk.compare(op.args, op.opno, op.inputcollid);
            }
            _ => {}
        }
        pg_sys::expression_tree_walker(node, Some(visit), context)
    }
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

impl Walk<'_> {
    /// # Safety
    /// `call` belongs to the tree that is walked.
    unsafe fn call(&mut self, call: &pg_sys::FuncExpr) {
        let Some(helper) = self.helpers.get(&call.funcid) else {
            return;
        };
        self.calls += 1;
        // SAFETY: by this function's own contract.
        unsafe {
            if !self.is_wrapped() {
                add(&mut self.findings.not_wrapped, helper.name.clone());
            }
            if helper.compares() && !is_bound(helper, call.args) {
                add(&mut self.findings.not_bound, helper.name.clone());
            }
        }
    }

    /// Whether a call at this place is made once a statement: in a sub-select that reads no table and
    /// does not look at the row around it.
    ///
    /// # Safety
    /// Within a walk.
    unsafe fn is_wrapped(&self) -> bool {
        let Some(query) = self.queries.last() else {
            return false;
        };
        // SAFETY: the queries around the node are being walked, so they are alive.
        unsafe {
            let range = PgList::<pg_sys::RangeTblEntry>::from_pg((**query).rtable);
            let reads_no_table = range.iter_ptr().all(|entry| {
                matches!(
                    (*entry).rtekind,
                    pg_sys::RTEKind::RTE_FUNCTION
                        | pg_sys::RTEKind::RTE_VALUES
                        | pg_sys::RTEKind::RTE_RESULT
                )
            });
            let depth = i32::try_from(self.queries.len()).unwrap_or(i32::MAX);
            reads_no_table
                && (1..=depth).all(|level| !pg_sys::contain_vars_of_level(query.cast(), level))
        }
    }

    /// Notes a column of the policy's own table that is compared with a helper's answer.
    ///
    /// # Safety
    /// `arguments` belongs to the tree that is walked.
    unsafe fn compare(
        &mut self,
        arguments: *mut pg_sys::List,
        operator: pg_sys::Oid,
        collation: pg_sys::Oid,
    ) {
        if !self.queries.is_empty() {
            return;
        }
        // SAFETY: by this function's own contract.
        unsafe {
            let arguments = PgList::<pg_sys::Node>::from_pg(arguments);
            let [Some(left), Some(right)] = [arguments.get_ptr(0), arguments.get_ptr(1)] else {
                return;
            };
            for (side, other) in [(left, right), (right, left)] {
                let Some(column) = column(side) else { continue };
                let mut within = Walk {
                    helpers: self.helpers,
                    queries: Vec::new(),
                    calls: 0,
                    findings: Findings::default(),
                };
                visit(other, (&raw mut within).cast());
                if within.calls > 0 {
                    let comparison = Comparison {
                        column,
                        operator,
                        collation,
                    };
                    add(&mut self.findings.comparisons, comparison);
                }
            }
        }
    }
}

/// Below casts that change nothing.
///
/// # Safety
/// `node` is a node of an expression.
unsafe fn bare(mut node: *mut pg_sys::Node) -> *mut pg_sys::Node {
    // SAFETY: by this function's own contract.
    unsafe {
        while !node.is_null() && is_a(node, pg_sys::NodeTag::T_RelabelType) {
            node = (*node.cast::<pg_sys::RelabelType>()).arg.cast();
        }
    }
    node
}

/// The number of the column that a node is, of the policy's own table.
///
/// # Safety
/// `node` is a node of an expression.
unsafe fn column(node: *mut pg_sys::Node) -> Option<i16> {
    // SAFETY: by this function's own contract.
    unsafe {
        let node = bare(node);
        if node.is_null() || !is_a(node, pg_sys::NodeTag::T_Var) {
            return None;
        }
        let var = &*node.cast::<pg_sys::Var>();
        (var.varlevelsup == 0 && var.varattno > 0).then_some(var.varattno)
    }
}

/// Whether product and environment are written into the call.
///
/// # Safety
/// `arguments` belongs to a call of the helper.
unsafe fn is_bound(helper: &Helper, arguments: *mut pg_sys::List) -> bool {
    let Some(product) = helper.product() else {
        return false;
    };
    // SAFETY: by this function's own contract.
    unsafe {
        let arguments = PgList::<pg_sys::Node>::from_pg(arguments);
        [product, product + 1].into_iter().all(|at| {
            arguments.get_ptr(at).is_some_and(|argument| {
                let argument = bare(argument);
                !argument.is_null()
                    && is_a(argument, pg_sys::NodeTag::T_Const)
                    && !(*argument.cast::<pg_sys::Const>()).constisnull
            })
        })
    }
}
