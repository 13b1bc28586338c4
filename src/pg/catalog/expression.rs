//! The expression trees that the server keeps of policies, read node by node: exact, whatever the text
//! looks like.

use std::ffi::{CString, c_void};
use std::ptr;

use pgrx::pg_sys::NodeTag;
use pgrx::{FromDatum, IntoDatum, PgList, PgMemoryContexts, pg_sys};

use super::relation::OpenRelation;

/// An expression tree as the catalogue keeps it. Only a column of type `pg_node_tree` yields one: that
/// type's input function refuses every text, so the server made what is in it.
pub struct StoredExpression(CString);

/// The most levels of nodes and lists that are read: far from the end of the server's stack, and some
/// sixty sub-selects in each other.
const MAX_DEPTH: usize = 400;

/// The most bytes of a tree as text that are read.
const MAX_BYTES: usize = 1 << 20;

impl FromDatum for StoredExpression {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _type_oid: pg_sys::Oid,
    ) -> Option<Self> {
        // SAFETY: the caller gives a value of this type, which the server stores as it does a text.
        let text = unsafe { String::from_polymorphic_datum(datum, is_null, pg_sys::TEXTOID) };
        CString::new(text?).ok().map(StoredExpression)
    }
}

impl IntoDatum for StoredExpression {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        None
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::PG_NODE_TREEOID
    }
}

impl StoredExpression {
    /// Whether the tree is small enough to be read. The server writes nodes in braces and lists in
    /// parentheses, and a backslash before any of these that means itself.
    fn is_readable(&self) -> bool {
        let text = self.0.as_bytes();
        let (mut depth, mut at) = (0_usize, 0);
        while let Some(byte) = text.get(at) {
            match byte {
                b'{' | b'(' => depth += 1,
                b'}' | b')' => depth = depth.saturating_sub(1),
                b'\\' => at += 1,
                _ => {}
            }
            if depth > MAX_DEPTH {
                return false;
            }
            at += 1;
        }
        text.len() <= MAX_BYTES
    }

    /// Hands the root of the tree to `read`; `None` where the tree is too deep or too large for that.
    pub fn read<T>(&self, read: impl for<'tree> FnOnce(Node<'tree>) -> T) -> Option<T> {
        if !self.is_readable() {
            return None;
        }
        // SAFETY: the server wrote the text for this very function. The nodes lie in a memory context
        // that outlives `read`, which cannot keep them.
        unsafe {
            PgMemoryContexts::new("expression").switch_to(|_| {
                let root = pg_sys::stringToNode(self.0.as_ptr());
                let root = root.cast::<pg_sys::Node>().as_ref();
                root.map(|root| read(Node(root)))
            })
        }
    }

    /// Whether this is what the SQL expression `condition` would be stored as, were it the condition of
    /// a policy of the table today. False for what is no expression, and for one that is not read.
    ///
    /// # Panics
    /// With the server's error where `condition` is not valid for the table.
    pub fn is(&self, table: &OpenRelation, condition: &str) -> bool {
        let Ok(select) = CString::new(format!("SELECT {condition}")) else {
            return false;
        };
        if !self.is_readable() {
            return false;
        }
        // SAFETY: what CREATE POLICY does. The relation is open and locked while names are looked up; a
        // statement that is no SELECT, or selects nothing, is not looked into. The trees lie in the
        // current memory context, and comparing them leaves out where in the text a node stood.
        unsafe {
            let state = pg_sys::make_parsestate(ptr::null_mut());
            let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
            let entry = pg_sys::addRangeTableEntryForRelation(
                state,
                table.as_ptr(),
                lock,
                ptr::null_mut(),
                false,
                false,
            );
            pg_sys::addNSItemToQuery(state, entry, false, true, true);
            let mode = pg_sys::RawParseMode::RAW_PARSE_DEFAULT;
            let parsed = PgList::<pg_sys::RawStmt>::from_pg(pg_sys::raw_parser(select.as_ptr(), mode));
            let statement = parsed.get_ptr(0).map(|raw| (*raw).stmt);
            let made = statement
                .and_then(|statement| Node(statement.as_ref()?).cast())
                .and_then(|select: &pg_sys::SelectStmt| {
                    PgList::<pg_sys::ResTarget>::from_pg(select.targetList).get_ptr(0)
                })
                .map(|target| {
                    let kind = pg_sys::ParseExprKind::EXPR_KIND_POLICY;
                    let made = pg_sys::transformExpr(state, (*target).val, kind);
                    let made = pg_sys::coerce_to_boolean(state, made, c"POLICY".as_ptr());
                    pg_sys::assign_expr_collations(state, made);
                    made
                });
            pg_sys::free_parsestate(state);
            made.is_some_and(|made| pg_sys::equal(made.cast(), pg_sys::stringToNode(self.0.as_ptr())))
        }
    }
}

/// A node of an expression or of a query within it, alive for `'tree`.
#[derive(Clone, Copy)]
pub struct Node<'tree>(&'tree pg_sys::Node);

/// What a node is, as far as anybody asks.
pub enum Kind<'tree> {
    Call {
        function: pg_sys::Oid,
        arguments: Vec<Node<'tree>>,
    },
    /// An operator, be it with `ANY` or `ALL`, between two values.
    Comparison {
        operator: pg_sys::Oid,
        /// The collation by which it compares.
        collation: pg_sys::Oid,
        sides: [Node<'tree>; 2],
    },
    Column {
        number: i16,
        /// Of a table how many queries further out.
        levels_up: u32,
    },
    Constant {
        is_null: bool,
    },
    Query {
        /// Whether it reads a table, a view or what stands in its WITH.
        reads_tables: bool,
    },
    Other,
}

/// A struct of the server's that begins with a node.
///
/// # Safety
/// A node is of this type exactly if it has this tag.
unsafe trait Tagged {
    const TAG: NodeTag;
}

macro_rules! tagged {
    ($($name:ident $tag:ident),*) => { $(
        // SAFETY: the server names the tag of a struct after it.
        unsafe impl Tagged for pg_sys::$name {
            const TAG: NodeTag = NodeTag::$tag;
        }
    )* };
}

tagged!(
    FuncExpr T_FuncExpr, OpExpr T_OpExpr, ScalarArrayOpExpr T_ScalarArrayOpExpr, Var T_Var,
    Const T_Const, Query T_Query, RangeTblEntry T_RangeTblEntry, RelabelType T_RelabelType,
    SelectStmt T_SelectStmt
);

impl<'tree> Node<'tree> {
    fn cast<T: Tagged>(self) -> Option<&'tree T> {
        // SAFETY: a node with this tag is a `T`, which begins with the node.
        (self.0.type_ == T::TAG).then(|| unsafe { &*ptr::from_ref(self.0).cast::<T>() })
    }

    /// The members of a list that a field of this node holds.
    fn members(self, list: *mut pg_sys::List) -> Vec<Node<'tree>> {
        // SAFETY: called with such lists alone; they hold nodes, which live as long as this one does.
        unsafe {
            let list = PgList::<pg_sys::Node>::from_pg(list);
            list.iter_ptr().filter_map(|node| node.as_ref().map(Node)).collect()
        }
    }

    /// The node below casts that change nothing.
    pub fn without_relabelling(self) -> Self {
        let mut node = self;
        while node.cast::<pg_sys::RelabelType>().is_some()
            && let [argument] = node.children()[..]
        {
            node = argument;
        }
        node
    }

    pub fn kind(self) -> Kind<'tree> {
        if let Some(call) = self.cast::<pg_sys::FuncExpr>() {
            return Kind::Call { function: call.funcid, arguments: self.members(call.args) };
        }
        if let Some(var) = self.cast::<pg_sys::Var>() {
            return Kind::Column { number: var.varattno, levels_up: var.varlevelsup };
        }
        if let Some(constant) = self.cast::<pg_sys::Const>() {
            return Kind::Constant { is_null: constant.constisnull };
        }
        if let Some(query) = self.cast::<pg_sys::Query>() {
            use pg_sys::RTEKind::{RTE_FUNCTION, RTE_RESULT, RTE_VALUES};
            let is_none = |entry: Node<'_>| {
                let kind = entry.cast().map(|it: &pg_sys::RangeTblEntry| it.rtekind);
                matches!(kind, Some(RTE_FUNCTION | RTE_VALUES | RTE_RESULT))
            };
            return Kind::Query { reads_tables: !self.members(query.rtable).into_iter().all(is_none) };
        }
        let operator = self.cast().map(|op: &pg_sys::OpExpr| (op.opno, op.inputcollid, op.args));
        let operator = operator
            .or_else(|| self.cast().map(|op: &pg_sys::ScalarArrayOpExpr| (op.opno, op.inputcollid, op.args)));
        let Some((operator, collation, arguments)) = operator else {
            return Kind::Other;
        };
        match <[Node<'tree>; 2]>::try_from(self.members(arguments)) {
            Ok(sides) => Kind::Comparison { operator, collation, sides },
            Err(_) => Kind::Other,
        }
    }

    /// The nodes right below, lists among them.
    pub fn children(self) -> Vec<Node<'tree>> {
        let mut children: Vec<Node<'tree>> = Vec::new();
        let context = (&raw mut children).cast::<c_void>();
        let node = ptr::from_ref(self.0).cast_mut();
        // SAFETY: the walkers read the node and hand what is right below it, and the context, to
        // `collect`, which expects this very context. An error arrives here as a panic.
        unsafe {
            if self.0.type_ == NodeTag::T_Query {
                pg_sys::query_tree_walker(node.cast(), Some(collect), context, 0);
            } else {
                pg_sys::expression_tree_walker(node, Some(collect), context);
            }
        }
        children
    }
}

/// Adds a node to the vector of nodes that `context` is. The server's walkers alone call it: from Rust,
/// an error would jump over the caller's frames.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn collect(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    // SAFETY: `children` passes such a vector, which nobody else touches while the walker runs, and the
    // walker gives a node of the same tree.
    unsafe { (*context.cast::<Vec<Node<'_>>>()).extend(node.as_ref().map(Node)) };
    false
}
