// Kysely: queries under a token, what it logs, and its migrations beside protected tables.

import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { CompiledQuery, Kysely, PostgresDialect, sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import pg from 'pg'
import { client, newUser, poolOf, query, rejects, SECRET } from '../support.js'

const web = client('web_client')
const login = client('web_login')

/** A Kysely on one client of pg, inside the transaction that the client has begun. */
const kyselyOn = (db, options = {}) => new Kysely({
  dialect: new PostgresDialect({ pool: { connect: async () => ({ query: (...args) => db.query(...args), release() {} }), end: async () => {} } }), ...options,
})

describe('Kysely', () => {
  it('sees the rows of the session alone', async () => {
    const { token } = await login.sessions.create({ data: { userId: 'ada' } })
    const read = (token) => web.withToken(token, (db) => kyselyOn(db).selectFrom('notes').select('text').execute())
    assert.deepEqual(await read(token), [{ text: 'of Ada' }])
    assert.deepEqual(await read(undefined), [])
    assert.deepEqual(await web.withToken(token, async (db) => {
      const orm = kyselyOn(db)
      await orm.insertInto('notes').values({ owner: 'ada', text: 'new' }).execute()
      return orm.deleteFrom('notes').where('text', '=', 'new').returning('owner').execute()
    }), [{ owner: 'ada' }])
    await assert.rejects(web.withToken(token, (db) => kyselyOn(db).insertInto('notes').values({ owner: 'bob', text: 'forged' }).execute()), /row-level security/)
  })

  it('carries a revocation in a transaction of its own', async () => {
    const orm = new Kysely({ dialect: new PostgresDialect({ pool: poolOf('web_login') }) })
    const within = (trx) => login.within({ query: (text, values) => trx.executeQuery(CompiledQuery.raw(text, values)) })
    const userId = newUser()
    const { token } = await login.sessions.create({ data: { userId } })
    const change = (fail) => orm.transaction().execute(async (trx) => {
      await sql`UPDATE counters SET value = 1`.execute(trx)
      assert.equal(await within(trx).sessions.revoke({ identifier: userId }), 1)
      if (fail) throw new Error('no')
    })
    await assert.rejects(change(true), /no/)
    assert.equal((await login.sessions.verify({ token })).valid, true)
    await change(false)
    assert.equal((await login.sessions.verify({ token })).reason, 'revoked')
    await rejects(orm.transaction().execute((trx) => within(trx).sessions.getInfo({ sessionId: 'nonsense' })), 'INVALID_ARGUMENT')
  })

  it('logs bound values, and none of a token that the client presents', async () => {
    const { token } = await login.sessions.create({ data: { userId: 'ada' } })
    const logged = []
    const log = (event) => logged.push(JSON.stringify(event.query.parameters))
    await web.withToken(token, (db) => kyselyOn(db, { log }).selectFrom('notes').selectAll().where('text', '=', 'x').execute())
    assert.deepEqual(logged, ['["x"]'])
    // What not to do.
    await web.transaction((db) => sql`SELECT set_config('dialstack_sessions.token', ${token}, true)`.execute(kyselyOn(db, { log })))
    assert.match(logged[1], SECRET)
    await assert.rejects(web.withToken(token, (db) => sql`SELECT 1/0 WHERE ${'x'} <> ''`.execute(kyselyOn(db))), (error) => {
      assert.doesNotMatch(`${error.message}${error.stack}${JSON.stringify(error)}`, SECRET)
      return true
    })
  })
})

describe('migrations of Kysely', () => {
  const database = 'kysely_migrations'
  let db
  after(async () => {
    await db?.destroy()
    await query(`DROP DATABASE ${database} WITH (FORCE)`)
  })

  it('protect a table, and leave it and the extension alone', async () => {
    await query(`CREATE DATABASE ${database}`)
    const pool = new pg.Pool({ user: 'postgres', database })
    // Of the end of the database.
    pool.on('error', () => {})
    db = new Kysely({ dialect: new PostgresDialect({ pool }) })
    await sql`CREATE EXTENSION dialstack_sessions`.execute(db)
    await sql`SELECT dialstack.product_create('my-product'), dialstack.env_create('my-product', 'production')`.execute(db)
    const migrations = {
      '1_notes': {
        async up(db) {
          await db.schema.createTable('notes').addColumn('note_id', 'integer', (column) => column.primaryKey()).addColumn('owner', 'text', (column) => column.notNull()).execute()
          await sql`SELECT dialstack.protect_table('notes', 'owner', 'my-product', 'production', by => 'identifier')`.execute(db)
        },
      },
      '2_text': { up: (db) => db.schema.alterTable('notes').addColumn('text', 'text').execute() },
    }
    const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
    const { error, results } = await migrator.migrateToLatest()
    assert.deepEqual([error, results.map(({ status }) => status)], [undefined, ['Success', 'Success']])
    const { rows } = await sql`SELECT relrowsecurity AS on, (SELECT count(*)::int FROM pg_policy WHERE polrelid = c.oid) AS policies,
      (SELECT count(*)::int FROM dialstack.products) AS products FROM pg_class c WHERE oid = 'notes'::regclass`.execute(db)
    assert.deepEqual(rows, [{ on: true, policies: 1, products: 1 }])
  })
})
