// Arguments into text that PostgreSQL casts, results out of JSON: so every driver and pooler treats them alike, and no
// type parser of the application's gets in between.

import { isIP } from 'node:net'
import { inspect } from 'node:util'
import { ALIASES, type Call } from './calls.js'
import { SessionError } from './error.js'

export type Row = Record<string, unknown>

export const snakeCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
export const camelCase = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** Columns that hold a moment. A test compares this with the catalogue. */
export const isMoment = (column: string) => /(^|_)at$|^(first|last)_seen$/.test(column)

/** A token as it is, but for a NUL, which PostgreSQL takes in no text: with any other character it is `invalid` as well. */
export const cleanToken = (token: string) => token.replaceAll('\0', '\ufffd')

/**
 * The address in what a server or proxy calls one: without a port, brackets or zone. Anything else, such as `unknown`,
 * is no address.
 */
export function cleanAddress(text: string): string | null {
  const trimmed = text.trim()
  const address = /^\[([^\]]*)\](?::\d+)?$/.exec(trimmed)?.[1] ?? /^([\d.]+):\d+$/.exec(trimmed)?.[1] ?? trimmed
  const bare = address.replace(/%.*$/s, '')
  return isIP(bare) ? bare : null
}

const arrayLiteral = (values: unknown[]) => `{${values.map((value) => `"${String(value).replace(/["\\]/g, '\\$&')}"`).join(',')}}`

/** The JSON of an argument. The members of a definition may have camelCase names. */
function toJson(name: string, value: unknown): string {
  const isDefinition = (name === 'definition' || name === 'changes') && typeof value === 'object'
  const plain = isDefinition ? Object.fromEntries(Object.entries(value as Row).map(([key, member]) => [snakeCase(key), member])) : value
  try {
    return JSON.stringify(plain)
  } catch {
    throw new SessionError('INVALID_ARGUMENT', `INVALID_ARGUMENT: ${camelCase(name)} cannot be written as JSON`)
  }
}

/** The text of an argument, which PostgreSQL casts to the argument's type. */
function toText(name: string, type: string, value: unknown): string | null {
  if (value === null) return null
  if (type === 'jsonb') return toJson(name, value)
  if (type.endsWith('[]') && Array.isArray(value)) return arrayLiteral(value)
  if (type === 'timestamptz' && value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString()
  if (type === 'interval' && typeof value === 'number' && Number.isFinite(value)) return `${value} seconds`
  if (typeof value === 'string') {
    if (type === 'inet') return cleanAddress(value)
    return name === 'token' || name === 'refresh_token' ? cleanToken(value) : value
  }
  if ((type === 'integer' && typeof value === 'number') || (type === 'boolean' && typeof value === 'boolean')) return String(value)
  throw new SessionError('INVALID_ARGUMENT', `INVALID_ARGUMENT: ${camelCase(name)} cannot be a ${Array.isArray(value) ? 'list' : typeof value}`)
}

export interface Statement {
  text: string
  values: (string | null)[]
  /** The arguments as they were given, by the names of the SQL function. */
  named: Row
}

const takes = (call: Call) => `It takes { ${Object.keys(call.args).map(camelCase).join(', ')} }.`

/** Arguments are named, in one object. What else was given is not shown: it may be a token. */
export function checkArgs(method: string, call: Call, given: unknown) {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return
  throw new SessionError('INVALID_ARGUMENT', `INVALID_ARGUMENT: ${method} takes one object`, { hint: takes(call) })
}

/** The statement of a call. What is not given is left to the client's defaults, then to those of the SQL function. */
export function statement(method: string, call: Call, given: object, defaults: Row): Statement {
  checkArgs(method, call, given)
  const named: Row = {}
  for (const [name, value] of Object.entries(given)) {
    const snake = snakeCase(name)
    const argument = snake in call.args ? snake : ALIASES[snake] ?? snake
    if (!(argument in call.args)) throw new SessionError('INVALID_ARGUMENT', `INVALID_ARGUMENT: ${method} takes no argument "${name}"`, { hint: takes(call) })
    if (value !== undefined) named[argument] = value
  }
  const values: (string | null)[] = []
  const args: string[] = []
  for (const [name, { type, required }] of Object.entries(call.args)) {
    const value = name in named ? named[name] : defaults[name]
    if (value === undefined && !required) continue
    values.push(toText(name, type, value ?? null))
    args.push(`${name} => $${values.length}::text${type === 'text' ? '' : `::${type}`}`)
  }
  // What returns nothing has nothing to make JSON of. json has the members in the order of the columns.
  const result = call.returns === 'nothing' ? "'null'" : 'to_json(r)::text'
  return { text: `SELECT ${result} AS r FROM dialstack.${call.fn}(${args.join(', ')}) AS r`, values, named }
}

/** Columns that hold a secret. */
const isSecret = (column: string) => /^(token|refresh_token|client_secret)$/.test(column)

/** The row itself, whose secrets console.log does not show. JSON and code have them. */
function discreet(row: Row): Row {
  const secrets = Object.keys(row).filter((name) => row[name] !== null && isSecret(snakeCase(name)))
  if (secrets.length === 0) return row
  const stars = Object.fromEntries(secrets.map((name) => [name, '********']))
  // Always the same object: by it a row that refers to itself is noticed, and does not fill the log.
  const view: Row = {}
  const shown = () => {
    for (const name of Object.keys(view)) delete view[name]
    return Object.assign(view, row, stars)
  }
  return Object.defineProperty(row, inspect.custom, { value: shown })
}

const toMoment = (value: unknown) => (typeof value === 'string' ? new Date(value) : value)

/** A row with names in camelCase. What is inside of JSON columns stays as it is. */
function camelRow(row: Row): Row {
  return discreet(Object.fromEntries(Object.entries(row).map(([name, value]) => [camelCase(name), isMoment(name) ? toMoment(value) : value])))
}

/** A row with the columns' own names, as the products' documents and browsers have them; the camelCase ones answer too. */
function snakeRow(row: Row): Row {
  const result: Row = {}
  for (const [name, value] of Object.entries(row)) {
    result[name] = isMoment(name) ? toMoment(value) : value
    const camel = camelCase(name)
    if (camel !== name) Object.defineProperty(result, camel, { get: () => result[name] })
  }
  return discreet(result)
}

/** JSON whose own members are the client's business, not the application's. */
function valueOf(fn: string, value: unknown): unknown {
  if (fn === 'session_define') return camelRow(value as Row)
  if (fn !== 'session_user_details') return value
  const details = value as Row & { sessions: Row[] }
  return { ...camelRow(details), sessions: details.sessions.map(camelRow) }
}

/** The result of a call from the rows of its statement, each one JSON text. */
export function result(call: Call, rows: string[], named: Row): unknown {
  if (call.returns === 'nothing') return undefined
  const parsed = rows.map((text) => JSON.parse(text) as unknown)
  if (call.returns === 'value') return valueOf(call.fn, parsed[0])
  const convert = call.snake ? snakeRow : camelRow
  if (call.returns === 'row') return convert(parsed[0] as Row)
  const totals = (parsed as Row[]).map(({ total }) => total as number | null)
  const withoutTotal = (parsed as Row[]).map(({ total: _, ...row }) => convert(row))
  const page = Number(named['page'] ?? 1)
  // Behind the last page no row says how many there are.
  const total = totals.length > 0 ? totals[0] ?? null : page === 1 && named['with_total'] !== false ? 0 : null
  if (call.returns === 'rows') return 'page' in call.args ? Object.defineProperty(withoutTotal, 'total', { value: total }) : withoutTotal
  const limit = Number(named['per_page'] ?? (call.fn === 'session_list' ? 10 : 20))
  return { [call.items!]: withoutTotal, total, page, limit, totalPages: total === null ? null : Math.ceil(total / limit) }
}
