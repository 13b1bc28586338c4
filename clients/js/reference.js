// usage: node reference.js calls|types
//
// Prints a page of the manual, docs/reference/client-js.md or client-js-types.md, made of the types and their comments in src/.

import { readFileSync } from 'node:fs'
import ts from 'typescript'

const CALLS = `# Client for Node

<!-- This page is made of the types of clients/js by scripts/docs generate. -->

What the package \`dialstack-sessions\` exports, from its types. A first example is in [First session in Node](../start/node.md); the
SQL functions behind the calls are in [Functions](index.md), by the names in snake_case; arguments and results in [Types](client-js-types.md).

- A call takes one object. \`product\`, \`env\` and \`tag\` that it does not name are those of the client; \`null\` says that there is none.
- Moments are \`Date\`, counts are numbers. Results have camelCase names; those of \`accountSessions\` and \`clientSessions\` have
  the names of the products' documents, and answer to camelCase too.
- A token that is not good is an answer of \`verify\` and \`refresh\`, with a \`reason\`. All else that fails throws
  [SessionError](#sessionerror).
- What collides with another transaction (40001) is repeated, where the client itself opened the transaction: up to five times.
- Callers that refresh the same token at the same time share one call.
- A token, a key or a bound value of the server's is in no message and no field of an error. \`console.log\` of a result shows stars for its
  tokens; \`JSON.stringify\` and your code have them.
`
const TYPES = `# Types of the client for Node

<!-- This page is made of the types of clients/js by scripts/docs generate. -->

What the calls of the [client for Node](client-js.md) take and return.
`
const PAGES = {
  calls: [CALLS, [
    ['The client', 'client.ts', ['DialstackSessions', 'ClientOptions']],
    ['Where a session belongs', 'values.ts', ['Place']],
    ['Calls', 'types.ts', ['Sessions', 'AccountSessions', 'ClientSessions', 'Definitions', 'Keys']],
    ['Errors', 'error.ts', ['SessionError', 'ClientErrorCode']],
    ['Cookies: `dialstack-sessions/web`', 'web/index.ts', null],
    ['Express: `dialstack-sessions/express`', 'web/express.ts', null],
    ['Other drivers: `dialstack-sessions/postgres`', 'postgres.ts', null],
  ]],
  types: [TYPES, [
    ['Times', 'values.ts', ['Interval', 'Moment']],
    ['User sessions', 'types.ts', null],
    ['Account and client sessions', 'snake.ts', null],
  ]],
}
const page = PAGES[process.argv[2]]
if (!page) {
  console.error('usage: node reference.js calls|types')
  process.exit(2)
}
const [intro, sections] = page
// The calls have a page of their own.
const ELSEWHERE = new Set(process.argv[2] === 'types' ? ['Sessions', 'AccountSessions', 'ClientSessions', 'Definitions', 'Keys'] : [])

const folder = new URL('src/', import.meta.url)
const cell = (text) => text.replace(/\s+/g, ' ').replaceAll('|', '\\|').trim()
const codeCell = (text) => `\`${cell(text)}\``

/** The comment above a declaration, without its tags; a deprecation stays. */
function comment(node) {
  const [doc] = (node.jsDoc ?? []).slice(-1)
  if (!doc) return ''
  const text = ts.getTextOfJSDocComment(doc.comment) ?? ''
  const deprecated = (doc.tags ?? []).find((tag) => tag.tagName.text === 'deprecated')
  return [text, deprecated && `Deprecated: ${ts.getTextOfJSDocComment(deprecated.comment)}.`].filter(Boolean).join(' ')
}

const isPublic = (member) => !(member.name && ts.isPrivateIdentifier(member.name)) && !(member.modifiers ?? []).some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword)

/** Name and type of a member, as `[name, type]`; of a method, its arguments and what it returns. */
function memberParts(member, source) {
  const text = (node) => (node ? node.getText(source) : '')
  const name = `${text(member.name) || 'new'}${member.questionToken ? '?' : ''}`
  if (ts.isPropertySignature(member) || ts.isPropertyDeclaration(member)) return [name, text(member.type) || text(member.initializer)]
  if (ts.isGetAccessor(member)) return [name, text(member.type)]
  const generics = member.typeParameters ? `<${member.typeParameters.map(text).join(', ')}>` : ''
  return [`${name}${generics}(${member.parameters.map(text).join(', ')})`, text(member.type)]
}

function members(node, source) {
  const rows = [...node.members].filter(isPublic).flatMap((member) => {
    if (ts.isConstructorDeclaration(member)) {
      // Parameters that are properties.
      return member.parameters.filter(({ modifiers }) => modifiers).map((p) => [p.name.getText(source), p.type.getText(source), comment(p)])
    }
    return [[...memberParts(member, source), comment(member)]]
  })
  return rows.length === 0 ? '' : `| member | type | meaning |\n|---|---|---|\n${rows.map(([name, type, meaning]) => `| ${codeCell(name)} | ${codeCell(type)} | ${cell(meaning)} |`).join('\n')}\n`
}

function describe(node, source) {
  const name = node.name.text
  const about = comment(node)
  const generics = node.typeParameters ? `<${node.typeParameters.map((one) => one.getText(source)).join(', ')}>` : ''
  if (ts.isFunctionDeclaration(node)) {
    const [signature, type] = memberParts(node, source)
    return `### ${name}\n\n${codeCell(`${signature}${type ? `: ${type}` : ''}`).replaceAll('\\|', '|')}\n${about ? `\n${about}\n` : ''}`
  }
  const parents = (node.heritageClauses ?? []).flatMap(({ types }) => types.map((type) => codeCell(type.getText(source)).replaceAll('\\|', '|')))
  const extending = parents.length > 0 ? `With all of ${parents.join(', ')}.` : ''
  return [`### ${name}`, [about, extending].filter(Boolean).join(' '), members(node, source)].filter(Boolean).join('\n\n').trimEnd() + '\n'
}

/** Types that are names for others. */
function aliasTable(nodes, source) {
  const row = (node) => `| ${codeCell(node.name.text)} | ${codeCell(node.type.getText(source).replace(/^\s*\|/, ''))} | ${cell(comment(node))} |\n`
  return `| type | is | meaning |\n|---|---|---|\n${nodes.map(row).join('')}`
}

const isExported = (node) => (node.modifiers ?? []).some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)
const isDeclaration = (node) => ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) || ts.isClassDeclaration(node) || ts.isFunctionDeclaration(node)

const parts = sections.map(([title, file, names]) => {
  const source = ts.createSourceFile(file, readFileSync(new URL(file, folder), 'utf8'), ts.ScriptTarget.ES2022, true)
  const declarations = source.statements.filter((node) => isDeclaration(node) && (file === 'snake.ts' || isExported(node)))
  const chosen = (names ?? declarations.map((node) => node.name.text).filter((name) => !ELSEWHERE.has(name))).map((name) => declarations.find((node) => node.name.text === name))
  const aliases = chosen.filter(ts.isTypeAliasDeclaration)
  const others = chosen.filter((node) => !ts.isTypeAliasDeclaration(node)).map((node) => describe(node, source))
  return [`## ${title}\n`, ...(aliases.length > 0 ? [aliasTable(aliases, source)] : []), ...others].join('\n')
})
process.stdout.write([intro, ...parts].join('\n'))
