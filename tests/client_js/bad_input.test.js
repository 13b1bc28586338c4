// What goes wrong outside of the client: typed errors, no unhandled rejection, no secret in an error or a log.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { after, describe, it } from 'node:test'
import { promisify } from 'node:util'
import pg from 'pg'
import { cleanAddress, DialstackSessions } from 'dialstack-sessions'
import { postgresDatabase } from 'dialstack-sessions/postgres'
import { withSessions } from 'dialstack-sessions/web'
import postgres from 'postgres'
import { assertSafe, client, newUser, place, poolOf, query, rejects, SECRET } from './support.js'

const run = promisify(execFile)
const unhandled = []
process.on('unhandledRejection', (error) => unhandled.push(error))
process.on('uncaughtException', (error) => unhandled.push(error))
after(() => assert.deepEqual(unhandled, []))

const login = client('web_login')

describe('a client', () => {
  it('without pg says so', async () => {
    const folder = mkdtempSync(`${process.env.DSS_WORK}/without-pg-`)
    const target = `${folder}/node_modules/dialstack-sessions`
    mkdirSync(target, { recursive: true })
    cpSync('node_modules/dialstack-sessions', target, { recursive: true })
    writeFileSync(`${folder}/app.mjs`, `
      import { DialstackSessions } from 'dialstack-sessions'
      const client = new DialstackSessions()
      for (const call of [() => client.sessions.verify({ token: 'x' }), () => client.withToken('x', async () => {})]) {
        await call().catch((error) => console.log(error.name, error.code, error.hint))
      }
      await client.close()`)
    const { stdout, stderr } = await run(process.execPath, ['app.mjs'], { cwd: folder })
    assert.deepEqual([stdout, stderr], ['SessionError DRIVER_MISSING npm install pg\n'.repeat(2), ''])
  })

  it('without a pool makes one from the environment', async () => {
    const own = new DialstackSessions({ connectionString: `postgres://web_login@/postgres?host=${process.env.PGHOST}&port=${process.env.PGPORT}`, ...place })
    assert.equal((await own.sessions.verify({ token: 'x' })).reason, 'invalid')
    await own.close()
  })

  it('is not made of what it cannot use', async () => {
    const refused = (make, hint) => assert.throws(make, (error) => error.code === 'INVALID_ARGUMENT' && hint.test(error.hint))
    const pool = poolOf('web_login')
    refused(() => new DialstackSessions(pool), /It takes \{ pool, /)
    refused(() => new DialstackSessions({ pool, environment: 'production' }), /It takes \{ pool, /)
    const sql = postgres({ host: process.env.PGHOST, port: Number(process.env.PGPORT) })
    refused(() => new DialstackSessions({ pool: sql }), /postgresDatabase/)
    refused(() => new DialstackSessions({ database: sql }), /postgresDatabase/)
    refused(() => login.within(sql), /withinPostgres/)
    await sql.end()
  })

  it('whose server is not there says so', async () => {
    const away = client('web_login', { pool: poolOf('web_login', { host: '127.0.0.1', port: 1 }) })
    await rejects(away.sessions.verify({ token: 'x' }), 'CONNECTION_FAILED')
    await rejects(away.withToken('x', async () => {}), 'CONNECTION_FAILED')
    await rejects(client('web_login', { pool: poolOf('web_login', { host: process.env.PGHOST, database: 'not_there' }) }).sessions.verify({ token: 'x' }), 'CONNECTION_FAILED')
  })
})

describe('an exhausted pool', () => {
  for (const [name, settings] of [['that waits for ever', {}], ['with a timeout of its own', { connectionTimeoutMillis: 100 }]]) {
    it(`${name} is an error in time, and the pool is whole afterwards`, async () => {
      const pool = poolOf('web_login', { max: 1, ...settings })
      const narrow = new DialstackSessions({ pool, ...place, acquireTimeout: 200 })
      await narrow.transaction(async () => {
        await rejects(narrow.sessions.verify({ token: 'x' }), settings.connectionTimeoutMillis ? 'CONNECTION_FAILED' : 'CONNECTION_TIMEOUT')
        await rejects(narrow.transaction(async () => {}), settings.connectionTimeoutMillis ? 'CONNECTION_FAILED' : 'CONNECTION_TIMEOUT')
      })
      assert.equal((await narrow.sessions.verify({ token: 'x' })).reason, 'invalid')
      assert.deepEqual([pool.totalCount, pool.idleCount, pool.waitingCount], [1, 1, 0])
    })
  }

  it('of postgres.js is an error in time', async () => {
    const sql = postgres({ host: process.env.PGHOST, port: Number(process.env.PGPORT), user: 'web_login', database: 'postgres', max: 1 })
    const narrow = new DialstackSessions({ database: postgresDatabase(sql, 200), ...place })
    await narrow.transaction(async () => {
      await rejects(narrow.transaction(async () => assert.fail('it must not run any more')), 'CONNECTION_TIMEOUT')
      await rejects(narrow.sessions.verify({ token: 'x' }), 'CONNECTION_TIMEOUT')
    })
    assert.equal((await narrow.sessions.verify({ token: 'x' })).reason, 'invalid')
    await sql.end()
  })
})

describe('a server that goes away', () => {
  it('between BEGIN and COMMIT is a typed error, and the next call has a new connection', async () => {
    const pool = poolOf('web_login')
    const db = new DialstackSessions({ pool, ...place })
    const { token } = await login.sessions.create({ data: { userId: newUser() } })
    const kill = async (c) => {
      const { rows: [{ pid }] } = await c.query('SELECT pg_backend_pid() AS pid')
      await query('SELECT pg_terminate_backend($1)', [pid])
    }
    // The work does not notice, so COMMIT does.
    await rejects(db.withToken(token, async (c) => { await kill(c); await new Promise((wake) => setTimeout(wake, 100)) }), 'CONNECTION_FAILED')
    await rejects(db.transaction(async (c, { sessions }) => { await kill(c); await sessions.verify({ token }) }), 'CONNECTION_FAILED')
    assert.equal((await db.sessions.verify({ token })).valid, true)
  })

  it('between BEGIN and COMMIT of postgres.js is one too', async () => {
    const nobody = new DialstackSessions({ database: postgresDatabase(postgres({ host: process.env.PGHOST, port: Number(process.env.PGPORT), user: 'web_login', database: 'postgres' })), ...place })
    await rejects(nobody.transaction(async (sql) => {
      const [{ pid }] = await sql.unsafe('SELECT pg_backend_pid() AS pid')
      await query('SELECT pg_terminate_backend($1)', [pid])
      await new Promise((wake) => setTimeout(wake, 100))
    }), 'CONNECTION_FAILED')
    await nobody.close()
  })

  it('while a connection is idle harms nobody', async () => {
    // Of an application that does not listen for its pool's errors.
    const pool = new pg.Pool({ user: 'web_login', max: 2 })
    const db = new DialstackSessions({ pool, ...place })
    await db.sessions.verify({ token: 'x' })
    await query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'web_login'")
    await new Promise((wake) => setTimeout(wake, 100))
    assert.equal((await db.sessions.verify({ token: 'x' })).reason, 'invalid')
    await db.close()
  })
})

describe('an address', () => {
  it('is cleaned of what inet refuses', () => {
    const addresses = {
      '192.0.2.7': '192.0.2.7', '192.0.2.7:443': '192.0.2.7', ' 192.0.2.7 ': '192.0.2.7', '2001:db8::1': '2001:db8::1', '[2001:db8::1]': '2001:db8::1',
      '[2001:db8::1]:443': '2001:db8::1', 'fe80::1%eth0': 'fe80::1', '[fe80::1%25eth0]:80': 'fe80::1', '::ffff:192.0.2.7': '::ffff:192.0.2.7',
      unknown: null, '': null, '_hidden': null, '192.0.2.7, 192.0.2.8': null, '999.0.0.1': null, '192.0.2.7\0': null,
    }
    for (const [text, clean] of Object.entries(addresses)) assert.equal(cleanAddress(text), clean, text)
  })

  it('that is none is recorded as none', async () => {
    for (const ip of ['unknown', '192.0.2.9:1234', 'fe80::1%eth0', null]) {
      const { sessionId } = await login.sessions.create({ data: { userId: newUser() }, ip })
      assert.equal((await login.sessions.getInfo({ sessionId })).ip, ip && cleanAddress(ip))
    }
  })
})

describe('an error', () => {
  it('of a handler goes to the log without a token', async (t) => {
    const { token } = await login.sessions.create({ data: { userId: newUser() } })
    const log = t.mock.method(console, 'error', () => {})
    const handler = withSessions(login, () => login.sessions.create({ data: {}, env: token }))
    assert.equal((await handler(new Request('https://app.example.com'))).status, 500)
    const [line] = log.mock.calls[0].arguments
    assert.match(line, /^ENV_NOT_FOUND/)
    assert.doesNotMatch(line, SECRET)
  })

  it('shows no token, though the server writes bound values into its own', async () => {
    const { token, refreshToken } = await login.sessions.create({ data: { userId: newUser() } })
    // These fail in the server, with a token bound.
    const db = await poolOf('web_login').connect()
    await db.query('SET statement_timeout = 1')
    await assert.rejects(db.query("SELECT pg_sleep(1) WHERE $1::text <> ''", [token]), (error) => {
      assert.match(error.where, /eyJ/, 'the server does not write bound values: the test shows nothing')
      return true
    })
    db.release(true)
    await rejects(login.sessions.verify({ token, maxAge: 'nonsense' }), 'INVALID_ARGUMENT')
    await rejects(login.sessions.verify({ token: 'x', product: token, maxAge: token }), 'INVALID_ARGUMENT')
    await rejects(login.sessions.revoke({ sessionId: refreshToken }), 'INVALID_ARGUMENT')
    await rejects(login.sessions.create({ data: {}, env: refreshToken }), 'ENV_NOT_FOUND')
    await rejects(login.sessions.verify({ [token]: 1 }), 'INVALID_ARGUMENT')
  })

  it('says what to do', async () => {
    const said = (promise) => promise.then(() => assert.fail('the call must fail'), ({ message, hint }) => `${message} | ${hint}`)
    const web = client('web_client')
    assert.match(await said(web.sessions.create({ data: { userId: 'ada' } })), /^PERMISSION_DENIED: permission denied .* \| .*grant_access/)
    const elsewhere = client('web_login', { pool: poolOf('web_login', { database: 'template1' }) })
    assert.match(await said(elsewhere.sessions.verify({ token: 'x' })), /^NOT_INSTALLED: .* \| .*CREATE EXTENSION/)
    assert.match(await said(login.sessions.create({ daat: {} })), /takes no argument "daat" \| It takes \{ product, env, tag, data, ip, userAgent, /)
    const { token } = await login.sessions.create({ data: { userId: newUser() } })
    for (const [method, args] of [['verify', token], ['refresh', null], ['create', token], ['end', [token]]]) {
      const text = await said(login.sessions[method](args))
      assert.match(text, /^INVALID_ARGUMENT: sessions\.\w+ takes one object \| It takes \{ /)
      assert.doesNotMatch(text, SECRET)
    }
  })

  it('with a NUL in an argument is typed', async () => {
    await rejects(login.sessions.create({ data: { userId: 'a\0b' } }), 'INVALID_ARGUMENT')
    await rejects(login.sessions.list({ identifier: 'a\0b' }), 'INVALID_ARGUMENT')
    await rejects(login.sessions.create({ data: { userId: newUser() }, userAgent: 'a\0b' }), 'INVALID_ARGUMENT')
  })

  it('of the driver is not kept', async () => {
    await login.sessions.getInfo({ sessionId: '00000000-0000-4000-8000-000000000000' }).then(() => assert.fail(), (error) => {
      assertSafe(error)
      assert.equal('cause' in error, false)
      assert.equal(error.code, 'SESSION_NOT_FOUND')
    })
  })
})
