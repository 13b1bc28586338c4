import type { Pool, PoolClient } from 'pg'
import { CALLS, type Call } from './calls.js'
import { checkArgs, cleanToken, result, statement, type Row } from './convert.js'
import { callersTransaction, ownDatabase, pgDatabase, repeated, type Database, type Queryable } from './database.js'
import { SessionError, sessionError } from './error.js'
import type { AccountSessions, ClientSessions, DefineArgs, Definitions, Keys, Kind, RefreshResult, Sessions, VerifyResult } from './types.js'
import type { Place } from './values.js'

export interface ClientOptions<C = PoolClient> extends Place {
  /** The application's pool of `pg`. Without it, and without `database`, the client makes one of its own. */
  pool?: Pool
  /** Connections of another driver: see `dialstack-sessions/postgres`. */
  database?: Database<C>
  /** For a pool of the client's own; otherwise `PGHOST`, `PGDATABASE` and so on say where the server is. */
  connectionString?: string
  /** An API key, `sk_…` or `pk_…`: presented with each call of `accountSessions` and `clientSessions`, for its transaction only. */
  apiKey?: string
  /** How many milliseconds a call waits for a free connection. 10,000 if not given. */
  acquireTimeout?: number
}

const present = (queryable: Queryable, setting: 'token' | 'api_key', value: string) =>
  queryable.query(`SELECT set_config('dialstack_sessions.${setting}', $1, true)`, [cleanToken(value)])

/** Presents a token that is good, and belongs where the client is; sessions of accounts and clients have no tag. */
async function presentGood(queryable: Queryable, token: string, { product, env, tag }: Place) {
  const { rows } = await queryable.query('SELECT kind, product, env, tag FROM dialstack.session_use($1)', [cleanToken(token)])
  const found = rows[0] as Place & { kind: Kind }
  const wanted = { product, env, ...(found.kind === 'user' ? { tag } : {}) }
  for (const [name, value] of Object.entries(wanted)) {
    if (value != null && value !== found[name as keyof Place]) {
      throw new SessionError('VERIFY_FAILED', 'VERIFY_FAILED: the token is not valid', { sqlstate: '42501', detail: 'reason: mismatch' })
    }
  }
}

const OPTIONS = new Set(['pool', 'database', 'connectionString', 'apiKey', 'acquireTimeout', 'product', 'env', 'tag'])

/** What does not have these methods is no connection, and would fail later with less to say. */
function checkMethods(name: string, value: unknown, methods: string[], hint: string) {
  const found = value as Record<string, unknown>
  if (methods.every((method) => typeof found?.[method] === 'function')) return
  throw new SessionError('INVALID_ARGUMENT', `INVALID_ARGUMENT: ${name} is not what it must be`, { hint })
}

/** The sessions of a PostgreSQL database with the extension dialstack_sessions. */
export class DialstackSessions<C = PoolClient> {
  readonly sessions: Sessions
  readonly accountSessions: AccountSessions
  readonly clientSessions: ClientSessions
  readonly definitions: Definitions
  readonly keys: Keys

  readonly #options: ClientOptions<C>
  readonly #database: Database<C>
  /** Whether the transaction is the caller's: then nothing is begun, committed or repeated here. */
  readonly #isWithin: boolean
  readonly #refreshes = new Map<string, Promise<RefreshResult>>()

  constructor(options: ClientOptions<C> = {}, within?: Queryable) {
    for (const name of Object.keys(options)) {
      if (!OPTIONS.has(name)) {
        throw new SessionError('INVALID_ARGUMENT', `INVALID_ARGUMENT: the client takes no option "${name}"`, { hint: `It takes { ${[...OPTIONS].join(', ')} }.` })
      }
    }
    if (options.pool) checkMethods('pool', options.pool, ['connect', 'on', 'listenerCount', 'end'], 'It is a Pool of pg. Other drivers: { database: postgresDatabase(sql) }.')
    if (options.database) checkMethods('database', options.database, ['query', 'transaction'], 'For postgres.js it is postgresDatabase(sql).')
    this.#options = options
    this.#isWithin = within !== undefined
    const { pool, database, connectionString, acquireTimeout = 10_000 } = options
    // A pool of pg has clients of pg: that is what C is then.
    const fromPg = () => (pool ? pgDatabase(pool, acquireTimeout) : ownDatabase(connectionString, acquireTimeout)) as Database<unknown> as Database<C>
    this.#database = within ? (callersTransaction(within) as Database<unknown> as Database<C>) : database ?? fromPg()

    this.sessions = { ...this.#methods('sessions'), ...this.#special(), ...this.#legacy() } as unknown as Sessions
    this.accountSessions = { ...this.#methods('accountSessions'), verify: this.#verifyOf('account') } as unknown as AccountSessions
    this.clientSessions = { ...this.#methods('clientSessions'), verify: this.#verifyOf('client') } as unknown as ClientSessions
    this.definitions = this.#methods('definitions') as unknown as Definitions
    this.keys = this.#methods('keys') as unknown as Keys
  }

  /**
   * Runs `work` in a transaction in which the token is presented: row-level security shows it the rows of that session
   * alone. The transaction is committed when `work` returns, and rolled back when it throws. If it collides with another
   * (40001), `work` runs again. A token that is not good, or of another place than the client's, is the error
   * `VERIFY_FAILED`. With null there is no current session: protected tables show nothing.
   */
  withToken<T>(token: string | null | undefined, work: (client: C, sessions: DialstackSessions<C>) => Promise<T>): Promise<T> {
    return this.#transaction(async (client, queryable) => {
      await (token ? presentGood(queryable, token, this.#options) : present(queryable, 'token', ''))
      return async () => work(client, this.within(queryable))
    })
  }

  /** Runs `work` in a transaction, for what must happen together: a password that changes and the sessions that it ends. */
  transaction<T>(work: (client: C, sessions: DialstackSessions<C>) => Promise<T>): Promise<T> {
    return this.#transaction(async (client, queryable) => async () => work(client, this.within(queryable)))
  }

  /**
   * The same client inside a transaction of yours, which you commit: a client of `pg`, or `withinPostgres(sql)`. Commit also after a `refresh` that answers `reused`:
   * rolled back, the stolen token would live on.
   */
  within(transaction: Queryable): DialstackSessions<C> {
    checkMethods('within', transaction, ['query'], 'A transaction of postgres.js is for withinPostgres() of dialstack-sessions/postgres.')
    return new DialstackSessions(this.#options, transaction)
  }

  /** Where the client is: what calls mean that do not say it. */
  get place(): Place {
    const { product = null, env = null, tag = null } = this.#options
    return { product, env, tag }
  }

  /** Ends the pool. Do not call this if the pool is yours and still in use. */
  close(): Promise<void> {
    return this.#database.close()
  }

  /** The errors of `work` are the application's own and stay as they are. */
  async #transaction<T>(begun: (client: C, queryable: Queryable) => Promise<() => Promise<T>>): Promise<T> {
    let thrown: { error: unknown } | undefined
    const once = () => this.#database.transaction(async (client, queryable) => {
      thrown = undefined
      const work = await begun(client, queryable)
      return work().catch((error: unknown) => {
        thrown = { error }
        throw error
      })
    })
    try {
      return await (this.#isWithin ? once() : repeated(once))
    } catch (error) {
      throw thrown?.error === error ? error : sessionError(error)
    }
  }

  #methods(family: keyof typeof CALLS) {
    const entries = Object.entries(CALLS[family] as Record<string, Call>)
    return Object.fromEntries(entries.map(([name, call]) => [name, (args: object = {}) => this.#call(`${family}.${name}`, call, args)]))
  }

  async #call(method: string, call: Call, args: object): Promise<unknown> {
    const { product, env, tag, apiKey } = this.#options
    const { text, values, named } = statement(method, call, args, { product, env, tag })
    try {
      const key = call.snake ? apiKey : undefined
      const once = () => (key === undefined ? this.#database.query(text, values) : this.#withKey(key, text, values))
      const { rows } = await (this.#isWithin ? once() : repeated(once))
      return result(call, (rows as { r: string }[]).map(({ r }) => r), named)
    } catch (error) {
      throw sessionError(error)
    }
  }

  #withKey(key: string, text: string, values: (string | null)[]) {
    return this.#database.transaction(async (_, queryable) => {
      await present(queryable, 'api_key', key)
      const answer = await queryable.query(text, values)
      // The caller's transaction goes on without the key.
      if (this.#isWithin) await present(queryable, 'api_key', '')
      return answer
    })
  }

  /** Calls that are more than one of the table. */
  #special() {
    const refresh = CALLS.sessions.refresh
    return {
      /** Callers with the same token at the same time share one call. */
      refresh: async (args: object = {}) => {
        checkArgs('sessions.refresh', refresh, args)
        if (this.#isWithin) return this.#call('sessions.refresh', refresh, args)
        const key = JSON.stringify(Object.entries(args).sort())
        let running = this.#refreshes.get(key)
        if (!running) {
          running = (this.#call('sessions.refresh', refresh, args) as Promise<RefreshResult>).finally(() => this.#refreshes.delete(key))
          this.#refreshes.set(key, running)
        }
        return running
      },
      define: async ({ handler, ...args }: DefineArgs) => {
        const written: Row = {}
        await handler?.({
          selector: (path) => { written['selector'] = path },
          expiry: (expiry, period) => { Object.assign(written, { expiry, period }) },
          schema: (schema) => { written['schema'] = schema },
        })
        return this.#call('sessions.define', CALLS.sessions.define, { ...args, ...written })
      },
      register: (product: string | object, definition?: object) =>
        this.#call('sessions.register', CALLS.sessions.register, typeof product === 'string' ? { product, definition } : { definition: product }),
    }
  }

  /** `verify` for sessions of this kind, which have no tag: those of another are a mismatch. */
  #verifyOf(kind: Kind) {
    return async (args: object = {}) => {
      const method = `${kind}Sessions.verify`
      checkArgs(method, CALLS.sessions.verify, args)
      const { client_secret, clientSecret = client_secret, ...others } = args as { client_secret?: unknown; clientSecret?: unknown }
      const given = clientSecret === undefined ? others : { token: clientSecret, ...others }
      const verdict = await this.#call(method, CALLS.sessions.verify, { tag: null, ...given }) as VerifyResult
      if (!verdict.valid || verdict.kind === kind) return verdict
      return { ...Object.fromEntries(Object.keys(verdict).map((name) => [name, null])), valid: false, reason: 'mismatch' }
    }
  }

  /** Names that the products' documents have beside these, and what `sessions.create` once was for as well. */
  #legacy() {
    const { sessions, accountSessions, definitions } = CALLS
    return {
      create: async (args: object = {}) => {
        checkArgs('sessions.create', sessions.create, args)
        if ('schema' in args) return this.#call('sessions.create', definitions.create, args)
        if (!('account' in args)) return this.#call('sessions.create', sessions.create, args)
        process.emitWarning('sessions.create({ account }) is now accountSessions.create()', 'DeprecationWarning')
        return this.#call('sessions.create', accountSessions.create, args)
      },
      listActive: (args: object = {}) => this.#call('sessions.listActive', sessions.list, args),
    }
  }
}

/** For a middleware: a token of another product, or of another kind of session, must be no log-in there. */
export function needPlace(client: DialstackSessions<any>) {
  const missing = Object.entries(client.place).filter(([, value]) => value === null).map(([name]) => name)
  if (missing.length === 0) return
  throw new SessionError('INVALID_ARGUMENT', `INVALID_ARGUMENT: the client of a middleware needs ${missing.join(', ')}`,
    { hint: 'new DialstackSessions({ pool, product, env, tag })' })
}
