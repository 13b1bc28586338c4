// JSON Schema as TypeScript, for the data of a product's definitions.

import type { Definition } from './types.js'

type Schema = Record<string, any> | boolean

const quoted = (name: string) => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name))
/** Text from a schema cannot end the comment that it stands in. */
const comment = (text: string) => `/** ${text.replaceAll('*/', '* /').replace(/\s+/g, ' ')} */`

const SIMPLE: Record<string, string> = { string: 'string', number: 'number', integer: 'number', boolean: 'boolean', null: 'null', object: 'Record<string, unknown>', array: 'unknown[]' }

/** The type of a schema; `unknown` where TypeScript cannot say it. `root` is what `$ref` starts from. */
export function typeOfSchema(schema: Schema, root: Schema = schema, indent = '', seen: readonly string[] = []): string {
  if (typeof schema === 'boolean') return schema ? 'unknown' : 'never'
  const inner = (part: Schema, deeper = indent) => typeOfSchema(part, root, deeper, seen)
  const either = (parts: Schema[], sign: string) => {
    const types = [...new Set(parts.map((part) => inner(part)))]
    return types.length === 1 ? types[0]! : types.map((type) => (/[|&]/.test(type) && !type.startsWith('{') ? `(${type})` : type)).join(sign)
  }
  if (typeof schema['$ref'] === 'string') {
    const target = resolve(root, schema['$ref'])
    // One that contains itself has no type without a name.
    if (target === undefined || seen.includes(schema['$ref'])) return 'unknown'
    return typeOfSchema(target, root, indent, [...seen, schema['$ref']])
  }
  if ('const' in schema) return literal(schema['const'])
  if (Array.isArray(schema['enum'])) return schema['enum'].map(literal).join(' | ') || 'never'
  if (Array.isArray(schema['anyOf']) || Array.isArray(schema['oneOf'])) return either(schema['anyOf'] ?? schema['oneOf'], ' | ')
  if (Array.isArray(schema['allOf'])) {
    const { allOf, ...rest } = schema
    return either([...(Object.keys(rest).some((key) => key === 'properties' || key === 'type') ? [rest] : []), ...allOf], ' & ')
  }
  if (Array.isArray(schema['type'])) return either(schema['type'].map((type: string) => ({ ...schema, type })), ' | ')
  if (schema['type'] === 'array' && Array.isArray(schema['prefixItems'])) return 'unknown[]'
  if (schema['type'] === 'array' && schema['items'] !== undefined) return `Array<${inner(schema['items'])}>`
  if (schema['properties'] !== undefined) return objectType(schema, inner, indent)
  if (schema['type'] === 'object' && typeof schema['additionalProperties'] === 'object') return `Record<string, ${inner(schema['additionalProperties'])}>`
  return SIMPLE[schema['type'] as string] ?? 'unknown'
}

function objectType(schema: Record<string, any>, inner: (part: Schema, indent: string) => string, indent: string): string {
  const required: string[] = schema['required'] ?? []
  const deeper = `${indent}  `
  const lines = Object.entries(schema['properties'] as Record<string, Schema>).flatMap(([name, part]) => {
    const note = typeof part === 'object' && typeof part['description'] === 'string' ? [`${deeper}${comment(part['description'])}`] : []
    return [...note, `${deeper}${quoted(name)}${required.includes(name) ? '' : '?'}: ${inner(part, deeper)}`]
  })
  return lines.length > 0 ? `{\n${lines.join('\n')}\n${indent}}` : 'Record<string, unknown>'
}

const literal = (value: unknown) => (typeof value === 'object' && value !== null ? 'unknown' : JSON.stringify(value))

/** The part of a schema that a local reference names. */
function resolve(root: Schema, reference: string): Schema | undefined {
  if (!reference.startsWith('#')) return undefined
  const steps = reference.slice(1).split('/').filter(Boolean).map((step) => decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~'))
  return steps.reduce<any>((at, step) => at?.[step], root) as Schema | undefined
}

const typeName = (tag: string) => tag.split(/[^A-Za-z0-9]+/).filter(Boolean).map((word) => word[0]!.toUpperCase() + word.slice(1)).join('').replace(/^\d/, '_$&') || '_'

/** A module of types: one for the data of each definition, and `SessionData`, which names them by tag. */
export function definitionTypes(product: string, definitions: Pick<Definition, 'tag' | 'name' | 'description' | 'schema'>[]): string {
  const names = new Map<string, string>()
  for (const { tag } of definitions) {
    let name = typeName(tag)
    // Tags that differ only in what no name can have.
    while ([...names.values(), 'SessionData'].includes(name)) name += '_'
    names.set(tag, name)
  }
  const types = definitions.map(({ tag, name, description, schema }) =>
    `${comment(`${name}: ${description}`)}\nexport type ${names.get(tag)!} = ${typeOfSchema(schema)}\n`)
  const index = definitions.map(({ tag }) => `  ${quoted(tag)}: ${names.get(tag)!}\n`).join('')
  return [`// The session data of the product ${product.replace(/\s/g, ' ')}: printed by "dialstack-sessions types".\n`, ...types,
    `/** The data of a session, by the tag of its definition. */\nexport interface SessionData {\n${index}}\n`].join('\n')
}
