// An account session in the browser. It keeps the client secret in memory only, renews it before it
// expires, and adds it to requests.

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** How long before the end of a session it is renewed: five minutes, or a third of a short life. */
export const refreshBuffer = (life) => Math.min(5 * MINUTE, life / 3)

/** How long to wait after a renewal that failed: a minute, or half of the time that is left. */
export const retryDelay = (left) => Math.min(MINUTE, Math.max(500, left / 2))

/** The session is over, and only the user can do something about it. `code` is the server's. */
export class SessionEnded extends Error {
  constructor(code, message) {
    super(message)
    this.code = code
  }
}

/** Milliseconds that the session lives, by the server's clock: the browser's may be wrong. */
function lifeOf(expiresAt, response) {
  const serverTime = Date.parse(response.headers.get('Date')) || Date.now()
  const life = Date.parse(expiresAt) - serverTime
  return life > 0 ? life : HOUR
}

export class AccountSession {
  #create
  #onSecret
  #onRenewed
  #onEnded
  #secret
  #endsAt
  #timer
  #renewal
  #over = false

  /**
   * `create` asks the application's server for a session and resolves to its Response.
   * `onSecret(endsAt)` is called for every new client secret, `onRenewed()` when the session was renewed
   * ahead of its end, a good time to reload, and `onEnded(error)` when it is over.
   */
  constructor({ create, onSecret = () => {}, onRenewed = () => {}, onEnded = () => {} }) {
    this.#create = create
    this.#onSecret = onSecret
    this.#onRenewed = onRenewed
    this.#onEnded = onEnded
  }

  /** Creates the session. Fails with SessionEnded where the server refuses, like every later use. */
  async start() {
    await this.#renew(undefined)
  }

  /** Forgets the secret and stops renewing. */
  stop() {
    this.#over = true
    this.#secret = undefined
    clearTimeout(this.#timer)
  }

  /**
   * Fetches with the client secret. An answer of 401 or 403 may only mean that the secret has aged, so
   * the session is renewed and the request sent again, once; the second answer stands.
   */
  async fetch(path) {
    const used = this.#secret
    const response = await this.#send(path)
    if (response.status !== 401 && response.status !== 403) return response
    try {
      await this.#renew(used)
    } catch (error) {
      if (error instanceof SessionEnded) throw error
      return response
    }
    response.body?.cancel()
    return this.#send(path)
  }

  #send(path) {
    if (this.#over) throw new SessionEnded('ended', 'The session has ended')
    return fetch(path, { headers: { Authorization: `Bearer ${this.#secret}` } })
  }

  /** Replaces the secret `used`, unless somebody else has done so; callers at the same time share one. */
  #renew(used) {
    if (used !== this.#secret) return Promise.resolve()
    this.#renewal ??= this.#load().finally(() => { this.#renewal = undefined })
    return this.#renewal
  }

  async #load() {
    const response = await this.#create()
    const refused = response.status === 401 || response.status === 403
    if (!response.ok && !refused) throw new Error(`no session: the server answered ${response.status}`)
    const answer = await response.json()
    if (this.#over) throw new SessionEnded('ended', 'The session has ended')
    if (refused) throw this.#end(answer.code, answer.error)
    const life = lifeOf(answer.expires_at, response)
    this.#secret = answer.client_secret
    this.#endsAt = Date.now() + life
    this.#schedule(life - refreshBuffer(life))
    this.#onSecret(this.#endsAt)
  }

  #schedule(delay) {
    clearTimeout(this.#timer)
    // A browser's timer cannot count further than 24 days.
    this.#timer = setTimeout(() => this.#renewAhead(), Math.min(delay, DAY))
  }

  async #renewAhead() {
    try {
      await this.#renew(this.#secret)
      this.#onRenewed()
    } catch (error) {
      if (error instanceof SessionEnded) return
      // The session is good until its end, so a server that fails for a while does no harm.
      const left = this.#endsAt - Date.now()
      if (left > 0) this.#schedule(retryDelay(left))
      else this.#end('expired', 'The session could not be renewed in time')
    }
  }

  #end(code, message) {
    const error = new SessionEnded(code, message)
    this.stop()
    this.#onEnded(error)
    return error
  }
}
