// Sessions in cookies, on Request and Response.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openVisit, withSessions } from 'dialstack-sessions/web'
import { sessions } from 'dialstack-sessions/express'
import { client, newUser, place, rejects, SECRET } from './support.js'

const server = client('web_login')
const ORIGIN = 'https://app.example.com'

/** A browser's jar, as far as cookies with `__Host-` need one. */
class Browser {
  jar = {}
  lines = []

  constructor(handler) {
    this.handler = handler
  }

  async visit(method = 'GET', path = '/', headers = {}) {
    const cookie = Object.entries(this.jar).map((pair) => pair.join('=')).join('; ')
    const request = new Request(ORIGIN + path, { method, headers: { ...(cookie && { cookie }), ...(method !== 'GET' && { 'sec-fetch-site': 'same-origin' }), ...headers } })
    const response = await this.handler(request)
    this.lines = response.headers.getSetCookie()
    for (const line of this.lines) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)
      if (/Max-Age=0(;|$)/.test(line)) delete this.jar[name]
      else this.jar[name] = value
    }
    return { status: response.status, text: await response.text(), cacheControl: response.headers.get('cache-control') }
  }
}

async function application(request, visit) {
  const { pathname, searchParams } = new URL(request.url)
  if (pathname === '/login') {
    await visit.logIn({ userId: searchParams.get('user'), note: searchParams.get('note') ?? '' }, { sessionExpiresIn: '1 hour' })
    return new Response('welcome')
  }
  if (pathname === '/logout') {
    await visit.session?.revoke()
    return new Response('bye')
  }
  if (pathname === '/fail') throw new Error('the handler failed')
  return new Response(visit.session ? `hello ${visit.session.identifier}` : `nobody: ${visit.reason}`)
}

const open = (options = {}) => new Browser(withSessions(server, application, options))

async function loggedIn(options) {
  const browser = open(options)
  const userId = newUser()
  assert.equal((await browser.visit('POST', `/login?user=${userId}`)).text, 'welcome')
  return Object.assign(browser, { userId })
}

/** Makes the access token in the jar one that has expired. */
async function expire(browser) {
  const { token } = await server.sessions.create({ data: { userId: browser.userId }, expiresIn: 1 })
  await new Promise((wake) => setTimeout(wake, 2100))
  assert.equal((await server.sessions.verify({ token })).reason, 'expired')
  browser.jar['__Host-session'] = token
}

describe('a visit', () => {
  it('logs in with two cookies that scripts and other sites cannot read', async () => {
    const browser = await loggedIn()
    const [session, refresh] = browser.lines
    assert.match(session, /^__Host-session=eyJ[^;]+; Path=\/; HttpOnly; Secure; SameSite=Lax$/)
    assert.match(refresh, /^__Host-refresh=rt_live_[^;]+; Path=\/; HttpOnly; Secure; SameSite=Lax; Max-Age=(3599|360[01])$/)
    const page = await browser.visit()
    assert.deepEqual([page.status, page.text, browser.lines], [200, `hello ${browser.userId}`, []])
  })

  it('without cookies asks nobody', async () => {
    const nobody = { sessions: new Proxy({}, { get: () => assert.fail('the database was asked') }) }
    const visit = await openVisit(nobody, new Request(ORIGIN))
    assert.deepEqual([visit.session, visit.reason, visit.cookies], [null, 'missing', []])
  })

  it('refreshes once when the access token has expired, or only the refresh cookie came', async () => {
    const browser = await loggedIn()
    delete browser.jar['__Host-session']
    const page = await browser.visit()
    assert.deepEqual([page.text, page.cacheControl, browser.lines.length], [`hello ${browser.userId}`, 'no-store', 2])
    await expire(browser)
    assert.equal((await browser.visit()).text, `hello ${browser.userId}`)
    assert.equal(browser.lines.length, 2)
    assert.equal((await browser.visit()).text, `hello ${browser.userId}`)
    assert.equal(browser.lines.length, 0)
  })

  it('refreshes when the access token is invalid, as one is whose key was revoked', async () => {
    const browser = await loggedIn()
    browser.jar['__Host-session'] = browser.jar['__Host-session'].replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))
    assert.equal((await browser.visit()).text, `hello ${browser.userId}`)
    assert.equal(browser.lines.length, 2)
    Object.assign(browser.jar, { '__Host-session': 'nonsense', '__Host-refresh': 'nonsense' })
    assert.equal((await browser.visit()).text, 'nobody: invalid')
    assert.deepEqual(browser.jar, {})
  })

  it('of two tabs at once gives both the same session', async () => {
    const browser = await loggedIn()
    delete browser.jar['__Host-session']
    const tabs = Array.from({ length: 10 }, () => Object.assign(open(), { jar: { ...browser.jar } }))
    assert.deepEqual(new Set((await Promise.all(tabs.map((tab) => tab.visit()))).map(({ text }) => text)), new Set([`hello ${browser.userId}`]))
    assert.equal(new Set(tabs.map(({ jar }) => jar['__Host-refresh'])).size, 1)
  })

  it('clears the cookies of a session that was revoked, reused, forged or is another application\'s', async () => {
    const revoked = await loggedIn()
    await server.sessions.revoke({ identifier: revoked.userId })
    assert.equal((await revoked.visit()).text, 'nobody: revoked')
    assert.deepEqual(revoked.jar, {})

    const stolen = await loggedIn()
    const old = stolen.jar['__Host-refresh']
    for (let i = 0; i < 2; i++) {
      delete stolen.jar['__Host-session']
      await stolen.visit()
    }
    const thief = Object.assign(open(), { jar: { '__Host-refresh': old } })
    assert.equal((await thief.visit()).text, 'nobody: reused')
    assert.deepEqual(thief.jar, {})
    assert.equal((await stolen.visit()).text, 'nobody: reused')
    assert.deepEqual(stolen.jar, {})

    for (const value of ['nonsense', 'eyJ.eyJ.x', '%00', '']) {
      const forged = Object.assign(open(), { jar: { '__Host-session': value } })
      assert.match((await forged.visit()).text, /^nobody: (invalid|missing)$/)
      if (value) assert.deepEqual(forged.jar, {})
    }
    const { token } = await server.sessions.create({ ...place, env: 'staging', data: { userId: 'ada' } })
    const mixed = Object.assign(open(), { jar: { '__Host-session': token } })
    assert.equal((await mixed.visit()).text, 'nobody: mismatch')
    const { client_secret } = await server.accountSessions.create({ account: 'acct_1' })
    const untagged = client('web_login', { tag: undefined })
    const visit = await openVisit(untagged, new Request(ORIGIN, { headers: { cookie: `__Host-session=${client_secret}` } }))
    assert.deepEqual([visit.session, visit.reason, visit.cookies.length], [null, 'invalid', 2])
  })

  it('with a NUL in a cookie, or two cookies of one name, is a clean log-out', async () => {
    const { token } = await server.sessions.create({ data: { userId: 'ada' } })
    const headers = (cookie) => ({ method: 'GET', headers: { get: (name) => (name === 'cookie' ? cookie : null) } })
    for (const cookie of ['__Host-session=a\0b', `__Host-session=${token}\0`, '__Host-refresh=a\0b', `__Host-session=${token}; __Host-session=planted`,
      '__Host-refresh=a; __Host-refresh=b']) {
      const visit = await openVisit(server, headers(cookie))
      assert.deepEqual([visit.session, visit.reason, visit.cookies.length], [null, 'invalid', 2], JSON.stringify(cookie))
    }
    // The same one twice is one.
    assert.equal((await openVisit(server, headers(`__Host-session=${token}; a=b; __Host-session=${token}`))).session.identifier, 'ada')
    // Neither is one of another name.
    assert.equal((await openVisit(server, headers(`x__Host-session=${token}; __Host-session2=${token}`))).reason, 'missing')
  })

  it('logs out, also with an expired or a forged token', async () => {
    const browser = await loggedIn()
    const { ...jar } = browser.jar
    assert.equal((await browser.visit('POST', '/logout')).text, 'bye')
    assert.deepEqual(browser.jar, {})
    assert.equal((await server.sessions.verify({ token: jar['__Host-session'] })).reason, 'revoked')
    const forged = await openVisit(server, new Request(ORIGIN, { headers: { cookie: '__Host-refresh=nonsense' } }))
    await forged.logOut()
    assert.equal(forged.cookies.length, 2)
  })

  it('logs in with another client, where its own role may make no session', async () => {
    const web = client('web_client')
    const visit = await openVisit(web, new Request(ORIGIN))
    const userId = newUser()
    await rejects(visit.logIn({ userId }), 'PERMISSION_DENIED')
    assert.equal((await visit.logIn({ userId }, { client: server })).identifier, userId)
    await visit.logOut()
    assert.deepEqual([visit.session, visit.cookies.length], [null, 2])
  })

  it('logs in within a transaction, all of it or nothing', async () => {
    const browser = await loggedIn()
    const cookie = Object.entries(browser.jar).map((pair) => pair.join('=')).join('; ')
    const before = () => server.sessions.verify({ token: browser.jar['__Host-session'] })
    for (const [error, reason] of [[new Error('changed my mind'), null], [null, 'revoked']]) {
      const visit = await openVisit(server, new Request(ORIGIN, { headers: { cookie } }))
      const loggingIn = server.transaction(async (_, sessions) => {
        await visit.logIn({ userId: browser.userId }, { client: sessions })
        if (error) throw error
      })
      if (error) await assert.rejects(loggingIn, error)
      else await loggingIn
      assert.equal((await before()).reason ?? null, reason)
    }
  })

  it('ends the session that a browser had when somebody logs in again', async () => {
    const browser = await loggedIn()
    const before = browser.jar['__Host-session']
    await browser.visit('POST', `/login?user=${newUser()}`)
    assert.equal((await server.sessions.verify({ token: before })).reason, 'revoked')
    assert.notEqual(browser.jar['__Host-session'], before)
  })

  it('sends new tokens although the handler fails', async () => {
    const errors = []
    const browser = await loggedIn({ onError: (error) => { errors.push(error.message); return new Response('sorry', { status: 500 }) } })
    const used = browser.jar['__Host-refresh']
    delete browser.jar['__Host-session']
    assert.equal((await browser.visit('GET', '/fail')).status, 500)
    assert.deepEqual(errors, ['the handler failed'])
    assert.notEqual(browser.jar['__Host-refresh'], used)
    assert.equal((await browser.visit()).text, `hello ${browser.userId}`)
  })

  it('counts by the database\'s clock, whatever this machine\'s says', async (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 3_600_000 })
    const ahead = await loggedIn()
    assert.match(ahead.lines[1], /Max-Age=(3599|360[01])$/)
    assert.equal((await ahead.visit()).text, `hello ${ahead.userId}`)
    t.mock.timers.setTime(Date.now() - 7_200_000)
    const behind = await loggedIn()
    assert.match(behind.lines[1], /Max-Age=(3599|360[01])$/)
    assert.equal((await behind.visit()).text, `hello ${behind.userId}`)
  })

  it('makes no session when the answer is made', async () => {
    let visit
    await withSessions(server, (_, its) => { visit = its; return new Response('done') })(new Request(ORIGIN))
    const userId = newUser()
    await rejects(visit.logIn({ userId }), 'INVALID_ARGUMENT')
    assert.equal((await server.sessions.list({ identifier: userId })).total, 0)
  })

  it('can end with the browser', async () => {
    const browser = await loggedIn({ persistent: false })
    assert.ok(browser.lines.every((line) => !line.includes('Max-Age')))
  })

  it('warns when the access token does not fit into a cookie, and works without it', async () => {
    const warnings = []
    const browser = open({ warn: (message) => warnings.push(message) })
    const user = newUser()
    await browser.visit('POST', `/login?user=${user}&note=${'x'.repeat(1500)}`)
    assert.deepEqual(warnings, [])
    await browser.visit('POST', `/login?user=${user}&note=${'x'.repeat(2500)}`)
    assert.equal(warnings.length, 1)
    assert.match(warnings[0], /does not fit into a cookie of 4096/)
    assert.deepEqual(Object.keys(browser.jar), ['__Host-refresh'])
    assert.equal((await browser.visit()).text, `hello ${user}`)
  })

  it('shows no token where a session is printed', async () => {
    const { inspect } = await import('node:util')
    const visit = await openVisit(server, new Request(ORIGIN))
    const session = await visit.logIn({ userId: newUser() })
    for (const shown of [inspect(session, { depth: 9, showHidden: true }), JSON.stringify(session), inspect(visit, { depth: 9 }), JSON.stringify({ ...visit })]) {
      assert.doesNotMatch(shown, SECRET)
    }
    assert.match(session.token, /^eyJ/)
  })

  it('needs a client that says where sessions belong', async () => {
    for (const name of Object.keys(place)) {
      const lost = client('web_login', { [name]: undefined })
      assert.throws(() => withSessions(lost, application), new RegExp(`INVALID_ARGUMENT.* ${name}$`))
      assert.throws(() => sessions(lost), new RegExp(`INVALID_ARGUMENT.* ${name}$`))
    }
  })

  it('has a page of devices', async () => {
    const here = await loggedIn()
    const devices = [here]
    for (const agent of ['phone', 'tablet']) {
      const other = open()
      await other.visit('POST', `/login?user=${here.userId}`, { 'user-agent': agent })
      devices.push(other)
    }
    const visit = await openVisit(server, new Request(ORIGIN, { headers: { cookie: `__Host-session=${here.jar['__Host-session']}` } }))
    const listed = await visit.devices()
    assert.deepEqual(listed.map(({ userAgent, current }) => [userAgent, current]), [['tablet', false], ['phone', false], [null, true]])
    const stranger = await loggedIn()
    const { sessionId } = await server.sessions.verify({ token: stranger.jar['__Host-session'] })
    assert.equal(await visit.logOutDevice(sessionId), false)
    assert.equal(await visit.logOutDevice('nonsense'), false)
    assert.equal(await visit.logOutDevice(listed[0].sessionId), true)
    assert.equal(await visit.logOutElsewhere(), 1)
    assert.equal((await stranger.visit()).text, `hello ${stranger.userId}`)
    assert.equal((await visit.devices()).length, 1)

    // Where the visit's own client may not make or list sessions.
    const web = await openVisit(client('web_client'), new Request(ORIGIN, { headers: { cookie: `__Host-session=${here.jar['__Host-session']}` } }))
    await rejects(web.devices(), 'PERMISSION_DENIED')
    assert.equal((await web.devices({ client: server, limit: 1 })).length, 1)
    assert.equal(await web.logOutDevice(sessionId, { client: server }), false)
    assert.equal(await web.logOutElsewhere({ client: server }), 0)
  })
})

describe('a request that another site caused', () => {
  const own = [
    ['POST', { 'sec-fetch-site': 'same-origin' }], ['POST', { 'sec-fetch-site': 'none' }], ['DELETE', { origin: ORIGIN }], ['GET', { 'sec-fetch-site': 'cross-site' }],
    ['POST', { origin: 'https://app.example.com', host: 'app.example.com' }], ['HEAD', {}],
  ]
  const foreign = [
    ['POST', { 'sec-fetch-site': 'cross-site' }], ['POST', { 'sec-fetch-site': 'same-site', origin: ORIGIN }], ['PUT', { origin: 'https://evil.example' }],
    ['PATCH', {}], ['POST', { origin: 'null' }], ['POST', { origin: 'https://app.example.com.evil.example' }], ['POST', { origin: 'nonsense' }],
    ['POST', { origin: 'https://app.example.com:8443' }],
  ]
  const handler = withSessions(server, application)
  const send = (method, headers) => handler({ method, url: `${ORIGIN}/`, headers: new Headers(headers) })

  it('is refused, whatever its cookies', async () => {
    for (const [method, headers] of own) assert.equal((await send(method, headers)).status, 200, JSON.stringify(headers))
    for (const [method, headers] of foreign) assert.equal((await send(method, headers)).status, 403, JSON.stringify(headers))
  })

  it('does not even refresh', async () => {
    const browser = await loggedIn()
    const response = await send('POST', { 'sec-fetch-site': 'cross-site', cookie: `__Host-refresh=${browser.jar['__Host-refresh']}` })
    assert.deepEqual([response.status, response.headers.getSetCookie()], [403, []])
  })

  it('passes from an origin that is named, or without the check', async () => {
    const named = withSessions(server, application, { origins: ['https://admin.example.com'] })
    const request = (origin) => ({ method: 'POST', url: `${ORIGIN}/`, headers: new Headers({ origin, 'sec-fetch-site': 'same-site' }) })
    assert.equal((await named(request('https://admin.example.com'))).status, 200)
    assert.equal((await named(request('https://other.example.com'))).status, 403)
    assert.equal((await withSessions(server, application, { csrf: false })(request('https://other.example.com'))).status, 200)
  })
})
