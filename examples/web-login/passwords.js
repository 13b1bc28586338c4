// Passwords, as scrypt hashes.

import { randomBytes, scrypt as scryptCallback, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const scrypt = promisify(scryptCallback)
const COST = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 2 ** 20 }
const hash = (password, salt) => scrypt(password.normalize('NFKC'), salt, 32, COST)

/** What is stored of a password. */
export async function protect(password) {
  const salt = randomBytes(16)
  return `${salt.toString('base64url')}.${(await hash(password, salt)).toString('base64url')}`
}

// For a user who does not exist, so that the answer takes as long.
const NOBODY = await protect(randomBytes(16).toString('hex'))

/** Whether a password is the one of which `stored` was made. */
export async function matches(password, stored) {
  const [salt, right] = (stored ?? NOBODY).split('.').map((part) => Buffer.from(part, 'base64url'))
  return timingSafeEqual(await hash(password, salt), right) && stored !== undefined
}
