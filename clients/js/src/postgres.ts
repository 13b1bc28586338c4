/** The driver `postgres` (postgres.js) in place of `pg`. */

import { withinTime, type Database, type Queryable } from './database.js'

/** What is used of postgres.js: `Sql` and `TransactionSql` have it. */
export interface PostgresQueries {
  unsafe(text: string, values?: any[], options?: { prepare?: boolean }): PromiseLike<readonly any[]>
}
export interface PostgresSql extends PostgresQueries {
  begin(work: (sql: any) => any): Promise<any>
  reserve(): Promise<PostgresQueries & { release(): void }>
  end(): Promise<void>
}

/** What `begin` gives to its callback: `TransactionSql`. Its other form, with options, is named so that the first is found. */
type TransactionOf<S> = S extends { begin: { (work: (sql: infer T) => any): any; (options: string, work: (sql: any) => any): any } } ? T : PostgresQueries

const queryable = (sql: PostgresQueries): Queryable => ({
  query: async (text, values) => ({ rows: [...(await sql.unsafe(text, values))] }),
})

/**
 * `new DialstackSessions({ database: postgresDatabase(postgres()) })`
 *
 * @param acquireTimeout how many milliseconds to wait for a free connection
 */
export function postgresDatabase<S extends PostgresSql>(sql: S, acquireTimeout = 10_000): Database<TransactionOf<S>> {
  type T = TransactionOf<S> & PostgresQueries
  return {
    async query(text, values) {
      // Reserved, because the queue of postgres.js has no end.
      const connection = await withinTime(acquireTimeout, sql.reserve(), (late) => late.release())
      try {
        return await queryable(connection).query(text, values)
      } finally {
        connection.release()
      }
    },
    close: () => sql.end(),
    transaction<R>(work: (client: T, queryable: Queryable) => Promise<R>): Promise<R> {
      let isLate = false
      let done!: Promise<R>
      const begun = new Promise<T>((resolve, reject) => {
        done = sql.begin((transaction: T) => {
          resolve(transaction)
          // Nobody waits for it any more.
          if (isLate) throw new Error('too late')
          return work(transaction, queryable(transaction))
        }) as Promise<R>
        done.catch(reject)
      })
      return withinTime(acquireTimeout, begun, () => {}).then(() => done, (error) => {
        isLate = true
        throw error
      })
    },
  }
}

/** A transaction of postgres.js for `client.within()`. */
export const withinPostgres = (sql: PostgresQueries): Queryable => queryable(sql)
