// What the client can call: each method, the SQL function that it calls, the function's arguments, and what it returns.
// A test compares this table with the catalogue of PostgreSQL.

/** `row`: one row. `rows`: an array. `page`: `{ [items]: rows, total, page, limit, totalPages }`. `value`: a number or JSON. */
export type Returns = 'row' | 'rows' | 'page' | 'value' | 'nothing'

export interface Call {
  fn: string
  /** Name and SQL type of each argument. `true` for those without a default. */
  args: Record<string, { type: string; required: boolean }>
  returns: Returns
  /** Of a page: the name of its rows. */
  items?: string
  /** The families whose products' documents have snake_case results, and which an API key is for. */
  snake: boolean
}

/** `'token!:text product:text'`: name, `!` if required, type. */
function call(fn: string, args: string, returns: Returns, more: { items?: string; snake?: boolean } = {}): Call {
  const entries = args.split(/\s+/).filter(Boolean).map((arg) => {
    const [, name, required, type] = /^(\w+)(!?):(\S+)$/.exec(arg)!
    return [name!, { type: type!, required: required === '!' }] as const
  })
  return { fn, args: Object.fromEntries(entries), returns, snake: more.snake ?? false, ...(more.items ? { items: more.items } : {}) }
}

const create = 'product!:text env!:text tag!:text data!:jsonb ip:inet user_agent:text expires_in:interval session_expires_in:interval'
const expected = 'token!:text product:text env:text tag:text scope:text max_age:interval'
const limits =
  'refresh_expiry:integer refresh_period:text idle_timeout:interval max_lifetime:interval max_sessions:integer on_limit:text ' +
  'reuse_interval:interval log_verify:boolean public_claims:text[]'
const definition = `name!:text description!:text selector!:text expiry!:integer period!:text schema!:jsonb ${limits}`
const series = 'env:text group_by:text start_at:timestamptz end_at:timestamptz time_zone:text'
const granted = 'connected_account_ids:uuid[] connect_webview_ids:uuid[] user_identity_ids:uuid[]'
const place = 'product:text env:text'
const snake = { snake: true }
const definitions = {
  create: call('definition_create', `product!:text tag!:text ${definition}`, 'row'),
  update: call('definition_update', 'product!:text tag!:text changes!:jsonb', 'row'),
  delete: call('definition_delete', 'product!:text tag!:text', 'row'),
  get: call('definition_get', 'product!:text tag!:text', 'row'),
  list: call('definition_list', 'product!:text', 'rows'),
}

export const CALLS = {
  sessions: {
    create: call('session_create', create, 'row'),
    start: call('session_start', create, 'row'),
    verify: call('session_verify', expected, 'row'),
    require: call('session_require', expected, 'row'),
    refresh: call('session_refresh', 'refresh_token!:text product:text env:text tag:text ip:inet user_agent:text', 'row'),
    revoke: call('session_revoke', 'product:text env:text tag:text session_id:uuid identifier:text reason:text', 'value'),
    revokeAll: call('session_revoke_all', 'product!:text env!:text tag!:text identifier!:text except_session_id:uuid reason:text', 'value'),
    end: call('session_end', 'token:text', 'value'),
    list: call('session_list',
      'product!:text env!:text tag!:text identifier:text page:integer per_page:integer active_only:boolean with_total:boolean',
      'page', { items: 'sessions' }),
    getInfo: call('session_info', 'session_id!:uuid', 'row'),
    updateData: call('session_update_data', 'session_id!:uuid data!:jsonb', 'row'),
    extendSession: call('session_extend', 'session_id!:uuid by!:interval', 'row'),
    reauthenticate: call('session_reauthenticate', 'session_id!:uuid', 'row'),
    introspect: call('token_introspect', 'token!:text', 'value'),
    explain: call('session_explain', 'token!:text', 'rows'),
    define: call('session_define', `product!:text tag!:text ${definition}`, 'value'),
    register: call('session_register', 'product!:text definition!:jsonb', 'row'),
    fetch: definitions.get,
    fetchAll: definitions.list,
    update: definitions.update,
    delete: definitions.delete,
    fetchUsers: call('session_users', 'product!:text tag!:text env:text page:integer per_page:integer with_total:boolean', 'page', { items: 'users' }),
    fetchUserDetails: call('session_user_details', 'product!:text tag!:text identifier!:text env:text', 'value'),
    fetchActivityLogs: call('session_activity_logs',
      'product!:text tag:text env:text identifier:text status:text start_at:timestamptz end_at:timestamptz page:integer per_page:integer with_total:boolean',
      'page', { items: 'logs' }),
    fetchDashboard: call('session_dashboard', `product!:text tag!:text ${series}`, 'value'),
    fetchUserDashboard: call('session_user_dashboard', `product!:text tag!:text identifier!:text ${series}`, 'value'),
  },
  accountSessions: {
    create: call('account_session_create',
      'account!:text components:jsonb product:text env:text expires_in:interval identifier:text ip:inet user_agent:text', 'row', snake),
    revoke: call('account_session_revoke', 'account!:text product:text env:text reason:text', 'value', snake),
  },
  clientSessions: {
    create: call('client_session_create', `user_identifier_key:text ${granted} expires_at:timestamptz ${place}`, 'row', snake),
    getOrCreate: call('client_session_get_or_create', `user_identifier_key:text ${granted} expires_at:timestamptz ${place}`, 'row', snake),
    get: call('client_session_get', `client_session_id:uuid user_identifier_key:text ${place}`, 'row', snake),
    list: call('client_session_list',
      'client_session_id:uuid user_identifier_key:text connect_webview_id:uuid user_identity_id:uuid ' +
      `without_user_identifier_key:boolean page:integer per_page:integer ${place}`, 'rows', snake),
    grantAccess: call('client_session_grant_access', `client_session_id:uuid user_identifier_key:text ${granted} ${place}`, 'row', snake),
    revoke: call('client_session_revoke', `client_session_id!:uuid ${place} reason:text`, 'nothing', snake),
    delete: call('client_session_delete', `client_session_id!:uuid ${place}`, 'nothing', snake),
  },
  definitions,
  keys: {
    jwks: call('jwks', '', 'value'),
    issuer: call('issuer', '', 'value'),
  },
} satisfies Record<string, Record<string, Call>>

/** Names that the products' documents use for an argument, and the name of the SQL function's. */
export const ALIASES: Record<string, string> = {
  limit: 'per_page',
  session: 'tag',
  start: 'start_at',
  end: 'end_at',
  start_date: 'start_at',
  end_date: 'end_at',
  exclude_current_session: 'except_session_id',
}
