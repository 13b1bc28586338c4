// What the tests share: pools of the three roles, clients, and what must never be seen.

import assert from 'node:assert/strict'
import { after } from 'node:test'
import pg from 'pg'
import { DialstackSessions } from 'dialstack-sessions'

/** A token or key of any family, wherever it stands. */
export const SECRET = /\b(sk|pk|cs|cst|rt)_(live|test)_[\w-]{20,}|\beyJ[\w-]{10,}\./

/** Through PgBouncer in the second run. */
export const host = process.env.DSS_VIA === 'pgbouncer' ? process.env.DSS_POOLER : process.env.PGHOST

const pools = []
after(() => Promise.all(pools.map((pool) => pool.ended || pool.end())))

export function poolOf(user, settings = {}) {
  const pool = new pg.Pool({ user, host, ...settings })
  // A test that ends connections means to.
  pool.on('error', () => {})
  pools.push(pool)
  return pool
}

export const place = { product: 'my-product', env: 'production', tag: 'user-session' }
export const client = (user, options = {}) => new DialstackSessions({ pool: poolOf(user), ...place, ...options })

export const admin = poolOf('postgres', { host: process.env.PGHOST })
export const query = async (text, values) => (await admin.query(text, values)).rows

/** An API key of the product's production. */
export async function apiKey(kind = 'secret') {
  const [row] = await query("SELECT api_key FROM dialstack.api_key_create('my-product', 'production', $1)", [kind])
  return row.api_key
}

/** Asserts that a call fails with this code, and that nothing of the error holds a secret. */
export async function rejects(promise, code) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.name, 'SessionError', `${error.stack}`)
    assert.equal(error.code, code, error.message)
    assertSafe(error)
    return true
  })
}

/** Asserts that nothing that one prints of an error shows a secret. */
export function assertSafe(error) {
  const shown = [error.message, error.stack, JSON.stringify({ ...error }), String(error.cause ?? '')].join('\n')
  assert.doesNotMatch(shown, SECRET)
}

let number = 0
/** A user of a test's own. */
export const newUser = () => `user_${process.pid}_${++number}`
