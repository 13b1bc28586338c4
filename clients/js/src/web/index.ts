/** Sessions in cookies, without a framework: on `Request` and `Response`. */

import { needPlace, type DialstackSessions } from '../client.js'
import { isAway, SessionError } from '../error.js'
import type { CreateArgs, CreatedSession, Data, ListedSession, Reason } from '../types.js'
import { ACCESS, clearCookie, COOKIE_LIMIT, cookieValues, fits, issuedAt, REFRESH, setCookie } from './cookies.js'
import { isOwnRequest } from './csrf.js'

export interface WebOptions {
  /** False leaves the check against forged requests to the application. */
  csrf?: boolean
  /** Origins besides the request's own host that may cause requests: `https://app.example.com`. */
  origins?: string[]
  /** False: the session ends with the browser, however long it would live. */
  persistent?: boolean
  /** Is given what an operator should know. `process.emitWarning` if not given. */
  warn?: (message: string) => void
}

/** What is needed of a request: a `Request` has it. */
export interface WebRequest {
  method: string
  headers: Headers
  url?: string
}

/** Who asks for what needs level `server`, where the visit's own client has less. */
export interface ByClient {
  client?: DialstackSessions<any>
}

/** How long the tokens and the session live. */
export interface LogInOptions extends ByClient, Pick<CreateArgs, 'expiresIn' | 'sessionExpiresIn'> {}

/** The session of a request. Its tokens are in no property that is printed or becomes JSON. */
export class Session<D = Data> {
  readonly #token: string
  readonly #end: () => Promise<void>

  constructor(readonly sessionId: string, readonly identifier: string, readonly data: D, readonly expiresAt: Date, token: string, end: () => Promise<void>) {
    this.#token = token
    this.#end = end
  }

  /** The access token, for `client.withToken()`. */
  get token(): string {
    return this.#token
  }

  /** Logs out: ends the session and clears the cookies. */
  revoke(): Promise<void> {
    return this.#end()
  }
}

/** A request and what its answer must carry. */
export class Visit<D = Data> {
  /** The session, or null if nobody is logged in. */
  session: Session<D> | null = null
  /** Why nobody is logged in; `missing` without any cookie. */
  reason: Reason | null = 'missing'
  /** False if another site may have caused the request: answer 403 and do nothing. */
  readonly isOwn: boolean

  readonly #client: DialstackSessions<any>
  readonly #options: WebOptions
  readonly #where: { ip: string | null; userAgent: string | null }
  #tokens: { access: string | undefined; refresh: string | undefined } = { access: undefined, refresh: undefined }
  #cookies: string[] = []
  #changed: (cookies: string[]) => void = () => {}
  #isSent: () => boolean = () => false

  constructor(client: DialstackSessions<any>, options: WebOptions, request: WebRequest, ip: string | null) {
    this.#client = client
    this.#options = options
    this.#where = { ip, userAgent: request.headers.get('user-agent') }
    this.isOwn = options.csrf === false || isOwnRequest(request, options.origins)
  }

  /** The `Set-Cookie` lines that the answer must carry. */
  get cookies(): readonly string[] {
    return this.#cookies
  }

  /** Calls `listener` now and whenever the cookies change. Where `isSent` says so, the answer takes none any more. */
  onCookies(listener: (cookies: string[]) => void, isSent: () => boolean = () => false): void {
    this.#changed = listener
    this.#isSent = isSent
    if (this.#cookies.length > 0) listener(this.#cookies)
  }

  /** A copy of an answer, with the cookies. */
  apply(response: Response): Response {
    this.#isSent = () => true
    if (this.#cookies.length === 0) return response
    const headers = new Headers(response.headers)
    for (const cookie of this.#cookies) headers.append('Set-Cookie', cookie)
    // A cache that kept this answer would log others in.
    headers.set('Cache-Control', 'no-store')
    return new Response(response.body, { status: response.status, statusText: response.statusText, headers })
  }

  /** Logs a user in, whom the application has checked. A session that the browser had ends. */
  async logIn(data: D & object, { client = this.#client, ...options }: LogInOptions = {}): Promise<Session<D>> {
    if (this.#isSent()) {
      throw new SessionError('INVALID_ARGUMENT', 'INVALID_ARGUMENT: the log-in comes too late: the answer has begun', { hint: 'Log in before you write the answer.' })
    }
    const created = await client.sessions.create<D>({ ...options, ...this.#where, data })
    // By the same client: in a transaction another connection would wait for what this one has locked.
    await this.#end(client)
    // Whose it is follows from the definition's selector.
    const verdict = await client.sessions.require<D>({ token: created.token })
    this.#accept(created, verdict.identifier!, verdict.data)
    return this.session!
  }

  /** Ends the session, if there is one, and clears the cookies. */
  async logOut(): Promise<void> {
    await this.#end()
    this.#clear(null)
  }

  /**
   * The user's living sessions, newest first, for a page of devices; `current` is the one of this request. Needs level
   * `server`, as the next two do.
   */
  async devices({ limit = 100, client = this.#client }: ByClient & { limit?: number } = {}): Promise<(ListedSession & { current: boolean })[]> {
    if (!this.session) return []
    const { sessionId, identifier } = this.session
    const { sessions } = await client.sessions.list({ identifier, limit, withTotal: false })
    return sessions.map((listed) => ({ ...listed, current: listed.sessionId === sessionId }))
  }

  /** Ends another session of the same user, and answers whether there was one. */
  async logOutDevice(sessionId: string, { client = this.#client }: ByClient = {}): Promise<boolean> {
    if (!this.session) return false
    if (sessionId === this.session.sessionId) return this.logOut().then(() => true)
    try {
      return (await client.sessions.revoke({ sessionId, identifier: this.session.identifier })) > 0
    } catch (error) {
      // Somebody else's, or none.
      if (error instanceof SessionError && (error.code === 'SESSION_NOT_FOUND' || error.code === 'INVALID_ARGUMENT')) return false
      throw error
    }
  }

  /** Ends all other sessions of the user and returns how many. */
  async logOutElsewhere({ client = this.#client }: ByClient = {}): Promise<number> {
    if (!this.session) return 0
    return client.sessions.revokeAll({ identifier: this.session.identifier, exceptSessionId: this.session.sessionId })
  }

  /** Reads the cookies and finds the session; refreshes once where that is needed. */
  async open(cookie: string | null): Promise<this> {
    const [access, refresh] = [cookieValues(cookie, ACCESS), cookieValues(cookie, REFRESH)]
    if (access.length > 1 || refresh.length > 1) return this.#clear('invalid')
    this.#tokens = { access: access[0] || undefined, refresh: refresh[0] || undefined }
    if (this.#tokens.access !== undefined) {
      const token = this.#tokens.access
      const verdict = await this.#client.sessions.verify<D>({ token })
      // A token of another family is no log-in.
      if (verdict.valid && verdict.kind !== 'user') return this.#clear('invalid')
      if (verdict.valid) {
        this.#found(verdict.sessionId, verdict.identifier!, verdict.data, verdict.expiresAt, token)
        return this
      }
      // A token whose key was revoked is invalid, and its session lives on.
      const mayLive = verdict.reason === 'expired' || verdict.reason === 'invalid'
      if (!mayLive || this.#tokens.refresh === undefined) return this.#clear(verdict.reason)
    }
    if (this.#tokens.refresh === undefined) return this
    const refreshed = await this.#client.sessions.refresh<D>({ refreshToken: this.#tokens.refresh, ...this.#where })
    if (!refreshed.ok) return this.#clear(refreshed.reason)
    this.#accept(refreshed, refreshed.identifier, refreshed.data)
    return this
  }

  #found(sessionId: string, identifier: string, data: D, expiresAt: Date, token: string) {
    this.session = new Session(sessionId, identifier, data, expiresAt, token, () => this.logOut())
    this.reason = null
  }

  #accept(tokens: CreatedSession, identifier: string, data: D) {
    const { token, refreshToken, sessionId, expiresAt, sessionExpiresAt } = tokens
    this.#tokens = { access: token, refresh: refreshToken }
    this.#found(sessionId, identifier, data, expiresAt, token)
    const isFitting = fits(ACCESS, token)
    if (!isFitting) {
      this.#warn(`the access token has ${token.length} bytes and does not fit into a cookie of ${COOKIE_LIMIT}: every request ` +
        'will refresh. Keep less in the session data; the token grows 1.8 bytes with each byte of it')
    }
    const life = this.#options.persistent === false ? undefined : (sessionExpiresAt.getTime() - issuedAt(token)) / 1000
    this.#setCookies([isFitting ? setCookie(ACCESS, token) : clearCookie(ACCESS), setCookie(REFRESH, refreshToken, life)])
  }

  #clear(reason: Reason | null): this {
    this.session = null
    this.reason = reason ?? 'missing'
    this.#tokens = { access: undefined, refresh: undefined }
    this.#setCookies([clearCookie(ACCESS), clearCookie(REFRESH)])
    return this
  }

  async #end(client = this.#client): Promise<void> {
    const token = this.#tokens.refresh ?? this.#tokens.access
    if (token === undefined) return
    try {
      await client.sessions.end({ token })
    } catch (error) {
      // A token that names no session leaves nothing to end.
      if (!(error instanceof SessionError && error.code === 'VERIFY_FAILED')) throw error
    }
  }

  #setCookies(cookies: string[]) {
    this.#cookies = cookies
    if (!this.#isSent()) this.#changed(cookies)
  }

  #warn(message: string) {
    const { warn = (text: string) => process.emitWarning(text, 'DialstackSessions') } = this.#options
    warn(message)
  }
}

/** Finds the session of a request. `ip` is the browser's address: of the socket, or of the header that your proxy sets. */
export async function openVisit<D = Data>(
  client: DialstackSessions<any>, request: WebRequest, options: WebOptions & { ip?: string | null } = {},
): Promise<Visit<D>> {
  const visit = new Visit<D>(client, options, request, options.ip ?? null)
  // What another site has caused changes nothing, not even the cookies.
  return visit.isOwn ? visit.open(request.headers.get('cookie')) : visit
}

export type Handler<D = Data> = (request: Request, visit: Visit<D>) => Response | Promise<Response>

export interface HandlerOptions extends WebOptions {
  /** The browser's address. */
  ip?: (request: Request) => string | null
  /** Makes the answer where the handler throws. Status 500, or 503 where the database is away, and a line of `console.error`, if not given. */
  onError?: (error: unknown, request: Request) => Response
}

/** Wraps a handler of `Request`s: it gets the visit as well, and its answer gets the cookies. */
export function withSessions<D = Data>(client: DialstackSessions<any>, handler: Handler<D>, options: HandlerOptions = {}): (request: Request) => Promise<Response> {
  needPlace(client)
  const { onError = failed } = options
  return async (request) => {
    let visit: Visit<D> | undefined
    try {
      visit = await openVisit<D>(client, request, { ...options, ip: options.ip?.(request) ?? null })
      if (!visit.isOwn) return new Response('Forbidden', { status: 403 })
      return visit.apply(await handler(request, visit))
    } catch (error) {
      // New tokens go out also with this answer: the browser's old refresh token is used up.
      const response = onError(error, request)
      return visit ? visit.apply(response) : response
    }
  }
}

function failed(error: unknown): Response {
  console.error(error instanceof SessionError ? `${error.code}: ${error.message}` : error)
  return isAway(error) ? new Response('Service Unavailable', { status: 503 }) : new Response('Internal Server Error', { status: 500 })
}
