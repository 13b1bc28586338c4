// The calls, by the names of the three products' documents, with their arguments.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { apiKey, client, newUser, place, poolOf, rejects } from './support.js'
import { DialstackSessions } from 'dialstack-sessions'

const server = client('web_login')
const { sessions } = server

describe('user sessions', () => {
  it('are created, verified, refreshed and revoked with the arguments of the documents', async () => {
    const sessions = new DialstackSessions({ pool: poolOf('web_login') }).sessions
    const userId = newUser()
    const created = await sessions.start({ ...place, data: { userId, role: 'admin' } })
    assert.deepEqual(Object.keys(created).sort(), ['expiresAt', 'refreshToken', 'sessionExpiresAt', 'sessionId', 'token'])
    assert.ok(created.expiresAt instanceof Date && created.sessionExpiresAt > created.expiresAt)

    const verified = await sessions.verify({ ...place, token: created.token })
    assert.equal(verified.valid, true)
    assert.deepEqual(verified.data, { userId, role: 'admin' })
    // As the manual lists them, and as one reads them.
    assert.deepEqual(Object.keys(verified).slice(0, 5), ['valid', 'reason', 'kind', 'sessionId', 'identifier'])
    assert.equal(verified.sessionId, created.sessionId)
    assert.equal(verified.expiresAt.getTime(), created.expiresAt.getTime())
    assert.ok(verified.authenticatedAt instanceof Date)
    assert.equal((await sessions.verify({ ...place, token: `user-session:${created.token}` })).valid, true)

    const refreshed = await sessions.refresh({ ...place, refreshToken: created.refreshToken })
    assert.equal(refreshed.ok, true)
    assert.equal(refreshed.identifier, userId)
    assert.equal(refreshed.sessionId, created.sessionId)
    assert.notEqual(refreshed.refreshToken, created.refreshToken)

    assert.equal(await sessions.revoke({ ...place, sessionId: created.sessionId }), 1)
    const after = await sessions.verify({ ...place, token: refreshed.token })
    assert.deepEqual([after.valid, after.reason], [false, 'revoked'])
  })

  it('do not show their tokens in what is logged', async () => {
    const created = await sessions.create({ data: { userId: newUser() } })
    const refreshed = await sessions.refresh({ refreshToken: created.refreshToken })
    const snake = await server.accountSessions.create({ account: 'acct_1' })
    for (const result of [created, refreshed, snake, { nested: [created] }]) {
      const logged = inspect(result, { depth: 5, showHidden: true, getters: true })
      for (const secret of [created.token, created.refreshToken, refreshed.token, refreshed.refreshToken, snake.client_secret]) {
        assert.ok(!logged.includes(secret), logged)
      }
      assert.match(logged, /'\*{8}'/)
    }
    assert.match(inspect(created), new RegExp(created.sessionId))
    assert.equal(JSON.parse(JSON.stringify(created)).token, created.token)
    assert.equal({ ...created }.token, created.token)

    const refersToItself = Object.assign(created, { user: { session: created } })
    assert.match(inspect(refersToItself, { depth: null }), /session: \[Circular \*1\]/)
    assert.match(inspect([[[created]]], { depth: 2 }), /\[Object\]/)
  })

  it('take product, env and tag from the call, then from the client', async () => {
    const { token } = await sessions.create({ data: { userId: newUser() } })
    assert.equal((await sessions.verify({ token })).valid, true)
    assert.equal((await sessions.verify({ token, env: 'staging' })).reason, 'mismatch')
    assert.equal((await client('web_login', { env: 'staging' }).sessions.verify({ token })).reason, 'mismatch')
    assert.equal((await client('web_login', { env: 'staging' }).sessions.verify({ token, env: 'production' })).valid, true)
    // null: whatever it is.
    assert.equal((await client('web_login', { env: 'staging' }).sessions.verify({ token, env: null })).valid, true)
    await rejects(new DialstackSessions({ pool: poolOf('web_login') }).sessions.create({ data: {} }), 'CREATE_FAILED')
  })

  it('are refused as values, with the reason', async () => {
    for (const [token, reason] of [[undefined, 'missing'], [null, 'missing'], ['', 'missing'], ['nonsense', 'invalid'], ['a\0b', 'invalid'], ['é', 'invalid']]) {
      const verified = await sessions.verify({ token })
      assert.deepEqual([verified.valid, verified.reason, verified.data], [false, reason, null])
      const refreshed = await sessions.refresh({ refreshToken: token })
      assert.deepEqual([refreshed.ok, refreshed.reason, refreshed.token], [false, reason, null])
    }
    await rejects(sessions.require({ token: 'nonsense' }), 'VERIFY_FAILED')
  })

  it('are listed page by page, with counts as numbers and moments as dates', async () => {
    const identifier = newUser()
    for (const userAgent of ['one', 'two', 'three']) await sessions.create({ data: { userId: identifier }, userAgent, ip: '192.0.2.7' })
    const page = await sessions.list({ identifier, page: 1, limit: 2 })
    assert.deepEqual([page.total, page.page, page.limit, page.totalPages, page.sessions.length], [3, 1, 2, 2, 2])
    assert.deepEqual(page.sessions.map(({ userAgent }) => userAgent), ['three', 'two'])
    const [session] = page.sessions
    assert.ok(session.startAt instanceof Date && session.endAt instanceof Date)
    assert.deepEqual([session.active, session.ip, session.identifier, 'total' in session], [true, '192.0.2.7', identifier, false])
    assert.equal((await sessions.listActive({ identifier, perPage: 1, page: 3 })).sessions[0].userAgent, 'one')
    assert.deepEqual(await sessions.list({ identifier: newUser() }), { sessions: [], total: 0, page: 1, limit: 10, totalPages: 0 })
    assert.equal((await sessions.list({ identifier, page: 9 })).total, null)
    assert.equal((await sessions.list({ identifier, withTotal: false })).total, null)

    assert.equal(await sessions.revokeAll({ identifier, exceptSessionId: session.sessionId }), 2)
    assert.equal((await sessions.list({ identifier })).total, 1)
    assert.equal(await sessions.revokeAll({ identifier, excludeCurrentSession: session.sessionId }), 0)
  })

  it('are looked at, extended and changed', async () => {
    const { sessionId, token } = await sessions.create({ data: { userId: newUser() }, expiresIn: 60, sessionExpiresIn: '1 hour' })
    const info = await sessions.getInfo({ sessionId })
    assert.deepEqual([info.kind, info.product, info.generation, info.revokedAt], ['user', 'my-product', 0, null])
    const { expiresAt } = await sessions.extendSession({ sessionId, by: '2 hours' })
    assert.equal(expiresAt - info.endAt, 7_200_000)
    await sessions.updateData({ sessionId, data: { userId: info.identifier, note: 'new' } })
    assert.equal((await sessions.verify({ token })).data.note, 'new')
    assert.equal((await sessions.verify({ token, maxAge: 300 })).valid, true)
    const { authenticatedAt } = await sessions.reauthenticate({ sessionId })
    assert.ok(authenticatedAt instanceof Date)
    assert.equal((await sessions.introspect({ token })).active, true)
    assert.ok((await sessions.explain({ token })).every(({ passed }) => passed))
    assert.equal(await sessions.end({ token }), 1)
    assert.equal((await sessions.verify({ token })).reason, 'revoked')
  })

  it('have users, activity and figures', async () => {
    const identifier = newUser()
    await sessions.create({ data: { userId: identifier } })
    const { users, total } = await sessions.fetchUsers({ product: 'my-product', session: 'user-session', page: 1, limit: 1 })
    assert.ok(total >= 1 && users.length === 1)
    assert.deepEqual([users[0].identifier, users[0].totalSessions, users[0].status], [identifier, 1, 'active'])
    assert.ok(users[0].firstSeen instanceof Date && users[0].lastSeen instanceof Date)

    const details = await sessions.fetchUserDetails({ identifier })
    assert.deepEqual([details.totalSessions, details.activeSessionsCount, details.latestSessionData], [1, 1, { userId: identifier }])
    assert.ok(details.firstSeen instanceof Date && details.sessions[0].startAt instanceof Date)
    await rejects(sessions.fetchUserDetails({ identifier: 'nobody' }), 'USER_NOT_FOUND')

    const { logs } = await sessions.fetchActivityLogs({ identifier, start: new Date(Date.now() - 60_000), status: 'success' })
    assert.deepEqual(logs.map(({ operation }) => operation), ['create'])
    assert.ok(logs[0].at instanceof Date && typeof logs[0].activityId === 'number')
    assert.ok((await sessions.fetchDashboard({ groupBy: 'hour', timeZone: 'UTC' })).totalUsers >= 1)
    assert.equal((await sessions.fetchUserDashboard({ identifier })).totalLogs, 1)
    assert.equal((await sessions.fetchUserDashboard({ session: 'user-session', identifier, start_date: '2000-01-01', end_date: '2000-01-02' })).totalLogs, 0)
  })

  it('throw SessionError with code, detail and hint', async () => {
    await assert.rejects(sessions.create({ env: 'prodution', data: {} }), (error) => {
      assert.deepEqual([error.name, error.code, error.sqlstate], ['SessionError', 'ENV_NOT_FOUND', '42704'])
      assert.match(error.hint, /env_create/)
      return true
    })
    await rejects(sessions.getInfo({ sessionId: 'not a uuid' }), 'INVALID_ARGUMENT')
    await rejects(sessions.create({ data: { userId: newUser() }, colour: 'red' }), 'INVALID_ARGUMENT')
    await rejects(sessions.create({ data: { userId: newUser() }, userAgent: 7 }), 'INVALID_ARGUMENT')
    await rejects(sessions.list({ page: 0 }), 'LIST_FAILED')
    await rejects(client('web_client').sessions.create({ data: {} }), 'PERMISSION_DENIED')
    const circle = {}
    circle.self = circle
    await rejects(sessions.create({ data: circle }), 'INVALID_ARGUMENT')
  })
})

describe('definitions', () => {
  const admin = client('web_admin')

  it('are written in code, registered, listed and deleted', async () => {
    const definition = await admin.sessions.define({
      product: 'my-product', tag: `checkout-${newUser()}`, name: 'Checkout Session', description: 'Session for checkout flow', maxSessions: 3,
      handler: async (ctx) => {
        ctx.selector('userId')
        ctx.expiry(1, 'hours')
        ctx.schema({ userId: { type: 'string', required: true }, cartId: { type: 'string', required: false } })
      },
    })
    const stored = await admin.sessions.register('my-product', definition)
    assert.deepEqual([stored.tag, stored.expiry, stored.period, stored.selector, stored.maxSessions], [definition.tag, 1, 'hours', '$Session{userId}', 3])
    assert.ok(stored.createdAt instanceof Date)
    const changed = await admin.definitions.update({ tag: stored.tag, changes: { maxSessions: 5, onLimit: 'deny' } })
    assert.deepEqual([changed.maxSessions, changed.onLimit], [5, 'deny'])
    assert.ok((await admin.definitions.list()).some(({ tag }) => tag === stored.tag))
    assert.equal((await admin.definitions.get({ tag: stored.tag })).name, 'Checkout Session')
    await admin.definitions.delete({ tag: stored.tag })
    await rejects(admin.definitions.get({ tag: stored.tag }), 'DEFINITION_NOT_FOUND')
  })

  it('are created by sessions.create, from samples', async () => {
    const tag = `cart-${newUser()}`
    const stored = await admin.sessions.create({
      name: 'Checkout Session', tag, description: 'Session for checkout flow',
      schema: { userId: 'user_456', details: { email: 'jane@example.com', cartId: 'cart_789' } },
      selector: '$Session{userId}', expiry: 1, period: 'hours', publicClaims: ['userId', 'details.cartId'],
    })
    assert.deepEqual([stored.tag, stored.publicClaims], [tag, ['userId', 'details.cartId']])
    await admin.definitions.delete({ tag })
  })
})

describe('account sessions', () => {
  it('are created with an API key by a role that may do nothing else', async () => {
    const dialstack = new DialstackSessions({ pool: poolOf('web_client'), apiKey: await apiKey() })
    const session = await dialstack.accountSessions.create({
      account: 'acct_01h2xcejqtf2nbrexx3vqjhp41', components: { call_logs: { enabled: false }, voicemails: { enabled: true } },
    })
    assert.match(session.client_secret, /^cs_live_/)
    assert.ok(session.expires_at instanceof Date)
    assert.equal(session.clientSecret, session.client_secret)
    assert.equal(session.expiresAt, session.expires_at)
    assert.deepEqual(session.components.voicemails, { enabled: true })
    assert.deepEqual(Object.keys(JSON.parse(JSON.stringify(session))).sort(), ['account_id', 'client_secret', 'components', 'expires_at'])

    const good = await dialstack.sessions.verify({ token: session.client_secret, scope: 'voicemails' })
    assert.deepEqual([good.valid, good.kind, good.account], [true, 'account', 'acct_01h2xcejqtf2nbrexx3vqjhp41'])
    assert.equal((await dialstack.sessions.verify({ token: session.client_secret, scope: 'call_logs' })).reason, 'scope_disabled')
    assert.equal(await dialstack.accountSessions.revoke({ account: 'acct_01h2xcejqtf2nbrexx3vqjhp41' }), 1)
  })

  it('say for whom they are, with names in either form', async () => {
    const accounts = client('web_login', { tag: undefined }).accountSessions
    for (const [names, minutes] of [[{ expires_in: 300, user_agent: 'a' }, 5], [{ expiresIn: '10 minutes', userAgent: 'a' }, 10]]) {
      const session = await accounts.create({ account: 'acct_1', identifier: 'ada', ip: '[2001:db8::1]:443', ...names })
      const { startAt, ip, userAgent } = (await sessions.getInfo({ sessionId: (await sessions.verify({ token: session.client_secret, tag: null })).sessionId }))
      assert.deepEqual([ip, userAgent, Math.round((session.expires_at - startAt) / 60_000)], ['2001:db8::1', 'a', minutes])
    }
  })

  it('and those of clients have a verify of their own, to which all else is a mismatch', async () => {
    const { accountSessions, clientSessions, sessions } = client('web_login')
    const { client_secret } = await accountSessions.create({ account: 'acct_1', components: { voicemails: { enabled: true } } })
    const { token } = await clientSessions.create()
    const user = await sessions.create({ data: { userId: newUser() } })
    assert.equal((await accountSessions.verify({ clientSecret: client_secret })).account, 'acct_1')
    assert.equal((await accountSessions.verify({ client_secret, scope: 'call_logs' })).reason, 'scope_disabled')
    assert.equal((await clientSessions.verify({ token })).kind, 'client')
    for (const refused of [accountSessions.verify({ client_secret: token }), clientSessions.verify({ token: client_secret }), clientSessions.verify({ token: user.token })]) {
      assert.deepEqual(Object.values(await refused).filter((value) => value !== null), [false, 'mismatch'])
    }
    assert.equal((await accountSessions.verify({ clientSecret: undefined })).reason, 'missing')
    await rejects(accountSessions.verify(client_secret), 'INVALID_ARGUMENT')
  })

  it('are still made by sessions.create, with a warning', async () => {
    const warned = new Promise((resolve) => process.once('warning', resolve))
    const session = await client('web_login').sessions.create({ account: 'acct_old' })
    assert.match(session.client_secret, /^cs_live_/)
    const { name, message } = await warned
    assert.deepEqual([name, /accountSessions\.create/.test(message)], ['DeprecationWarning', true])
  })

  it('fail with a key that is not good, and without one', async () => {
    const bad = new DialstackSessions({ pool: poolOf('web_client'), apiKey: `sk_live_${'x'.repeat(43)}` })
    await rejects(bad.accountSessions.create({ account: 'acct_1' }), 'API_KEY_INVALID')
    await rejects(client('web_client').accountSessions.create({ account: 'acct_1' }), 'PERMISSION_DENIED')
  })

  it('do not leave the key in the connection', async () => {
    const pool = poolOf('web_client', { max: 1 })
    await new DialstackSessions({ pool, apiKey: await apiKey() }).accountSessions.create({ account: 'acct_1' })
    await rejects(new DialstackSessions({ pool, ...place }).accountSessions.create({ account: 'acct_1' }), 'PERMISSION_DENIED')
  })
})

describe('client sessions', () => {
  const ids = ['3ea0b67f-649f-4131-bfe3-f2035e77a3f9', '6e1cad57-b244-40ca-b4f3-30a46c8000d4']

  it('have all calls of the documents', async () => {
    const seam = new DialstackSessions({ pool: poolOf('web_client'), apiKey: await apiKey() })
    const user_identifier_key = newUser()
    const session = await seam.clientSessions.create({ user_identifier_key, connected_account_ids: ids.slice(0, 1) })
    assert.match(session.token, /^cst_live_/)
    assert.deepEqual([session.device_count, session.connectedAccountIds, session.third_party_account_ids], [0, ids.slice(0, 1), ids.slice(0, 1)])
    const { client_session_id } = session

    const later = new Date(Date.now() + 86_400_000)
    const same = await seam.clientSessions.getOrCreate({ userIdentifierKey: user_identifier_key, expiresAt: later })
    assert.deepEqual([same.client_session_id, same.expires_at.getTime()], [client_session_id, later.getTime()])
    const granted = await seam.clientSessions.grantAccess({ client_session_id, connected_account_ids: ids })
    assert.deepEqual([...granted.connected_account_ids].sort(), [...ids].sort())
    assert.equal((await seam.clientSessions.get({ client_session_id })).user_identifier_key, user_identifier_key)
    const list = await seam.clientSessions.list({ user_identifier_key })
    assert.deepEqual([list.length, list.total, list[0].token], [1, 1, session.token])
    assert.equal('total' in list[0], false)

    assert.equal(await seam.clientSessions.revoke({ client_session_id }), undefined)
    assert.equal((await seam.sessions.verify({ token: session.token })).reason, 'revoked')
    assert.equal(await seam.clientSessions.delete({ client_session_id }), undefined)
    await rejects(seam.clientSessions.get({ client_session_id }), 'SESSION_NOT_FOUND')
  })

  it('are made empty with a publishable key', async () => {
    const seam = new DialstackSessions({ pool: poolOf('web_client'), apiKey: await apiKey('publishable') })
    await seam.clientSessions.getOrCreate({ user_identifier_key: newUser() })
    await rejects(seam.clientSessions.create({ user_identifier_key: newUser(), connected_account_ids: ids }), 'PUBLISHABLE_KEY_MUST_CREATE_EMPTY_SESSION')
  })
})

describe('keys', () => {
  it('are public for every level', async () => {
    const { keys } = client('web_client')
    assert.ok(Array.isArray((await keys.jwks()).keys))
    const { token } = await sessions.create({ data: { userId: newUser() } })
    assert.equal(JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).iss, await keys.issuer())
  })
})
