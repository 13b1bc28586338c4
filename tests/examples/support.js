// What the tests share: the database as its administrator, servers of the example, and their callers.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { after } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'

const work = process.env.DSS_WORK

/** A token or key of any family, wherever it stands. */
export const SECRET = /\b(sk|pk|cs|cst|rt)_(live|test)_[\w-]{20,}/

/** The database's administrator: looks, and changes what happens behind the server's back. */
export const admin = new pg.Client({ user: process.env.DSS_ADMIN })
await admin.connect()
after(() => admin.end())

export async function query(text, values) {
  return (await admin.query(text, values)).rows
}

export async function countSessions() {
  const [{ count }] = await query('SELECT count(*)::int FROM dialstack.sessions')
  return count
}

await query('CREATE TABLE IF NOT EXISTS public.members_at_first AS TABLE phone_app.members')

/** Gives everybody the access back that setup.sql gave. */
export async function restoreMembers() {
  await query('TRUNCATE phone_app.members')
  await query('INSERT INTO phone_app.members TABLE public.members_at_first')
}

/** Revokes every session of an account. */
export function revokeSessions(account) {
  return query(
    `SELECT dialstack.session_revoke(session_id => session_id) FROM dialstack.sessions
      WHERE definition_id IS NULL AND subject = $1 AND revoked_at IS NULL`, [account])
}

const servers = []

/** Starts an example's server, on a port of its own, with nothing in its environment that it does not need. */
export async function startServer(settings = {}, example = 'account-sessions') {
  const env = { PORT: '0', ...settings }
  for (const name of Object.keys(process.env)) {
    if (name === 'PATH' || name === 'LD_LIBRARY_PATH' || /^(PG(?!PASSWORD)|DIALSTACK_|LOGIN_USER$|WEB_USER$)/.test(name)) env[name] ??= process.env[name]
  }
  const child = spawn(process.execPath, ['server.js'], { cwd: `${work}/examples/${example}`, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const server = { output: '', stop: () => child.kill() }
  servers.push(server)
  server.url = await new Promise((resolve, reject) => {
    const read = (chunk) => {
      server.output += chunk
      const url = /^listening on (\S+)$/m.exec(server.output)?.[1]
      if (url) resolve(url)
    }
    child.stdout.setEncoding('utf8').on('data', read)
    child.stderr.setEncoding('utf8').on('data', read)
    child.on('exit', (status) => reject(new Error(`the server ended with ${status}: ${server.output}`)))
  })
  return server
}

const stopServers = () => servers.forEach((server) => server.stop())
after(stopServers)
process.on('exit', stopServers)
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(1))

/** Everything that this process's servers and the database have logged. */
export function logs() {
  return { servers: servers.map((server) => server.output).join(''), database: readFileSync(process.env.DSS_LOG, 'utf8') }
}

/** Somebody who calls the server without a browser. */
export class Caller {
  constructor(server, headers = {}) {
    this.server = server
    // As a browser says that no other site is behind it.
    this.headers = { 'Sec-Fetch-Site': 'same-origin', ...headers }
  }

  /** Sends JSON, or a string as it is, and resolves to `{ status, headers, body }`. */
  async post(path, body, headers = {}) {
    return this.#send(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  }

  get(path, headers = {}) {
    return this.#send(path, { headers })
  }

  async #send(path, options) {
    const response = await fetch(this.server.url + path, { ...options, headers: { ...this.headers, ...options.headers } })
    return { status: response.status, headers: response.headers, body: await response.json() }
  }
}

/** Somebody who has logged in. */
export async function loggedIn(server, user) {
  const { status, headers, body } = await new Caller(server).post('/demo/login', { user })
  assert.deepEqual([status, body], [200, { user }])
  return new Caller(server, { Cookie: headers.getSetCookie().map((line) => line.split(';')[0]).join('; ') })
}

/** Somebody who holds a client secret and nothing else. */
export const holderOf = (server, secret) => new Caller(server, { Authorization: `Bearer ${secret}` })

/** Waits until `condition` resolves to something true, and returns it. */
export async function until(condition, what) {
  const end = Date.now() + 20_000
  for (;;) {
    const result = await condition()
    if (result) return result
    if (Date.now() > end) throw new Error(`never came: ${what}`)
    await pause(100)
  }
}
