// The two cookies of a session.

/** `__Host-`: only this very host can set them, over HTTPS (or on localhost), for all of its paths. */
export const ACCESS = '__Host-session'
export const REFRESH = '__Host-refresh'

const ATTRIBUTES = 'Path=/; HttpOnly; Secure; SameSite=Lax'
/** Browsers drop a cookie whose name and value are longer, and say nothing. */
export const COOKIE_LIMIT = 4096

export const setCookie = (name: string, value: string, maxAge?: number) =>
  `${name}=${value}; ${ATTRIBUTES}${maxAge === undefined ? '' : `; Max-Age=${Math.max(0, Math.floor(maxAge))}`}`
export const clearCookie = (name: string) => setCookie(name, '', 0)
export const fits = (name: string, value: string) => name.length + 1 + value.length <= COOKIE_LIMIT

/** The values that a request has of a cookie. A browser sends one; two that differ were planted by somebody. */
export function cookieValues(header: string | null, name: string): string[] {
  const values = (header ?? '').split(';').flatMap((pair) => {
    const at = pair.indexOf('=')
    return at > 0 && pair.slice(0, at).trim() === name ? [pair.slice(at + 1).trim().replace(/^"(.*)"$/, '$1')] : []
  })
  return [...new Set(values)]
}

/** The moment at which a token was made, by the clock of the database: how far off this machine's is does not matter. */
export function issuedAt(token: string): number {
  try {
    const { iat } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { iat?: unknown }
    if (typeof iat === 'number') return iat * 1000
  } catch {
    // Not a token as we know it: this machine's clock has to do.
  }
  return Date.now()
}
