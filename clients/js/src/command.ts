#!/usr/bin/env node
// usage: dialstack-sessions types --product PRODUCT [--tag TAG] [--connection URL]

import { parseArgs } from 'node:util'
import { DialstackSessions } from './client.js'
import { definitionTypes } from './schema.js'
import { SessionError } from './error.js'

const USAGE = `usage: dialstack-sessions types --product PRODUCT [--tag TAG] [--connection URL]

Prints TypeScript types for the session data of a product's definitions, or of the one with that tag. Without a URL,
PGHOST, PGDATABASE and so on say where the database is. The role needs access level "admin".
`

async function main(): Promise<number> {
  let options
  try {
    options = parseArgs({ allowPositionals: true, options: { product: { type: 'string' }, tag: { type: 'string' }, connection: { type: 'string' }, help: { type: 'boolean' } } })
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}`)
    return 2
  }
  const { values: { product, tag, connection, help }, positionals } = options
  if (help) {
    process.stdout.write(USAGE)
    return 0
  }
  if (positionals.length !== 1 || positionals[0] !== 'types' || !product) {
    process.stderr.write(USAGE)
    return 2
  }
  const client = new DialstackSessions({ product, ...(connection === undefined ? {} : { connectionString: connection }) })
  try {
    const { definitions } = client
    process.stdout.write(definitionTypes(product, tag === undefined ? await definitions.list() : [await definitions.get({ tag })]))
    return 0
  } catch (error) {
    if (!(error instanceof SessionError)) throw error
    process.stderr.write(`${error.message}\n${error.hint ? `${error.hint}\n` : ''}`)
    return 1
  } finally {
    await client.close()
  }
}

process.exitCode = await main()
