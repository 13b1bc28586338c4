// The example's server, over HTTP.

import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import {
  Caller, SECRET, countSessions, holderOf, loggedIn, logs, query, restoreMembers, startServer,
} from './support.js'

const SESSION = '/api/dialstack/session'
const server = await startServer()

beforeEach(restoreMembers)

/** The client secret of a new session. */
async function secretOf(user, account, components) {
  const { status, body } = await (await loggedIn(server, user)).post(SESSION, { accountId: account, components })
  assert.equal(status, 200, body.error)
  return body.client_secret
}

/** An answer to a caller who may not know more than this. */
function assertRefused({ status, body }, expectedStatus, code) {
  assert.deepEqual([status, body.code, Object.keys(body)], [expectedStatus, code, ['error', 'code']])
}

describe('creating a session', { timeout: 180_000 }, () => {
  it('returns the client secret and its end, and nothing else', async () => {
    const owner = await loggedIn(server, 'user_owner')
    const { status, headers, body } = await owner.post(SESSION, { accountId: 'acct_north' })
    assert.equal(status, 200)
    assert.deepEqual(Object.keys(body), ['client_secret', 'expires_at'])
    assert.match(body.client_secret, /^cs_test_[\w-]+$/)
    assert.ok(Math.abs(Date.parse(body.expires_at) - Date.now() - 3_600_000) < 30_000, body.expires_at)
    assert.equal(headers.get('cache-control'), 'no-store')
  })

  it('makes a session of that account, by the API key of the server', async () => {
    const secret = await secretOf('user_owner', 'acct_north')
    const [row] = await query(
      `SELECT v.account, v.product, v.env, v.scopes, k.name
         FROM dialstack.session_verify($1) v
         JOIN dialstack.sessions s USING (session_id) JOIN dialstack.api_keys k USING (api_key_id)`, [secret])
    assert.deepEqual({ ...row }, {
      account: 'acct_north', product: 'phone-app', env: 'test', scopes: ['call_logs', 'voicemails'], name: 'account-sessions example',
    })
  })

  it('gives no more components than the user was granted', async () => {
    const secret = await secretOf('user_analyst', 'acct_north', { call_logs: { enabled: true }, voicemails: { enabled: true } })
    const [{ scopes }] = await query('SELECT scopes FROM dialstack.session_verify($1)', [secret])
    assert.deepEqual(scopes, ['call_logs'])
  })

  it('gives fewer components where fewer are asked for', async () => {
    const secret = await secretOf('user_owner', 'acct_north', { call_logs: { enabled: false }, voicemails: { enabled: true } })
    const [{ scopes }] = await query('SELECT scopes FROM dialstack.session_verify($1)', [secret])
    assert.deepEqual(scopes, ['voicemails'])
  })

  it('is refused with 401 to who is not logged in', async () => {
    const before = await countSessions()
    assertRefused(await new Caller(server).post(SESSION, { accountId: 'acct_north' }), 401, 'not_logged_in')
    assert.equal(await countSessions(), before)
  })

  it('is refused with 403 to what another site causes', async () => {
    const { headers } = await loggedIn(server, 'user_owner')
    const before = await countSessions()
    for (const site of ['cross-site', 'same-site']) {
      const { status } = await fetch(server.url + SESSION, { method: 'POST', headers: { ...headers, 'Sec-Fetch-Site': site } })
      assert.equal(status, 403)
    }
    assert.equal(await countSessions(), before)
  })

  it('is refused with 401 to who has only a client secret, wherever they present it', async () => {
    const secret = await secretOf('user_owner', 'acct_north')
    const before = await countSessions()
    assertRefused(await holderOf(server, secret).post(SESSION, { accountId: 'acct_north' }), 401, 'not_logged_in')
    const asCookie = new Caller(server, { Cookie: `__Host-session=${secret}` })
    assertRefused(await asCookie.post(SESSION, { accountId: 'acct_north' }), 401, 'not_logged_in')
    assert.equal(await countSessions(), before)
  })

  it('is refused with 403 for the account of somebody else, and one that does not exist is no different', async () => {
    const owner = await loggedIn(server, 'user_owner')
    const before = await countSessions()
    const foreign = await owner.post(SESSION, { accountId: 'acct_south' })
    const unknown = await owner.post(SESSION, { accountId: 'acct_unknown' })
    assertRefused(foreign, 403, 'access_denied')
    assert.deepEqual(unknown.body, foreign.body)
    assert.equal(await countSessions(), before)
  })

  it('is refused with 403 from the moment that the user loses the access', async () => {
    const owner = await loggedIn(server, 'user_owner')
    await query("DELETE FROM phone_app.members WHERE user_id = 'user_owner'")
    assertRefused(await owner.post(SESSION, { accountId: 'acct_north' }), 403, 'access_denied')
  })

  it('is refused with 400 where the request makes no sense', async () => {
    const owner = await loggedIn(server, 'user_owner')
    const before = await countSessions()
    const asking = (components) => ({ accountId: 'acct_north', components })
    const bodies = [
      {}, { accountId: null }, { accountId: 7 }, { accountId: ['acct_north'] }, { accountId: 'acct\u0000' }, [], '{', '"acct_north"',
      asking(null), asking([]), asking('call_logs'), asking({}), asking({ no_such_component: { enabled: true } }),
      asking({ call_logs: true }), asking({ call_logs: { enabled: 'yes' } }), asking({ call_logs: { enabled: false } }),
    ]
    for (const body of bodies) {
      const answer = await owner.post(SESSION, body)
      assert.deepEqual([answer.status, answer.body.code], [400, 'invalid_request'], JSON.stringify(body))
    }
    assert.equal(await countSessions(), before)
  })

  it('does not read what a form on another site can send', async () => {
    const owner = await loggedIn(server, 'user_owner')
    for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
      assertRefused(await owner.post(SESSION, { accountId: 'acct_north' }, { 'Content-Type': type }), 400, 'invalid_request')
    }
  })

  for (const [what, kind, spoil] of [
    ['a revoked API key', 'secret', (id) => query('SELECT dialstack.api_key_revoke($1)', [id])],
    ['a publishable API key', 'publishable', () => {}],
  ]) {
    it(`fails with 500 under ${what}, and tells the log why and the browser nothing`, async () => {
      const [key] = await query("SELECT * FROM dialstack.api_key_create('phone-app', 'test', kind => $1)", [kind])
      const misled = await startServer({ DIALSTACK_API_KEY: key.api_key })
      await spoil(key.api_key_id)
      const owner = await loggedIn(misled, 'user_owner')
      const answer = await owner.post(SESSION, { accountId: 'acct_north' })
      assertRefused(answer, 500, 'internal_error')
      assert.doesNotMatch(answer.body.error, /key/i)
      assert.match(misled.output, /^POST \/api\/dialstack\/session failed: (API_KEY_INVALID 42501|PERMISSION_DENIED 42501)$/m)
    })
  }
})

describe('using a session', { timeout: 180_000 }, () => {
  it('shows the rows of its own account, newest first', async () => {
    const answer = await holderOf(server, await secretOf('user_south', 'acct_south')).get('/api/call_logs')
    assert.equal(answer.status, 200)
    assert.deepEqual(answer.body.call_logs.map((call) => call.number), ['+1 303 555 0161', '+1 303 555 0109'])
  })

  it('cannot be turned to another account by what is in the request', async () => {
    const holder = holderOf(server, await secretOf('user_south', 'acct_south'))
    const answer = await holder.get('/api/voicemails?account=acct_north&accountId=acct_north', { 'X-Account': 'acct_north' })
    assert.deepEqual(answer.body.voicemails.map((mail) => mail.number), ['+1 303 555 0109'])
  })

  it('is refused with 401 missing without a client secret, also to who is logged in', async () => {
    const owner = await loggedIn(server, 'user_owner')
    assertRefused(await owner.get('/api/call_logs'), 401, 'missing')
  })

  it('is refused with 401 invalid for a secret that was forged', async () => {
    const secret = await secretOf('user_owner', 'acct_north')
    const other = secret.at(-5) === 'A' ? 'B' : 'A'
    const changed = secret.slice(0, -5) + other + secret.slice(-4)
    for (const forged of [changed, secret.replace('test', 'live'), 'x', process.env.DIALSTACK_API_KEY]) {
      const answer = await holderOf(server, forged).get('/api/call_logs')
      assertRefused(answer, 401, 'invalid')
      assert.equal(answer.headers.get('www-authenticate'), 'Bearer error="invalid_token"')
    }
  })

  it('is refused with 403 scope_disabled for a component that it does not have', async () => {
    const holder = holderOf(server, await secretOf('user_analyst', 'acct_north'))
    const answer = await holder.get('/api/voicemails')
    assertRefused(answer, 403, 'scope_disabled')
    assert.equal(answer.headers.get('www-authenticate'), 'Bearer error="insufficient_scope"')
    assert.equal((await holder.get('/api/call_logs')).status, 200)
  })

  it("is refused with 401 mismatch to another product's session for an account of the same id", async () => {
    await query("SELECT dialstack.product_create('another-app'), dialstack.env_create('another-app', 'test', live => false)")
    const [{ client_secret: secret }] = await query(
      "SELECT client_secret FROM dialstack.account_session_create('acct_north', product => 'another-app', env => 'test')")
    assertRefused(await holderOf(server, secret).get('/api/call_logs'), 401, 'mismatch')
  })
})

describe('a server that cannot work', { timeout: 180_000 }, () => {
  it('does not start without its API key', async () => {
    await assert.rejects(startServer({ DIALSTACK_API_KEY: '' }), /ended with 2: DIALSTACK_API_KEY is not set/)
  })

  it('answers 500 without a reason while the database is away', async () => {
    const lonely = await startServer({ PGPORT: '1' })
    const answer = await holderOf(lonely, 'x').get('/api/call_logs')
    assertRefused(answer, 500, 'internal_error')
    assert.doesNotMatch(JSON.stringify(answer.body), /ENOENT|ECONNREFUSED|PG|socket/i)
  })
})

describe('the logs, after all that', { timeout: 180_000 }, () => {
  it('hold the statements and the failures, and no key, no secret and no login', async () => {
    const { servers, database } = logs()
    assert.match(await secretOf('user_owner', 'acct_north'), SECRET)
    assert.match(servers, /failed: API_KEY_INVALID/)
    assert.match(database, /account_session_create\(account => \$1/)
    assert.doesNotMatch(servers + database, SECRET)
    assert.doesNotMatch(servers + database, /eyJ/)
  })
})
