// What the calls take and return. A test compares these types with the catalogue of PostgreSQL.

import type {
  AccountSession, AccountSessionArgs, ClientSession, ClientSessionCreateArgs, ClientSessionDeleteArgs, ClientSessionGetArgs,
  ClientSessionGrantAccessArgs, ClientSessionListArgs, ClientSessionRevokeArgs, EitherCase, ProductEnv,
} from './snake.js'
import type { Interval, Moment, Place } from './values.js'

export type * from './snake.js'
export type * from './values.js'

/** Session data: a JSON object that fits the definition's schema. */
export type Data = Record<string, unknown>

/** Why a token is refused. */
export type Reason = 'missing' | 'invalid' | 'mismatch' | 'revoked' | 'reused' | 'expired' | 'scope_disabled' | 'stale'
export type Kind = 'user' | 'account' | 'client'

// --- User sessions

export interface CreateArgs<D = Data> extends Place {
  data: D
  /** The user's address. One that is none (`unknown`), or has a port or a zone, is cleaned. */
  ip?: string | null
  userAgent?: string | null
  /** How long the access token lives. */
  expiresIn?: Interval | null
  /** How long this session lives without a refresh: "remember me". */
  sessionExpiresIn?: Interval | null
}
export interface CreatedSession {
  token: string
  refreshToken: string
  /** When the access token ends. */
  expiresAt: Date
  sessionId: string
  /** When the session ends unless it is refreshed. */
  sessionExpiresAt: Date
}

export interface VerifyArgs extends Place {
  token: string | null | undefined
  /** A scope that the session must hold. */
  scope?: string | null
  /** How long ago the user may have proved who they are. */
  maxAge?: Interval | null
}
export interface ValidSession<D = Data> {
  valid: true
  reason: null
  kind: Kind
  sessionId: string
  identifier: string | null
  account: string | null
  data: D
  scopes: string[] | null
  expiresAt: Date
  product: string
  env: string
  tag: string | null
  createdAt: Date
  authenticatedAt: Date
}
export type Refused = { valid: false; reason: Reason } & Record<Exclude<keyof ValidSession, 'valid' | 'reason'>, unknown>
export type VerifyResult<D = Data> = ValidSession<D> | Refused

export interface RefreshArgs extends Place {
  refreshToken: string | null | undefined
  ip?: string | null
  userAgent?: string | null
}
export interface RefreshedSession<D = Data> extends CreatedSession {
  ok: true
  reason: null
  identifier: string
  data: D
}
export type NotRefreshed = { ok: false; reason: Reason } & Record<Exclude<keyof RefreshedSession, 'ok' | 'reason'>, null>
export type RefreshResult<D = Data> = RefreshedSession<D> | NotRefreshed

export interface RevokeArgs extends Place {
  /** One of the two is required. With both, the session must be that user's. */
  sessionId?: string | null
  identifier?: string | null
  reason?: string
}
export interface RevokeAllArgs extends Place {
  identifier: string
  exceptSessionId?: string | null
  /** Another name for exceptSessionId. */
  excludeCurrentSession?: string | null
  reason?: string
}

export interface Paging {
  /** From 1. */
  page?: number
  /** 1 to 1,000. */
  perPage?: number
  /** Another name for perPage. */
  limit?: number
}
export interface Page {
  /** How many rows all pages have; null if that was not counted. */
  total: number | null
  page: number
  limit: number
  totalPages: number | null
}
export interface ListArgs extends Place, Paging {
  identifier?: string | null
  activeOnly?: boolean
  withTotal?: boolean
}
export interface ListedSession {
  sessionId: string
  identifier: string
  startAt: Date
  endAt: Date
  active: boolean
  lastSeenAt: Date | null
  ip: string | null
  userAgent: string | null
}
export interface SessionInfo extends Omit<ListedSession, 'identifier'> {
  identifier: string | null
  kind: Kind
  product: string
  env: string
  tag: string | null
  generation: number | null
  revokedAt: Date | null
  revokeReason: string | null
  scopes: string[] | null
}

/** A step of a verification, and what it found. */
export interface ExplainedStep {
  step: number
  checked: string
  passed: boolean
  detail: string | null
}

// --- Definitions

export type Period = 'seconds' | 'minutes' | 'hours' | 'days' | 'weeks' | 'months' | 'years' | (string & {})
export interface Limits {
  refreshExpiry?: number | null
  refreshPeriod?: Period | null
  idleTimeout?: Interval | null
  maxLifetime?: Interval | null
  maxSessions?: number | null
  onLimit?: 'evict_oldest' | 'deny' | null
  reuseInterval?: Interval | null
  logVerify?: boolean | null
  /** Paths of the data that the access token carries in the clear. */
  publicClaims?: string[] | null
}
export interface DefinitionArgs extends Limits {
  product?: string
  tag?: string
  name: string
  description: string
  /** Field declarations, sample values, or a JSON Schema. */
  schema: object
  /** Path of the identifier: `$Session{userId}`. */
  selector: string
  expiry: number
  period: Period
}
export interface DefineContext {
  selector(path: string): void
  expiry(expiry: number, period: Period): void
  schema(schema: object): void
}
export interface DefineArgs extends Partial<DefinitionArgs> {
  /** Sets what is not given beside it. */
  handler?: (context: DefineContext) => void | Promise<void>
}
/** A definition as it is stored. */
export interface Definition {
  product: string
  tag: string
  name: string
  description: string
  schema: Record<string, unknown>
  selector: string
  expiry: number
  period: Period
  refreshExpiry: number
  refreshPeriod: Period
  idleTimeout: string | null
  maxLifetime: string | null
  maxSessions: number | null
  onLimit: 'evict_oldest' | 'deny'
  reuseInterval: string
  logVerify: boolean
  publicClaims: string[]
  createdAt: Date
  updatedAt: Date
}

export interface WhichDefinition {
  product?: string
  tag?: string
}
export interface DefinitionChanges extends WhichDefinition {
  changes: Partial<Omit<Definition, 'product' | 'tag'>> | Limits
}

// --- Users, activity, figures

/** `session` is another name for `tag`; `start` and `end` for `startAt` and `endAt`. */
export interface FetchArgs extends Place {
  session?: string
}
export interface FetchUsersArgs extends FetchArgs, Paging {
  withTotal?: boolean
}
export interface SessionUser {
  identifier: string
  env: string
  firstSeen: Date
  lastSeen: Date
  totalSessions: number
  activeSessions: number
  status: 'active' | 'inactive' | 'expired'
}
export interface FetchUserDetailsArgs extends FetchArgs {
  identifier: string
}
export interface UserDetails<D = Data> {
  identifier: string
  env: string | null
  status: 'active' | 'inactive' | 'expired'
  firstSeen: Date
  lastSeen: Date
  totalSessions: number
  activeSessionsCount: number
  sessions: { sessionId: string; env: string; startAt: Date; endAt: Date; active: boolean; ip: string | null; userAgent: string | null; data: D | null }[]
  latestSessionData: D | null
}
export interface FetchActivityLogsArgs extends FetchArgs, Paging {
  identifier?: string | null
  status?: 'success' | 'fail' | null
  startAt?: Moment | null
  start?: Moment | null
  endAt?: Moment | null
  end?: Moment | null
  withTotal?: boolean
}
export interface ActivityLog {
  activityId: number
  at: Date
  product: string
  env: string
  tag: string | null
  kind: Kind
  operation: string
  status: 'success' | 'fail'
  reason: string | null
  sessionId: string | null
  identifier: string | null
  latencyUs: number | null
  ip: string | null
  userAgent: string | null
  detail: Record<string, unknown> | null
}
export interface FetchDashboardArgs extends FetchArgs {
  groupBy?: 'hour' | 'day' | 'week' | 'month'
  startAt?: Moment | null
  start?: Moment | null
  endAt?: Moment | null
  end?: Moment | null
  timeZone?: string | null
}
export interface FetchUserDashboardArgs extends FetchDashboardArgs {
  identifier: string
  /** Other names for startAt and endAt. */
  start_date?: Moment | null
  end_date?: Moment | null
}

// --- The methods

export interface Sessions {
  /** Creates a session and returns its tokens. With `schema`, creates a definition; with `account`, an account session. */
  create<D = Data>(args: CreateArgs<D>): Promise<CreatedSession>
  create(args: DefinitionArgs): Promise<Definition>
  /** @deprecated `accountSessions.create` */
  create(args: AccountSessionArgs): Promise<AccountSession>
  /** Another name for `create`. */
  start<D = Data>(args: CreateArgs<D>): Promise<CreatedSession>
  /**
   * Says whether a token is good, and whose session it is; a bad one is an answer. It takes a token of any family: those of
   * account and client sessions have no tag, so use their own `verify` where the client has one, or pass `tag: null`.
   */
  verify<D = Data>(args: VerifyArgs): Promise<VerifyResult<D>>
  /** As `verify`, but a bad token is an error, `VERIFY_FAILED`. */
  require<D = Data>(args: VerifyArgs): Promise<ValidSession<D>>
  /** Gives new tokens for a refresh token. A bad one is an answer; one that was `reused` has ended the session. */
  refresh<D = Data>(args: RefreshArgs): Promise<RefreshResult<D>>
  /** Ends a session, or all of a user, and returns how many. */
  revoke(args: RevokeArgs): Promise<number>
  /** Ends all sessions of a user, but perhaps one, and returns how many. */
  revokeAll(args: RevokeAllArgs): Promise<number>
  /** A user's own log-out: ends the session of any of its tokens, even an expired one, and returns how many. */
  end(args: { token?: string | null }): Promise<number>
  /** A page of sessions, of one user or of all. */
  list(args?: ListArgs): Promise<Page & { sessions: ListedSession[] }>
  /** Another name for `list`. */
  listActive(args?: ListArgs): Promise<Page & { sessions: ListedSession[] }>
  /** All that is kept of one session. */
  getInfo(args: { sessionId: string }): Promise<SessionInfo>
  /** Replaces the data of a session, at once for the tokens that clients hold already. */
  updateData(args: { sessionId: string; data: Data }): Promise<{ sessionId: string; expiresAt: Date }>
  /** Moves the end of a session. */
  extendSession(args: { sessionId: string; by: Interval }): Promise<{ sessionId: string; expiresAt: Date }>
  /** Notes that the user has proved just now who they are: `maxAge` of `verify` counts from here. */
  reauthenticate(args: { sessionId: string }): Promise<{ sessionId: string; authenticatedAt: Date }>
  /** What RFC 7662 says of a token. */
  introspect(args: { token: string }): Promise<Record<string, unknown>>
  /** Why a token is accepted or refused, step by step. Shows no secret. */
  explain(args: { token: string }): Promise<ExplainedStep[]>
  /** Validates a definition and stores nothing. */
  define(args: DefineArgs): Promise<Partial<Definition>>
  /** Stores what `define` has returned. */
  register(product: string, definition: object): Promise<Definition>
  register(definition: object): Promise<Definition>
  /** Another name for `definitions.get`, as the next three are for `list`, `update` and `delete`. */
  fetch(args?: WhichDefinition): Promise<Definition>
  fetchAll(args?: { product?: string }): Promise<Definition[]>
  update(args: DefinitionChanges): Promise<Definition>
  delete(args?: WhichDefinition): Promise<Definition>
  /** A page of the users of a definition, in one environment, or in all where neither the call nor the client names one. */
  fetchUsers(args?: FetchUsersArgs): Promise<Page & { users: SessionUser[] }>
  /** A user and the history of their sessions. An unknown one is the error `USER_NOT_FOUND`. */
  fetchUserDetails<D = Data>(args: FetchUserDetailsArgs): Promise<UserDetails<D>>
  /** A page of what was done, the newest first. */
  fetchActivityLogs(args?: FetchActivityLogsArgs): Promise<Page & { logs: ActivityLog[] }>
  /** Figures and series, by the names of the manual's page "Dashboard". */
  fetchDashboard(args?: FetchDashboardArgs): Promise<Record<string, unknown>>
  /** The figures of one user. */
  fetchUserDashboard(args: FetchUserDashboardArgs): Promise<Record<string, unknown>>
}

export interface AccountSessions {
  /** Makes a client secret for one account, limited to some components. */
  create(args: AccountSessionArgs): Promise<AccountSession>
  /** Says whether a client secret is good, for which account, and whether for this scope. Other tokens mismatch. */
  verify(args: EitherCase<{ client_secret: string | null | undefined; scope?: string | null } & ProductEnv>): Promise<VerifyResult>
  /** Ends all sessions of an account and returns how many. */
  revoke(args: EitherCase<{ account: string; reason?: string } & ProductEnv>): Promise<number>
}

export interface ClientSessions {
  /** Creates a session; one that lives already for the key is returned unchanged. */
  create(args?: ClientSessionCreateArgs): Promise<ClientSession>
  /** As `create`, but a given `expires_at` replaces the old one. */
  getOrCreate(args?: ClientSessionCreateArgs): Promise<ClientSession>
  /** One session; with neither id nor key, that of the presented token. */
  get(args?: ClientSessionGetArgs): Promise<ClientSession>
  /** A page of sessions; `total` says how many all pages have. */
  list(args?: ClientSessionListArgs): Promise<ClientSession[] & { readonly total: number | null }>
  /** Adds; takes nothing away. */
  grantAccess(args: ClientSessionGrantAccessArgs): Promise<ClientSession>
  /** Says whether the token of a client session is good. Other tokens mismatch. */
  verify(args: { token: string | null | undefined } & ProductEnv): Promise<VerifyResult>
  /** Ends a session; its row stays. */
  revoke(args: ClientSessionRevokeArgs): Promise<void>
  /** Ends a session and deletes its row. */
  delete(args: ClientSessionDeleteArgs): Promise<void>
}

/** For a role of level `admin`. */
export interface Definitions {
  /** Checks a definition and stores it; the same tag again replaces it. */
  create(args: DefinitionArgs): Promise<Definition>
  /** Changes the members that are given. */
  update(args: DefinitionChanges): Promise<Definition>
  /** Revokes all sessions of a definition, deletes it, and returns what it was. */
  delete(args?: WhichDefinition): Promise<Definition>
  /** The definition of a tag. Where there is none it is the error `DEFINITION_NOT_FOUND`. */
  get(args?: WhichDefinition): Promise<Definition>
  /** All definitions of a product. */
  list(args?: { product?: string }): Promise<Definition[]>
}

export interface Keys {
  /** The public keys that sign access tokens, for programs that verify offline. */
  jwks(): Promise<{ keys: Record<string, unknown>[] }>
  /** The `iss` of the access tokens of this database. */
  issuer(): Promise<string>
}
