// The table of calls and the types of the package, compared with the catalogue of PostgreSQL.

import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import ts from 'typescript'
import { ALIASES, CALLS } from './node_modules/dialstack-sessions/dist/calls.js'
import { isMoment, snakeCase } from './node_modules/dialstack-sessions/dist/convert.js'
import { query } from './support.js'

const calls = Object.entries(CALLS).flatMap(([family, methods]) => Object.entries(methods).map(([method, call]) => ({ name: `${family}.${method}`, family, method, call })))

/** By name and arguments: `session_create` is two functions. */
let functions
before(async () => {
  const rows = await query(`
    SELECT p.proname AS fn, p.proretset AS set, format_type(p.prorettype, NULL) AS returns, p.pronargs - p.pronargdefaults AS required, p.pronargs AS count,
           coalesce(p.proargnames, '{}') AS names, coalesce(p.proargmodes::text[], '{}') AS modes, n.all_types AS types,
           (SELECT json_object_agg(attname, format_type(atttypid, NULL)) FROM pg_attribute a JOIN pg_type t ON t.typrelid = a.attrelid
             WHERE t.oid = p.prorettype AND attnum > 0) AS composite
      FROM pg_proc p, LATERAL (SELECT array_agg(format_type(type, NULL) ORDER BY i) AS all_types
                                 FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY AS u (type, i)) n
     WHERE p.pronamespace = 'dialstack'::regnamespace`)
  functions = rows.map((row) => {
    const all = row.names.map((name, i) => ({ name, mode: row.modes[i] ?? 'i', type: short((row.types ?? [])[i]) }))
    const args = all.filter(({ mode }) => mode === 'i').slice(0, row.count)
    const columns = all.filter(({ mode }) => mode === 't')
    return {
      ...row,
      args: args.map((arg, i) => ({ ...arg, required: i < row.required })),
      columns: columns.length > 0 ? columns : Object.entries(row.composite ?? {}).map(([name, type]) => ({ name, type: short(type) })),
    }
  })
})
const short = (type) => type?.replace('timestamp with time zone', 'timestamptz')
const functionOf = (call) => functions.find(({ fn, args }) => fn === call.fn && args.every(({ name }) => name in call.args))

describe('the table of calls', () => {
  it('has every argument of its function, with its type, and whether it may be left out', () => {
    for (const { name, call } of calls) {
      const found = functionOf(call)
      assert.ok(found, `${name}: there is no ${call.fn} with these arguments`)
      assert.deepEqual(Object.entries(call.args).map(([arg, { type, required }]) => ({ name: arg, type, required })).sort(byName),
        found.args.map(({ name, type, required }) => ({ name, type, required })).sort(byName), name)
    }
  })

  it('knows what its function returns', () => {
    for (const { name, call } of calls) {
      const { set, returns, columns } = functionOf(call)
      const isRow = columns.length > 0
      assert.equal(['row', 'rows', 'page'].includes(call.returns), isRow, name)
      assert.equal(call.returns === 'nothing', returns === 'void', name)
      if (call.returns === 'page') assert.ok(columns.some((column) => column.name === 'total') && call.items, name)
      if (call.returns === 'rows' || call.returns === 'page') assert.ok(set, name)
    }
  })

  it('takes for a moment what is one', () => {
    for (const { name, call } of calls) {
      for (const column of functionOf(call).columns) assert.equal(isMoment(column.name), column.type === 'timestamptz', `${name}: ${column.name}`)
    }
  })

  it('has every function of level server and client that applications call', () => {
    const others = new Set([
      // Presented in a transaction, or asked there: withToken.
      'session_use', 'session_clear', 'has_scope', 'require_scope', 'postgrest_pre_request', 'revoke_on_change',
      // In the policies that protect_table makes.
      'uuid_or_null', 'bigint_or_null', 'integer_or_null',
    ])
    // Functions named access_… mark roles.
    return query(`SELECT DISTINCT proname AS fn FROM pg_proc
       WHERE pronamespace = 'dialstack'::regnamespace AND has_function_privilege('web_login', oid, 'EXECUTE') AND proname !~ '^(access|current)_'`).then((rows) => {
      assert.ok(rows.length > 30)
      assert.deepEqual(rows.map(({ fn }) => fn).filter((fn) => !others.has(fn) && !calls.some(({ call }) => call.fn === fn)), [])
    })
  })
})

const byName = (a, b) => (a.name < b.name ? -1 : 1)

const ARGUMENT = {
  text: ['string'], inet: ['string'], uuid: ['string'], interval: ['number', 'string'], timestamptz: ['Date', 'string'], integer: ['number'], boolean: ['boolean'],
  jsonb: ['object'], 'text[]': ['array'], 'uuid[]': ['array'],
}
const RESULT = { ...ARGUMENT, interval: ['string'], timestamptz: ['Date'], bigint: ['number'] }

describe('the types', () => {
  const program = ts.createProgram(['node_modules/dialstack-sessions/dist/types.d.ts'], { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, strict: true, types: ['node'] })
  const checker = program.getTypeChecker()
  const source = program.getSourceFiles().find(({ fileName }) => fileName.endsWith('dialstack-sessions/dist/types.d.ts'))
  const interfaces = new Map(checker.getExportsOfModule(checker.getSymbolAtLocation(source)).map((symbol) => [symbol.name, symbol]))
  const interfaceOf = (family) => checker.getDeclaredTypeOfSymbol(interfaces.get(family[0].toUpperCase() + family.slice(1)))
  const typeOf = (symbol) => checker.getTypeOfSymbolAtLocation(symbol, source)
  const members = (type) => (type.isUnion() ? type.types : [type]).filter((part) => !(part.flags & (ts.TypeFlags.Null | ts.TypeFlags.Undefined)))

  /** The first signature of a method: its argument's members and its result. */
  function signatureOf(family, method) {
    const property = interfaceOf(family).getProperty(method)
    assert.ok(property, `the types have no ${family}.${method}`)
    const [signature] = typeOf(property).getCallSignatures()
    const [parameter] = signature.getParameters()
    const result = checker.getAwaitedType(signature.getReturnType())
    return { argument: parameter && members(typeOf(parameter))[0], result }
  }

  function kindsOf(type) {
    const kinds = members(type).map((part) => {
      if (part.flags & ts.TypeFlags.StringLike) return 'string'
      if (part.flags & ts.TypeFlags.NumberLike) return 'number'
      if (part.flags & ts.TypeFlags.BooleanLike) return 'boolean'
      if (part.symbol?.name === 'Date') return 'Date'
      if (checker.isArrayType(part)) return 'array'
      // `string & {}`
      if (part.isIntersection()) return part.types.some((one) => one.flags & ts.TypeFlags.String) ? 'string' : 'object'
      return part.flags & (ts.TypeFlags.Object | ts.TypeFlags.TypeParameter) ? 'object' : checker.typeToString(part)
    })
    return [...new Set(kinds)].sort()
  }
  const propertiesOf = (type) => Object.fromEntries(checker.getPropertiesOfType(type).map((symbol) => [symbol.name, symbol]))

  for (const { name, family, method, call } of calls) {
    it(`of ${name} are the function's`, () => {
      const { argument, result } = signatureOf(family, method)
      const { columns } = functionOf(call)
      if (method !== 'register') {
        const seen = new Set()
        for (const [property, symbol] of Object.entries(argument ? propertiesOf(argument) : {})) {
          if (method === 'define' && property === 'handler') continue
          const snake = snakeCase(property)
          const arg = snake in call.args ? snake : ALIASES[snake]
          assert.ok(arg in call.args, `${name} takes no ${property}`)
          seen.add(arg)
          assert.deepEqual(kindsOf(typeOf(symbol)), ARGUMENT[call.args[arg].type], `${name}, argument ${property}`)
        }
        assert.deepEqual(Object.keys(call.args).filter((arg) => !seen.has(arg)), [], `${name} does not offer these`)
      }
      if (columns.length === 0) return
      let row = members(result).find((part) => ['valid', 'ok'].every((flag) => { const p = part.getProperty(flag); return !p || checker.typeToString(typeOf(p)) === 'true' }))
      if (call.returns === 'page') row = checker.getTypeArguments(typeOf(row.getProperty(call.items)))[0]
      if (call.returns === 'rows') row = checker.getIndexTypeOfType(row, ts.IndexKind.Number)
      const properties = propertiesOf(row)
      const wanted = columns.filter(({ name }) => name !== 'total')
      assert.deepEqual([...new Set(Object.keys(properties).map(snakeCase))].sort(), wanted.map(({ name }) => name).sort(), `${name}, its result`)
      for (const [property, symbol] of Object.entries(properties)) {
        const { type } = wanted.find((column) => column.name === snakeCase(property))
        // Of a good token there is none.
        assert.deepEqual(kindsOf(typeOf(symbol)), property === 'reason' && ('ok' in properties || 'valid' in properties) ? [] : RESULT[type], `${name}, result ${property}`)
      }
    })
  }

  it('have no method that the table has not', () => {
    for (const family of Object.keys(CALLS)) {
      const names = checker.getPropertiesOfType(interfaceOf(family)).map((symbol) => symbol.name)
      assert.deepEqual(names.filter((name) => !(name in CALLS[family]) && name !== 'listActive' && !(name === 'verify' && family !== 'sessions')), [], family)
    }
  })
})
