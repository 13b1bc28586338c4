// A web application: sign up, log in, notes that only their owner sees, devices, a password that can be changed.

import { fileURLToPath } from 'node:url'
import express from 'express'
import pg from 'pg'
import { DialstackSessions, SessionError } from 'dialstack-sessions'
import { sessions } from 'dialstack-sessions/express'
import * as pages from './pages.js'
import { matches, protect } from './passwords.js'

const { LOGIN_USER = 'notes_login', WEB_USER = 'notes_web', PORT = '3000' } = process.env
const place = { product: 'notes-app', env: 'production', tag: 'web' }

// --- Two pools, of two roles. The first logs in and out; all else runs with the second, which can do nothing without the
// token of a session, and with it sees the rows of that session. An SQL injection there finds no more than that.

const loginPool = new pg.Pool({ user: LOGIN_USER })
const login = new DialstackSessions({ pool: loginPool, ...place })
const web = new DialstackSessions({ pool: new pg.Pool({ user: WEB_USER }), ...place })

/** Without "remember me" a session ends twelve hours after it was last refreshed. */
const BRIEF = { sessionExpiresIn: '12 hours' }

/** Rows of the session's own. */
const query = (req, text, values) => web.withToken(req.session.token, async (db) => (await db.query(text, values)).rows)
/** The users, which only the first role reads. */
const users = async (text, values) => (await loginPool.query(text, values)).rows

const app = express()
app.disable('x-powered-by').disable('etag')
app.use((req, res, next) => {
  res.set({
    'Content-Security-Policy': "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    'Referrer-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
  })
  next()
})
app.use(express.static(fileURLToPath(new URL('public', import.meta.url))))
app.use(express.urlencoded({ extended: false, limit: '10kb' }))
app.use(sessions(login))

/** A field of a form: a text, never a list. */
const text = (req, name) => (typeof req.body?.[name] === 'string' ? req.body[name] : '')
const loggedIn = (req, res, next) => (req.session ? next() : res.status(401).send(pages.welcome(req.visit)))

// --- Sign up, log in, log out.

app.post('/signup', async (req, res) => {
  const [name, password] = [text(req, 'name'), text(req, 'password')]
  if (password.length < 8) return res.status(400).send(pages.welcome({ message: 'The password needs eight characters.' }))
  try {
    const [user] = await users('INSERT INTO notes_app.users (name, password) VALUES ($1, $2) RETURNING user_id', [name, await protect(password)])
    await req.visit.logIn({ userId: user.user_id, name }, BRIEF)
  } catch (error) {
    // 23505: somebody has it. 23514, 22021: no name.
    if (!['23505', '23514', '22021'].includes(error.code)) throw error
    return res.status(400).send(pages.welcome({ message: 'This name cannot be had.' }))
  }
  res.redirect(303, '/')
})

app.post('/login', async (req, res) => {
  const name = text(req, 'name')
  const find = async () => (/^[a-z0-9]{1,30}$/.test(name) ? await users('SELECT user_id, password FROM notes_app.users WHERE name = $1', [name]) : [])[0]
  const refuse = () => res.status(401).send(pages.welcome({ message: 'Name or password is wrong.' }))
  const user = await find()
  if (!(await matches(text(req, 'password'), user?.password))) return refuse()
  await req.visit.logIn({ userId: user.user_id, name }, text(req, 'remember') ? {} : BRIEF)
  // A password that was changed while this one was checked has ended the sessions that there were by then, not this one.
  if ((await find())?.password !== user.password) {
    await req.visit.logOut()
    return refuse()
  }
  res.redirect(303, '/')
})

app.post('/logout', async (req, res) => {
  await req.visit.logOut()
  res.redirect(303, '/')
})

// --- Notes.

app.get('/', async (req, res) => {
  if (!req.session) return res.send(pages.welcome(req.visit))
  res.send(pages.notes({ session: req.session, rows: await query(req, 'SELECT note_id, text FROM notes_app.notes ORDER BY note_id') }))
})

app.post('/notes', loggedIn, async (req, res) => {
  // Whose it is, the database says.
  await query(req, 'INSERT INTO notes_app.notes (text) VALUES ($1)', [text(req, 'text')])
  res.redirect(303, '/')
})

app.post('/notes/:id/delete', loggedIn, async (req, res) => {
  await query(req, 'DELETE FROM notes_app.notes WHERE note_id = $1', [req.params.id])
  res.redirect(303, '/')
})

// --- Devices.

app.get('/devices', loggedIn, async (req, res) => {
  res.send(pages.devices({ session: req.session, rows: await req.visit.devices() }))
})

app.post('/devices/end-others', loggedIn, async (req, res) => {
  await req.visit.logOutElsewhere()
  res.redirect(303, '/devices')
})

app.post('/devices/:id/end', loggedIn, async (req, res) => {
  await req.visit.logOutDevice(req.params.id)
  res.redirect(303, req.session ? '/devices' : '/')
})

// --- The password. A trigger on the table of users ends all sessions of the user, this one too: so a new one begins.

app.get('/password', loggedIn, (req, res) => res.send(pages.password({ session: req.session })))

app.post('/password', loggedIn, async (req, res) => {
  const { identifier, data } = req.session
  const [user] = await users('SELECT password FROM notes_app.users WHERE user_id = $1', [identifier])
  const refuse = (status, message) => res.status(status).send(pages.password({ session: req.session, message }))
  if (!(await matches(text(req, 'old'), user?.password))) return refuse(403, 'The old password is wrong.')
  if (text(req, 'new').length < 8) return refuse(400, 'The password needs eight characters.')
  await users('UPDATE notes_app.users SET password = $2 WHERE user_id = $1', [identifier, await protect(text(req, 'new'))])
  await req.visit.logIn(data, BRIEF)
  res.redirect(303, '/devices')
})

app.use((error, req, res, next) => {
  // The session ended while the request was under way.
  if (error.code === 'VERIFY_FAILED' && !res.headersSent) return res.redirect(303, '/')
  // Values that PostgreSQL refuses (classes 22 and 23), bodies that Express cannot read.
  const isTheirs = /^2[23]/.test(error.code) || (error.status >= 400 && error.status < 500)
  // The code alone: a text could quote what somebody has typed.
  if (!isTheirs) console.error(`${req.method} ${req.path} failed: ${error instanceof SessionError ? error.message : error.code ?? error.name}`)
  if (res.headersSent) return next(error)
  res.status(isTheirs ? 400 : 500).type('text/plain').send(isTheirs ? 'The request makes no sense' : 'The server failed')
})

const server = app.listen(Number(PORT), '127.0.0.1', (error) => {
  if (error) throw error
  console.log(`listening on http://127.0.0.1:${server.address().port}`)
})
