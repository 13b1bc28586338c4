// Tokens and keys are presented inside a transaction, which the client opens, commits and repeats.

import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import postgres from 'postgres'
import { DialstackSessions } from 'dialstack-sessions'
import { postgresDatabase, withinPostgres } from 'dialstack-sessions/postgres'
import { apiKey, client, host, newUser, place, poolOf, query, rejects } from './support.js'

const login = client('web_login')
const logIn = async (userId) => (await login.sessions.create({ data: { userId } })).token

/** The same for each driver: a client, and how one of its transactions is asked. */
const sqls = []
after(() => Promise.all(sqls.map((sql) => sql.end())))
function postgresJs(user, settings = {}) {
  const sql = postgres({ host, port: Number(process.env.PGPORT), user, database: 'postgres', max: 4, prepare: false, ...settings })
  sqls.push(sql)
  return sql
}
const drivers = {
  pg: {
    open: (user, options) => client(user, options),
    ask: async (db, text) => (await db.query(text)).rows,
    within: (db) => db,
  },
  'postgres.js': {
    open: (user, options) => new DialstackSessions({ database: postgresDatabase(postgresJs(user)), ...place, ...options }),
    ask: async (db, text) => [...(await db.unsafe(text))],
    within: withinPostgres,
  },
}

for (const [name, { open, ask, within }] of Object.entries(drivers)) {
  describe(`a transaction with ${name}`, () => {
    const web = open('web_client')

    it('shows the rows of the session alone', async () => {
      const [ada, bob] = [await logIn('ada'), await logIn('bob')]
      const texts = (token) => web.withToken(token, async (db) => (await ask(db, 'SELECT text FROM notes ORDER BY 1')).map(({ text }) => text))
      assert.deepEqual(await Promise.all([texts(ada), texts(bob), texts(ada), texts(null), texts(undefined), texts('')]),
        [['of Ada'], ['of Bob'], ['of Ada'], [], [], []])
    })

    it('refuses a token that is not good, or of another place', async () => {
      const work = () => assert.fail('it must not run')
      for (const token of ['nonsense', 'a\0b']) await rejects(web.withToken(token, work), 'VERIFY_FAILED')
      // protect_table was told product and environment; a table where it was not must not show rows to a token of staging.
      const { token } = await login.sessions.create({ env: 'staging', data: { userId: 'ada' } })
      await rejects(web.withToken(token, work), 'VERIFY_FAILED')
      await rejects(open('web_client', { tag: 'other' }).withToken(await logIn('ada'), work), 'VERIFY_FAILED')
      // Sessions of accounts have no tag.
      const { client_secret } = await login.accountSessions.create({ account: 'acct_1' })
      assert.equal(await web.withToken(client_secret, async () => 'done'), 'done')
    })

    it('leaves no token behind in the connection', async () => {
      const token = await logIn('ada')
      for (let i = 0; i < 8; i++) {
        await web.withToken(token, async () => {})
        assert.deepEqual(await web.transaction((db) => ask(db, 'SELECT dialstack.current_identifier() AS who')), [{ who: null }])
      }
    })

    it('is committed, and rolled back with the error of the work as it is', async () => {
      const token = await logIn('ada')
      const mine = new Error('mine')
      await assert.rejects(web.withToken(token, async (db) => {
        await ask(db, "INSERT INTO notes (owner, text) VALUES ('ada', 'gone')")
        throw mine
      }), (error) => error === mine)
      assert.equal(await web.withToken(token, async (db) => {
        await ask(db, "INSERT INTO notes (owner, text) VALUES ('ada', 'kept')")
        return 'done'
      }), 'done')
      assert.deepEqual(await query("DELETE FROM notes WHERE text IN ('gone', 'kept') RETURNING text"), [{ text: 'kept' }])
    })

    it('leaves an error of the work as it is, also where no promise was made yet', async () => {
      const mistake = new TypeError('db.nonsense is not a function')
      for (const run of [(work) => web.withToken(null, work), (work) => web.transaction(work)]) {
        await assert.rejects(run(() => { throw mistake }), (error) => error === mistake)
      }
    })

    it('is repeated when it collides with another', async () => {
      await query("UPDATE counters SET value = 0 WHERE name = 'visits'")
      const server = open('web_login')
      let runs = 0
      const add = () => server.transaction(async (db) => {
        runs++
        await ask(db, 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ')
        const [{ value }] = await ask(db, "SELECT value FROM counters WHERE name = 'visits'")
        await new Promise((wake) => setTimeout(wake, 20))
        await ask(db, `UPDATE counters SET value = ${value + 1} WHERE name = 'visits'`)
      })
      await Promise.all([add(), add(), add()])
      assert.deepEqual(await query('SELECT value FROM counters'), [{ value: 3 }])
      assert.ok(runs > 3, `nothing collided: ${runs}`)
    })

    it('that is the caller\'s is not repeated', async () => {
      let calls = 0
      const colliding = { query: async () => { calls++; throw Object.assign(new Error('could not serialize access'), { code: '40001', severity: 'ERROR' }) } }
      await rejects(web.within(colliding).sessions.verify({ token: 'x' }), 'CONFLICT')
      assert.equal(calls, 1)
    })

    it('carries the cause and the revocation together', async () => {
      const userId = newUser()
      const { token } = await login.sessions.create({ data: { userId } })
      const server = open('web_login')
      const change = (fail) => server.transaction(async (db, { sessions }) => {
        await ask(db, "UPDATE counters SET value = 7 WHERE name = 'visits'")
        assert.equal(await sessions.revokeAll({ identifier: userId }), 1)
        // The same by hand.
        assert.equal(await server.within(within(db)).sessions.revokeAll({ identifier: userId }), 0)
        if (fail) throw new Error('no')
      })
      await assert.rejects(change(true))
      assert.equal((await login.sessions.verify({ token })).valid, true)
      await change(false)
      assert.equal((await login.sessions.verify({ token })).reason, 'revoked')
    })

    it('of the caller\'s does not keep the API key', async () => {
      const keyed = open('web_client', { apiKey: await apiKey() })
      await keyed.transaction(async (db, inside) => {
        await inside.accountSessions.create({ account: 'acct_1' })
        await assert.rejects(ask(db, "SELECT dialstack.account_session_create('acct_1', product => 'my-product', env => 'production')"), /PERMISSION_DENIED/)
        throw new Error('it stays aborted')
      }).catch((error) => assert.equal(error.message, 'it stays aborted'))
    })

    it('commits the revocation of a reused token before it is refused', async () => {
      const server = open('web_login')
      const { refreshToken, sessionId } = await server.sessions.create({ data: { userId: newUser() } })
      const second = await server.sessions.refresh({ refreshToken })
      await server.sessions.refresh({ refreshToken: second.refreshToken })
      const reused = await server.sessions.refresh({ refreshToken })
      assert.deepEqual([reused.ok, reused.reason], [false, 'reused'])
      assert.deepEqual(await query('SELECT revoke_reason FROM dialstack.sessions WHERE session_id = $1', [sessionId]), [{ revoke_reason: 'reused' }])
    })

    it('is shared by callers that refresh one token at once', async () => {
      const server = open('web_login')
      const { refreshToken, sessionId } = await server.sessions.create({ data: { userId: newUser() } })
      const all = await Promise.all(Array.from({ length: 20 }, () => server.sessions.refresh({ refreshToken })))
      assert.equal(new Set(all.map(({ token }) => token)).size, 1)
      assert.ok(all.every(({ ok }) => ok))
      const { logs } = await server.sessions.fetchActivityLogs({ limit: 1000 })
      assert.equal(logs.filter((log) => log.sessionId === sessionId && log.operation === 'refresh').length, 1)
      // It ends with the call: the next is one of its own.
      assert.equal((await server.sessions.refresh({ refreshToken: all[0].refreshToken })).ok, true)
    })
  })
}

describe('a transaction in which an error was swallowed', () => {
  it('is not taken for committed', async () => {
    await rejects(client('web_client').transaction((db) => db.query('SELECT 1/0').catch(() => 'swallowed')), 'TRANSACTION_ABORTED')
  })
})

describe('a call with a caller\'s client', () => {
  it('works on any client of pg', async () => {
    const db = await poolOf('web_login').connect()
    try {
      await db.query('BEGIN')
      const { token } = await login.within(db).sessions.create({ data: { userId: newUser() } })
      await db.query('ROLLBACK')
      assert.equal((await login.sessions.verify({ token })).reason, 'invalid')
    } finally {
      db.release()
    }
  })
})
