// Drizzle: queries under a token, what its errors print, and drizzle-kit beside protected tables.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { integer, pgTable, text } from 'drizzle-orm/pg-core'
import pg from 'pg'
import { client, query, rejects, SECRET } from '../support.js'

const notes = pgTable('notes', { noteId: integer('note_id').primaryKey().generatedAlwaysAsIdentity(), owner: text().notNull(), text: text().notNull() })
const web = client('web_client')
const login = client('web_login')

describe('Drizzle', () => {
  it('sees the rows of the session alone', async () => {
    const { token } = await login.sessions.create({ data: { userId: 'ada' } })
    const read = (token) => web.withToken(token, (db) => drizzle({ client: db }).select({ text: notes.text }).from(notes))
    assert.deepEqual(await read(token), [{ text: 'of Ada' }])
    assert.deepEqual(await read(null), [])
    await web.withToken(token, async (db) => {
      const orm = drizzle({ client: db })
      await orm.insert(notes).values({ owner: 'ada', text: 'new' })
      assert.deepEqual(await orm.delete(notes).where(eq(notes.text, 'new')).returning({ owner: notes.owner }), [{ owner: 'ada' }])
    })
    await assert.rejects(web.withToken(token, (db) => drizzle({ client: db }).insert(notes).values({ owner: 'bob', text: 'forged' })),
      (error) => /row-level security/.test(error.cause.message))
  })

  it('prints bound values in its errors, and none of a token that the client presents', async () => {
    const { token } = await login.sessions.create({ data: { userId: 'ada' } })
    const pool = new pg.Pool({ user: 'web_client' })
    try {
      // What not to do.
      await assert.rejects(drizzle({ client: pool }).execute(sql`SELECT dialstack.session_require(${token}, 'nowhere')`), (error) => SECRET.test(error.message))
    } finally {
      await pool.end()
    }
    await assert.rejects(web.withToken(token, (db) => drizzle({ client: db }).execute(sql`SELECT * FROM notes WHERE text = ${'x'} AND 1/0 = 1`)), (error) => {
      assert.match(error.message, /params: x/)
      assert.doesNotMatch(`${error.message}${error.stack}${error.cause}${JSON.stringify(error)}`, SECRET)
      return true
    })
    await rejects(web.withToken(token, (_, { sessions }) => sessions.create({ data: {} })), 'PERMISSION_DENIED')
  })
})

describe('drizzle-kit', () => {
  const database = 'drizzle_kit'
  const run = promisify(execFile)
  let folder, db
  before(async () => {
    await query(`CREATE DATABASE ${database}`)
    db = new pg.Client({ user: 'postgres', database })
    await db.connect()
    await db.query('CREATE EXTENSION dialstack_sessions')
    await db.query("SELECT dialstack.product_create('my-product'), dialstack.env_create('my-product', 'production')")
    folder = mkdtempSync(`${process.cwd()}/drizzle-`)
    writeFileSync(`${folder}/drizzle.config.ts`, `
      import { defineConfig } from 'drizzle-kit'
      export default defineConfig({ dialect: 'postgresql', schema: './schema.ts', out: './migrations', schemaFilter: (process.env.SCHEMAS ?? 'public').split(','),
        dbCredentials: { host: '127.0.0.1', port: Number(process.env.PGPORT), user: 'postgres', password: process.env.PGPASSWORD, database: '${database}', ssl: false } })`)
  })
  after(async () => {
    await db?.end()
    await query(`DROP DATABASE ${database} WITH (FORCE)`)
  })
  const schema = (policies, more = '') => writeFileSync(`${folder}/schema.ts`, `
    import { integer, pgPolicy, pgTable, text } from 'drizzle-orm/pg-core'
    export const notes = pgTable('notes', { noteId: integer('note_id').primaryKey(), owner: text().notNull() }, () => [${policies}])
    ${more}`)
  const kit = async (command, env = {}) => {
    const { stdout, stderr } = await run(process.execPath, [`${process.cwd()}/node_modules/drizzle-kit/bin.cjs`, ...command], { cwd: folder, env: { ...process.env, ...env } })
    return stdout + stderr
  }
  const push = (env) => kit(['push', '--force', '--verbose'], env)
  const protect = () => db.query("SELECT dialstack.protect_table('notes', 'owner', 'my-product', 'production', by => 'identifier', open_to => '{web_login}')")
  /** How the table is protected, and what there is of the extension's. */
  const state = async () => (await db.query(`
    SELECT relrowsecurity AS on, (SELECT array_agg(polname || ' ' || p.oid || ' ' || coalesce(obj_description(p.oid, 'pg_policy'), '') ORDER BY polname) FROM pg_policy p WHERE polrelid = c.oid) AS policies,
           (SELECT count(*)::int FROM pg_class WHERE relnamespace = 'dialstack'::regnamespace) AS ours
      FROM pg_class c WHERE oid = 'notes'::regclass`)).rows[0]

  it('push leaves a protected table alone whose policies are declared', async () => {
    schema('')
    await push()
    await protect()
    const before = await state()
    assert.deepEqual([before.on, before.policies.length], [true, 2])
    schema("pgPolicy('dialstack_sessions_access'), pgPolicy('dialstack_sessions_open', { to: 'web_login' })", "export const added = pgTable('added', { name: text().primaryKey() })")
    assert.match(await push(), /CREATE TABLE "added"/)
    assert.deepEqual(await state(), before)
    assert.match(await push(), /No changes detected/)
  })

  it('push switches row-level security off where they are not: the manual warns of that', async () => {
    schema('', "export const added = pgTable('added', { name: text().primaryKey() })")
    await push()
    const after = await state()
    assert.deepEqual([after.on, after.policies], [false, null])
    // It is as before again.
    await protect()
    assert.equal((await state()).on, true)
  })

  it('generate and migrate look at no database, and leave row-level security as it is', async () => {
    await db.query('DROP TABLE notes, added')
    schema('')
    await kit(['generate', '--name', 'first'])
    await kit(['generate', '--custom', '--name', 'protect'])
    writeFileSync(`${folder}/migrations/0001_protect.sql`,
      "SELECT dialstack.protect_table('notes', 'owner', 'my-product', 'production', by => 'identifier', open_to => '{web_login}');")
    await kit(['migrate'])
    const before = await state()
    assert.deepEqual([before.on, before.policies.length], [true, 2])
    writeFileSync(`${folder}/schema.ts`, `
      import { integer, pgTable, text } from 'drizzle-orm/pg-core'
      export const notes = pgTable('notes', { noteId: integer('note_id').primaryKey(), owner: text().notNull(), text: text() })`)
    await kit(['generate', '--name', 'second'])
    await kit(['migrate'])
    assert.deepEqual(await state(), before)
    assert.equal((await db.query("SELECT count(*)::int AS n FROM pg_attribute WHERE attrelid = 'notes'::regclass AND attname = 'text'")).rows[0].n, 1)
  })
})
