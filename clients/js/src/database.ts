// How statements reach the server: connections, transactions, repeating what collided.

import type { Pool, PoolClient } from 'pg'
import { SessionError, sessionError, sqlstateOf } from './error.js'

/** What runs a statement with bound text: a client or pool of `pg`, or a transaction of anything that is made to look so. */
export interface Queryable {
  query(text: string, values: (string | null)[]): Promise<{ rows: unknown[] }>
}

/** A source of connections. `C` is what the application's own work gets: a `PoolClient` with `pg`. */
export interface Database<C> extends Queryable {
  /** Runs `work` in a transaction; rolls back if it throws. */
  transaction<T>(work: (client: C, queryable: Queryable) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** The result of `start`, or an error if that takes longer than `ms`. What comes too late is given to `tooLate`. */
export function withinTime<T>(ms: number, start: Promise<T>, tooLate: (value: T) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    let isOver = false
    const timer = setTimeout(() => {
      isOver = true
      reject(new SessionError('CONNECTION_TIMEOUT', `CONNECTION_TIMEOUT: no connection became free within ${ms} ms`,
        { hint: 'Let the pool have more connections, or hold them for less time.' }))
    }, ms)
    start.then((value) => {
      clearTimeout(timer)
      if (isOver) tooLate(value)
      else resolve(value)
    }, (error) => {
      clearTimeout(timer)
      if (!isOver) reject(sessionError(error))
    })
  })
}

const ignore = () => {}

/** The connections of a `pg.Pool`. */
export function pgDatabase(pool: Pool, acquireTimeout: number): Database<PoolClient> {
  // An idle connection that breaks is an event of the pool, which ends the process if nobody listens.
  if (pool.listenerCount('error') === 0) pool.on('error', ignore)

  async function withClient<T>(work: (client: PoolClient, broken: (error: Error) => void) => Promise<T>): Promise<T> {
    const client = await withinTime(acquireTimeout, pool.connect(), (late) => late.release())
    let failure: Error | undefined
    const broken = (error: Error) => { failure ??= error }
    // So is one that breaks while it is ours; the statement that runs fails as well.
    client.on('error', broken)
    try {
      return await work(client, broken)
    } catch (error) {
      // The server has said that it ends the connection.
      if (/^(08|57P)/.test(sqlstateOf(error) ?? '')) broken(error as Error)
      throw error
    } finally {
      // One that is broken is not given back, and keeps its listener: more events may follow.
      if (!failure) client.off('error', broken)
      client.release(failure)
    }
  }

  return {
    query: (text, values) => withClient((client) => client.query(text, values)),
    close: () => pool.end(),
    transaction: (work) => withClient(async (client, broken) => {
      try {
        await client.query('BEGIN')
        const result = await work(client, client)
        const { command } = await client.query('COMMIT')
        if (command === 'ROLLBACK') throw aborted()
        return result
      } catch (error) {
        await client.query('ROLLBACK').catch(broken)
        throw error
      }
    }),
  }
}

/** For a COMMIT that the server answered with a rollback: an error was swallowed. */
export const aborted = () => new SessionError('TRANSACTION_ABORTED',
  'TRANSACTION_ABORTED: the transaction was rolled back, because a statement in it had failed', { hint: 'Do not catch the error of a statement inside the transaction, or use a savepoint.' })

/** A transaction of the caller's: it is neither begun, nor committed, nor repeated here. */
export function callersTransaction<C extends Queryable>(client: C): Database<C> {
  return {
    query: (text, values) => client.query(text, values),
    transaction: (work) => work(client, client),
    close: async () => {},
  }
}

/** The client's own pool, made when it is first needed. */
export function ownDatabase(connectionString: string | undefined, acquireTimeout: number): Database<PoolClient> {
  let database: Promise<Database<PoolClient>> | undefined
  const open = () => (database ??= import('pg').then(({ default: pg }) => pgDatabase(new pg.Pool({ connectionString }), acquireTimeout), () => {
    database = undefined
    throw new SessionError('DRIVER_MISSING', 'DRIVER_MISSING: the package "pg" is not installed', { hint: 'npm install pg' })
  }))
  return {
    query: async (text, values) => (await open()).query(text, values),
    transaction: async (work) => (await open()).transaction(work),
    close: async () => { if (database) await (await open()).close() },
  }
}

const ATTEMPTS = 5

/** Repeats what failed with 40001: another transaction was faster. */
export async function repeated<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (sqlstateOf(error) !== '40001' || attempt === ATTEMPTS) throw error
      // At random, so that two that collided do not collide again.
      await new Promise((wake) => setTimeout(wake, Math.random() * 10 * 2 ** attempt))
    }
  }
}
