/** The middleware for Express 5. */

import { needPlace, type DialstackSessions } from '../client.js'
import { isAway } from '../error.js'
import type { Data } from '../types.js'
import { openVisit, type Session, type Visit, type WebOptions } from './index.js'

declare global {
  namespace Express {
    interface Request {
      /** The session of the request, or null if nobody is logged in. */
      session: Session<any> | null
      /** Logs in and out. */
      visit: Visit<any>
    }
  }
}

interface ExpressRequest {
  method: string
  headers: Record<string, string | string[] | undefined>
  ip?: string | undefined
}
interface ExpressResponse {
  getHeader(name: string): number | string | string[] | undefined
  readonly headersSent: boolean
  setHeader(name: string, value: string | string[]): unknown
  status(code: number): { type(type: string): { send(body: string): unknown } }
}

/**
 * `app.use(sessions(client))` sets `req.session` and `req.visit`. Behind a proxy, set Express's `trust proxy`, from which
 * `req.ip` follows. Mount it after static files, which need no session.
 */
export function sessions<D = Data>(client: DialstackSessions<any>, options: WebOptions = {}) {
  needPlace(client)
  return async (req: ExpressRequest, res: ExpressResponse, next: (error?: unknown) => void): Promise<void> => {
    const headers = new Headers()
    for (const name of ['cookie', 'host', 'origin', 'sec-fetch-site', 'user-agent']) {
      const value = req.headers[name]
      // Node joins what must stand once; bytes that no header of ours can have are as good as none.
      if (typeof value === 'string' && isHeader(value)) headers.set(name, value)
    }
    let visit: Visit<D>
    try {
      visit = await openVisit<D>(client, { method: req.method, headers }, { ...options, ip: req.ip ?? null })
    } catch (error) {
      // The status is for Express's own error handler.
      return next(isAway(error) ? Object.assign(error as object, { status: 503 }) : error)
    }
    if (!visit.isOwn) {
      res.status(403).type('text/plain').send('Forbidden')
      return
    }
    Object.defineProperty(req, 'session', { get: () => visit.session, configurable: true, enumerable: true })
    Object.assign(req, { visit })
    let ours: string[] = []
    visit.onCookies((cookies) => {
      // What others have set stays; of ours the last word counts.
      const others = lines(res.getHeader('Set-Cookie')).filter((line) => !ours.includes(line))
      ours = cookies
      res.setHeader('Set-Cookie', [...others, ...ours])
      res.setHeader('Cache-Control', 'no-store')
    }, () => res.headersSent)
    next()
  }
}

const lines = (value: number | string | string[] | undefined): string[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [String(value)]

function isHeader(value: string): boolean {
  // The bytes that Headers takes.
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
}
