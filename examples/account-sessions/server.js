// The server of an application that embeds components: it creates account sessions for its users, and
// serves the components' data to whoever presents the client secret of one.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import express from 'express'
import pg from 'pg'

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

// --- The database. The role has access level `client`: what it may do, it may do by the API key.

const pool = new pg.Pool()
pool.on('error', (error) => console.error(`an idle connection failed: ${nameOf(error)}`))

async function inTransaction(work) {
  const client = await pool.connect()
  let broken
  try {
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    return result
  } catch (error) {
    // A connection that cannot even roll back is thrown away.
    await client.query('ROLLBACK').catch((failure) => { broken = failure })
    throw error
  } finally {
    client.release(broken)
  }
}

/** Creates an account session. The API key is in force until the end of the transaction, and no longer. */
function createSession(account, components) {
  return inTransaction(async (client) => {
    await client.query("SELECT set_config('dialstack_sessions.api_key', $1, true)", [apiKey])
    const { rows } = await client.query(
      `SELECT client_secret, expires_at
         FROM dialstack.account_session_create(account => $1, components => $2,
                                               expires_in => make_interval(secs => $3))`,
      [account, JSON.stringify(components), sessionSeconds])
    return rows[0]
  })
}

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
  if (asked === null || typeof asked !== 'object' || Array.isArray(asked)) return asked
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

/** `CREATE_FAILED: account must not be empty` → its code and its text; nothing for other errors. */
function coded(error) {
  const match = error instanceof pg.DatabaseError && /^([A-Z_]+): (.*)/s.exec(error.message)
  return match ? { code: match[1], text: match[2] } : {}
}

/** What may stand in a log: a code, but no text in which a value of somebody's could be quoted. */
function nameOf(error) {
  return [coded(error).code, error.code ?? error.name].filter(Boolean).join(' ')
}

/** What the browser may know. Of our own troubles (a revoked API key, a server that is down): nothing. */
function answerTo(error) {
  if (error instanceof HttpError) return error
  const { code, text } = coded(error)
  // What was asked for does not exist or makes no sense; the extension's texts repeat no secret.
  if (code === 'CREATE_FAILED' || code === 'SCOPE_NOT_FOUND') return new HttpError(400, 'invalid_request', text)
  // Values that PostgreSQL cannot even read (SQLSTATE class 22), bodies that Express cannot.
  if (error instanceof pg.DatabaseError && error.code?.startsWith('22')) {
    return new HttpError(400, 'invalid_request', 'The request has a value that is not allowed')
  }
  if (error.status >= 400 && error.status < 500) {
    return new HttpError(error.status, 'invalid_request', 'The request cannot be read')
  }
  return new HttpError(500, 'internal_error', 'The server failed')
}

// --- Who is logged in. STAND-IN: anybody may log in as any demo user, without a password. Replace this
// section by your own login; all that the rest needs of it is `req.user`.

const LOGIN_HOURS = 8
const loginKey = randomBytes(32) // a restart logs everybody out

const sign = (text) => createHmac('sha256', loginKey).update(text).digest()

function loginCookie(user) {
  const login = JSON.stringify({ user, until: Date.now() + LOGIN_HOURS * 3_600_000 })
  const text = Buffer.from(login).toString('base64url')
  return `${text}.${sign(text).toString('base64url')}`
}

function userOf(req) {
  const cookie = /(?:^|;\s*)login=([\w-]+)\.([\w-]+)/.exec(req.headers.cookie ?? '')
  if (!cookie) return undefined
  const given = Buffer.from(cookie[2], 'base64url')
  const right = sign(cookie[1])
  if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined
  const { user, until } = JSON.parse(Buffer.from(cookie[1], 'base64url'))
  return Date.now() < until ? user : undefined
}

function loggedIn(req, res, next) {
  req.user = userOf(req)
  if (req.user === undefined) throw new HttpError(401, 'not_logged_in', 'You are not logged in')
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

app.post('/demo/login', async (req, res) => {
  const user = req.body?.user
  const known = typeof user === 'string' &&
    (await pool.query('SELECT FROM phone_app.members WHERE user_id = $1 LIMIT 1', [user])).rowCount
  if (!known) throw new HttpError(401, 'not_logged_in', 'There is no such user')
  res.cookie('login', loginCookie(user),
    { httpOnly: true, sameSite: 'strict', secure: req.secure, maxAge: LOGIN_HOURS * 3_600_000 })
  res.json({ user })
})

app.post('/demo/logout', (req, res) => res.clearCookie('login').status(204).end())

app.post('/api/dialstack/session', loggedIn, async (req, res) => {
  const { accountId, components } = req.body ?? {}
  if (typeof accountId !== 'string') throw new HttpError(400, 'invalid_request', 'accountId must be a string')
  const granted = await grantedComponents(req.user, accountId)
  if (!granted) throw new HttpError(403, 'access_denied', 'You have no access to this account')
  const session = await createSession(accountId, narrowed(components, granted))
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
    const { rows } = await pool.query(
      `SELECT valid, reason, account
         FROM dialstack.session_verify($1, product => $2, env => $3, scope => $4)`,
      [token, product, env, component])
    const { valid, reason, account } = rows[0]
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
