// The server of an application that embeds components: it creates account sessions for its users, and
// serves the components' data to whoever presents the client secret of one.

import { fileURLToPath } from 'node:url'
import express from 'express'
import pg from 'pg'
import { DialstackSessions, SessionError } from 'dialstack-sessions'
import { sessions } from 'dialstack-sessions/express'

// --- Settings. The database is taken from PGHOST, PGPORT, PGUSER and so on.

function refuse(message) {
  console.error(message)
  process.exit(2)
}

const required = (name) => process.env[name] || refuse(`${name} is not set: see README.md`)

const apiKey = required('DIALSTACK_API_KEY')
const product = required('DIALSTACK_PRODUCT')
const env = required('DIALSTACK_ENV')
const sessionSeconds = Number(process.env.SESSION_SECONDS ?? 3600)
const port = Number(process.env.PORT ?? 3000)
if (!(sessionSeconds > 0)) refuse('SESSION_SECONDS must be a positive number')

// --- The database. The role has access level `client`: what it may do, it may do by the API key, which the client presents
// in a transaction of its own. Another role, of level `server`, logs users in.

const pool = new pg.Pool()
const dialstack = new DialstackSessions({ pool, product, env, apiKey })
const loginPool = new pg.Pool({ user: process.env.DIALSTACK_LOGIN_USER ?? 'phone_app_login' })
const login = new DialstackSessions({ pool: loginPool, product, env, tag: 'login' })
for (const each of [pool, loginPool]) each.on('error', (error) => console.error(`an idle connection failed: ${nameOf(error)}`))

/** The components of the account that the user may see; undefined if the account is not theirs. */
async function grantedComponents(user, account) {
  const { rows } = await pool.query(
    'SELECT components FROM phone_app.members WHERE user_id = $1 AND account_id = $2', [user, account])
  return rows[0]?.components
}

/**
 * What the browser asks for, less what was not granted. Asking for nothing in particular means all that
 * was granted. Whether the names and the form are right is for PostgreSQL to say.
 */
function narrowed(asked, granted) {
  if (asked === undefined) return Object.fromEntries(granted.map((name) => [name, { enabled: true }]))
  if (typeof asked !== 'object' || Array.isArray(asked)) return asked
  return Object.fromEntries(Object.entries(asked).map(([name, wish]) =>
    [name, granted.includes(name) ? wish : { enabled: false }]))
}

// --- Errors, as JSON: `error` for people, `code` for programs.

class HttpError extends Error {
  constructor(status, code, message) {
    super(message)
    Object.assign(this, { status, code })
  }
}

/** What may stand in a log: a code, but no text in which a value of somebody's could be quoted. */
function nameOf(error) {
  const own = error instanceof SessionError ? error.code : error instanceof pg.DatabaseError && /^[A-Z_]+(?=: )/.exec(error.message)?.[0]
  return [own, error instanceof SessionError ? error.sqlstate : error.code].filter(Boolean).join(' ') || error.name
}

/** What the browser may know. Of our own troubles (a revoked API key, a server that is down): nothing. */
function answerTo(error) {
  if (error instanceof HttpError) return error
  // What was asked for does not exist or makes no sense; the extension's texts repeat no secret.
  if (error.code === 'CREATE_FAILED' || error.code === 'SCOPE_NOT_FOUND') {
    return new HttpError(400, 'invalid_request', error.message.slice(error.code.length + 2))
  }
  // Values that PostgreSQL cannot even read (SQLSTATE class 22), bodies that Express cannot.
  if (error.code === 'INVALID_ARGUMENT' || (error instanceof pg.DatabaseError && error.code?.startsWith('22'))) {
    return new HttpError(400, 'invalid_request', 'The request has a value that is not allowed')
  }
  if (error.status >= 400 && error.status < 500) {
    return new HttpError(error.status, 'invalid_request', 'The request cannot be read')
  }
  return new HttpError(500, 'internal_error', 'The server failed')
}

// --- Who is logged in: `req.session`. STAND-IN: anybody may log in as any demo user, without a password. examples/web-login
// has a log-in that checks one.

function loggedIn(req, res, next) {
  if (!req.session) throw new HttpError(401, 'not_logged_in', 'You are not logged in')
  next()
}

// --- The application.

const app = express()
app.disable('x-powered-by').disable('etag')
app.use((req, res, next) => {
  res.set({
    'Content-Security-Policy': "default-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
  })
  if (!req.path.startsWith('/api/') && !req.path.startsWith('/demo/')) return next()
  res.set('Cache-Control', 'no-store')
  next()
})
app.use(express.static(fileURLToPath(new URL('public', import.meta.url))))
// Only application/json: a form on somebody else's page cannot send that.
app.use(express.json({ limit: '10kb' }))
// Not for the components' data: who reads that presents a client secret.
app.use(['/demo', '/api/dialstack'], sessions(login))

app.post('/demo/login', async (req, res) => {
  const user = req.body?.user
  const known = typeof user === 'string' &&
    (await pool.query('SELECT FROM phone_app.members WHERE user_id = $1 LIMIT 1', [user])).rowCount
  if (!known) throw new HttpError(401, 'not_logged_in', 'There is no such user')
  await req.visit.logIn({ userId: user })
  res.json({ user })
})

app.post('/demo/logout', async (req, res) => {
  await req.visit.logOut()
  res.status(204).end()
})

app.post('/api/dialstack/session', loggedIn, async (req, res) => {
  const { accountId, components } = req.body ?? {}
  if (typeof accountId !== 'string') throw new HttpError(400, 'invalid_request', 'accountId must be a string')
  // To the client null means "not given", which would be all components.
  if (components === null) throw new HttpError(400, 'invalid_request', 'components must be an object')
  const granted = await grantedComponents(req.session.identifier, accountId)
  if (!granted) throw new HttpError(403, 'access_denied', 'You have no access to this account')
  const session = await dialstack.accountSessions.create({
    account: accountId, components: narrowed(components, granted), expires_in: sessionSeconds,
  })
  res.json({ client_secret: session.client_secret, expires_at: session.expires_at })
})

const REFUSALS = {
  missing: 'The request has no client secret',
  expired: 'The session has expired',
  revoked: 'The session was revoked',
  mismatch: 'The session belongs to another product or environment',
  scope_disabled: 'The session does not include this component',
}

/**
 * Lets a request pass whose bearer token is the client secret of a living session with the component.
 * Naming product and environment matters: another product's account may have the same id.
 */
function sessionWith(component) {
  return async (req, res, next) => {
    const token = /^Bearer ([\w-]+)$/i.exec(req.get('Authorization') ?? '')?.[1]
    const { valid, reason, account } = await dialstack.sessions.verify({ token, scope: component })
    if (!valid) {
      const [status, error] = reason === 'scope_disabled' ? [403, 'insufficient_scope'] : [401, 'invalid_token']
      res.set('WWW-Authenticate', `Bearer error="${error}"`)
      throw new HttpError(status, reason, REFUSALS[reason] ?? 'The session is not valid')
    }
    req.account = account
    next()
  }
}

app.get('/api/call_logs', sessionWith('call_logs'), async (req, res) => {
  const { rows } = await pool.query(
    'SELECT at, direction, number, seconds FROM phone_app.call_logs WHERE account_id = $1 ORDER BY at DESC LIMIT 100',
    [req.account])
  res.json({ call_logs: rows })
})

app.get('/api/voicemails', sessionWith('voicemails'), async (req, res) => {
  const { rows } = await pool.query(
    'SELECT at, number, seconds, transcript FROM phone_app.voicemails WHERE account_id = $1 ORDER BY at DESC LIMIT 100',
    [req.account])
  res.json({ voicemails: rows })
})

app.use((req) => { throw new HttpError(404, 'not_found', 'There is nothing here') })

app.use((error, req, res, next) => {
  const { status, code, message } = answerTo(error)
  if (status >= 500) console.error(`${req.method} ${req.path} failed: ${nameOf(error)}`)
  if (res.headersSent) return next(error)
  res.status(status).json({ error: message, code })
})

const server = app.listen(port, '127.0.0.1', (error) => {
  if (error) throw error
  console.log(`listening on http://127.0.0.1:${server.address().port}`)
})
