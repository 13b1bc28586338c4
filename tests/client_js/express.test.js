// The middleware for Express 5.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import express from 'express'
import { sessions } from 'dialstack-sessions/express'
import { client, newUser, poolOf } from './support.js'

const login = client('web_login')
const app = express()
app.set('trust proxy', 'loopback')
app.use((req, res, next) => { res.cookie('theme', 'dark'); next() })
app.use(sessions(login))
app.post('/login', async (req, res) => {
  const session = await req.visit.logIn({ userId: req.query.user, role: 'reader' })
  res.send(session.identifier)
})
app.get('/me', (req, res) => res.json(req.session && { identifier: req.session.identifier, data: req.session.data }))
app.post('/logout', async (req, res) => {
  await req.session?.revoke()
  res.json({ session: req.session })
})
app.get('/notes', async (req, res) => {
  res.json(await client('web_client').withToken(req.session?.token, async (db) => (await db.query('SELECT text FROM notes ORDER BY 1')).rows))
})
app.post('/late', async (req, res) => {
  res.write('begun; ')
  const said = await req.visit.logIn({ userId: req.query.user }).catch((error) => error.message)
  await req.visit.logOut()
  res.end(`${said}; ${req.session}`)
})
app.get('/fail', () => { throw new Error('the route failed') })
app.use((error, req, res, next) => res.status(500).send(error.code ?? error.message))

let server, url
before(async () => {
  server = await new Promise((ready) => { const s = app.listen(0, '127.0.0.1', () => ready(s)) })
  url = `http://127.0.0.1:${server.address().port}`
})
after(() => server.close())

async function send(method, path, { cookie, ...headers } = {}) {
  const response = await fetch(url + path, { method, headers: { 'sec-fetch-site': 'same-origin', ...(cookie && { cookie }), ...headers } })
  const lines = response.headers.getSetCookie()
  const text = await response.text()
  return { status: response.status, text, lines, cookie: lines.filter((line) => !/Max-Age=0/.test(line)).map((line) => line.split(';')[0]).join('; ') }
}
const refreshOnly = (cookie) => cookie.split('; ').find((pair) => pair.startsWith('__Host-refresh='))

describe('Express', () => {
  it('has req.session, with data, identifier and revoke()', async () => {
    assert.equal((await send('GET', '/me')).text, 'null')
    const user = newUser()
    const { text, cookie, lines } = await send('POST', `/login?user=${user}`, { 'x-forwarded-for': '192.0.2.33' })
    assert.deepEqual([text, lines.length], [user, 3])
    assert.deepEqual(JSON.parse((await send('GET', '/me', { cookie })).text), { identifier: user, data: { userId: user, role: 'reader' } })
    assert.equal((await login.sessions.list({ identifier: user })).sessions[0].ip, '192.0.2.33')
    const out = await send('POST', '/logout', { cookie })
    assert.deepEqual([out.text, out.cookie], ['{"session":null}', 'theme=dark'])
    assert.equal((await send('GET', '/me', { cookie })).text, 'null')
  })

  it('refreshes, keeps cookies of others, and sends the new ones with an error as well', async () => {
    const { cookie } = await send('POST', '/login?user=ada')
    const page = await send('GET', '/me', { cookie: refreshOnly(cookie) })
    assert.equal(JSON.parse(page.text).identifier, 'ada')
    assert.deepEqual(page.lines.map((line) => line.split('=')[0]), ['theme', '__Host-session', '__Host-refresh'])
    const failed = await send('GET', '/fail', { cookie: refreshOnly(page.cookie) })
    assert.deepEqual([failed.status, failed.text, failed.lines.length], [500, 'the route failed', 3])
    assert.equal(JSON.parse((await send('GET', '/me', { cookie: failed.cookie })).text).identifier, 'ada')
  })

  it('shows the rows of the session alone', async () => {
    const { cookie } = await send('POST', '/login?user=ada')
    assert.deepEqual(JSON.parse((await send('GET', '/notes', { cookie })).text), [{ text: 'of Ada' }])
    assert.deepEqual(JSON.parse((await send('GET', '/notes')).text), [])
  })

  it('makes no session when the response has begun, and still ends one', async () => {
    const user = newUser()
    const { cookie } = await send('POST', `/login?user=${user}`)
    const other = newUser()
    const late = await send('POST', `/late?user=${other}`, { cookie })
    assert.match(late.text, /^begun; INVALID_ARGUMENT: the log-in comes too late.*; null$/)
    assert.deepEqual([late.status, late.lines.length], [200, 1])
    assert.equal((await login.sessions.list({ identifier: other })).total, 0)
    assert.equal((await login.sessions.list({ identifier: user })).total, 0)
  })

  it('refuses requests that other sites cause', async () => {
    assert.equal((await send('POST', '/login?user=ada', { 'sec-fetch-site': 'cross-site' })).status, 403)
  })

  it('gives trouble of the database to the error handler', async () => {
    const away = express().use(sessions(client('web_login', { pool: poolOf('web_login', { host: '127.0.0.1', port: 1 }) })))
    away.use((error, req, res, next) => res.status(error.status).send(error.code))
    const other = await new Promise((ready) => { const s = away.listen(0, '127.0.0.1', () => ready(s)) })
    try {
      const response = await fetch(`http://127.0.0.1:${other.address().port}/`, { headers: { cookie: '__Host-session=eyJ' } })
      assert.deepEqual([response.status, await response.text()], [503, 'CONNECTION_FAILED'])
    } finally {
      other.close()
    }
  })
})
