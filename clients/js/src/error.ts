/**
 * Codes that the client itself raises; all others are those of the extension. `INVALID_ARGUMENT`: an argument that cannot be
 * sent or that PostgreSQL cannot read. `DRIVER_MISSING`: install `pg`. `CONNECTION_FAILED`: the server is away, or ended the
 * connection; what a transaction did whose COMMIT got no answer is not known. `CONNECTION_TIMEOUT`: the pool is exhausted.
 * `CONFLICT`: another transaction was faster, five times. `NOT_INSTALLED`: the database lacks the extension, or has another version.
 * `TRANSACTION_ABORTED`: the error of a statement was caught inside of `withToken` or `transaction`, so nothing was committed.
 */
export type ClientErrorCode =
  | 'INVALID_ARGUMENT'
  | 'DRIVER_MISSING'
  | 'CONNECTION_FAILED'
  | 'CONNECTION_TIMEOUT'
  | 'CONFLICT'
  | 'PERMISSION_DENIED'
  | 'NOT_INSTALLED'
  | 'TRANSACTION_ABORTED'
  | 'DATABASE_ERROR'

/**
 * What every failed call throws. A refused token is no failure: `verify` and `refresh` answer it.
 *
 * Neither the message nor any field holds a token or a key. So the driver's own error is not kept as `cause`: with
 * `log_parameter_max_length_on_error` the server writes bound values into it.
 */
export class SessionError extends Error {
  override readonly name = 'SessionError'
  /** The extension's code, such as `ENV_NOT_FOUND`, or one of the client's own. */
  readonly code: string
  /** PostgreSQL's code of five characters, where the server raised the error. */
  readonly sqlstate: string | undefined
  /** Where it happened. */
  readonly detail: string | undefined
  /** What to do. */
  readonly hint: string | undefined

  constructor(code: ClientErrorCode | (string & {}), message: string, more: { sqlstate?: string; detail?: string; hint?: string } = {}) {
    super(redact(message))
    this.code = code
    this.sqlstate = more.sqlstate
    this.detail = more.detail === undefined ? undefined : redact(more.detail)
    this.hint = more.hint === undefined ? undefined : redact(more.hint)
  }
}

/** Takes tokens and keys of every family out of a text. */
export function redact(text: string): string {
  return text.replace(/\b(sk|pk|cs|cst|rt)_(live|test)_[\w-]+/g, '$1_$2_…').replace(/\beyJ[\w-]*(\.[\w-]*)*/g, 'eyJ…')
}

type Fields = { code?: unknown; message?: unknown; severity?: unknown; detail?: unknown; hint?: unknown }

/** True for an error that the server raised, whichever driver reports it. */
function isServerError(error: Fields): boolean {
  return typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code) && typeof error.severity === 'string'
}

/** The SQLSTATE of an error of a driver's, of ours, or of an ORM's that has the driver's as its cause. */
export function sqlstateOf(error: unknown): string | undefined {
  if (error instanceof SessionError) return error.sqlstate
  const fields = (error ?? {}) as Fields & { cause?: unknown }
  if (isServerError(fields)) return fields.code as string
  return fields.cause === undefined ? undefined : sqlstateOf(fields.cause)
}

/** The code for an error of PostgreSQL's own. */
function codeOf(sqlstate: string): ClientErrorCode {
  if (sqlstate.startsWith('22')) return 'INVALID_ARGUMENT'
  if (sqlstate === '40001' || sqlstate === '40P01') return 'CONFLICT'
  if (sqlstate === '42501') return 'PERMISSION_DENIED'
  // Neither the schema nor the function is there; or another version's functions are.
  if (sqlstate === '3F000' || sqlstate === '42883' || sqlstate === '42P01') return 'NOT_INSTALLED'
  if (/^(08|28|3D|57P|53)/.test(sqlstate)) return 'CONNECTION_FAILED'
  return 'DATABASE_ERROR'
}

/** What to do about errors of PostgreSQL's own, which do not say it. */
const HINTS: Partial<Record<ClientErrorCode, string>> = {
  PERMISSION_DENIED: 'The call needs another access level of the role: dialstack.grant_access().',
  NOT_INSTALLED: "Is this the right database? CREATE EXTENSION dialstack_sessions there, of the client's version.",
}

const optional = (value: unknown) => (typeof value === 'string' ? value : undefined)

/** Whether a later request may do: the database is away, or busy. */
export const isAway = (error: unknown) =>
  error instanceof SessionError && ['CONNECTION_FAILED', 'CONNECTION_TIMEOUT', 'CONFLICT', 'LOCK_NOT_AVAILABLE'].includes(error.code)

/** Turns what a driver has thrown into a SessionError. */
export function sessionError(error: unknown): SessionError {
  if (error instanceof SessionError) return error
  const fields = (error ?? {}) as Fields
  const message = typeof fields.message === 'string' && fields.message !== '' ? fields.message : String(fields.code ?? error)
  if (!isServerError(fields)) {
    const detail = optional(fields.code)
    return new SessionError('CONNECTION_FAILED', `CONNECTION_FAILED: ${message}`, detail === undefined ? {} : { detail })
  }
  const sqlstate = fields.code as string
  const coded = /^([A-Z][A-Z_]+): /.exec(message)
  const more: { sqlstate: string; detail?: string; hint?: string } = { sqlstate }
  // PostgreSQL's own details may quote values; ours do not.
  if (coded && typeof fields.detail === 'string') more.detail = fields.detail
  const code = coded?.[1] ?? codeOf(sqlstate)
  const hint = optional(fields.hint) ?? (coded ? undefined : HINTS[code as ClientErrorCode])
  if (hint !== undefined) more.hint = hint
  return new SessionError(code, coded ? message : `${code}: ${message}`, more)
}
