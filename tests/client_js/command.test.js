// `dialstack-sessions types`: what it prints compiles, and says of data what the definition says.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { typeOfSchema } from './node_modules/dialstack-sessions/dist/schema.js'
import { client, rejects } from './support.js'

const run = promisify(execFile)
const command = (...args) => run(process.execPath, ['node_modules/dialstack-sessions/dist/command.js', ...args], { env: { ...process.env, PGUSER: 'web_admin' } })
const admin = client('web_admin', { tag: undefined })

describe('the types of a product', () => {
  it('fit the data that its definitions take', async () => {
    const common = { product: 'my-product', name: 'N', description: 'Ends */ no comment', expiry: 1, period: 'hours' }
    await admin.definitions.create({
      ...common, tag: 'checkout.flow-2', selector: '$Session{user}{id}',
      schema: {
        type: 'object', required: ['user', 'step'],
        properties: {
          user: { type: 'object', properties: { id: { type: 'string' }, 'e-mail': { type: ['string', 'null'] } }, required: ['id'] },
          step: { enum: ['cart', 'paid', 3] }, items: { type: 'array', items: { $ref: '#/$defs/item' } }, extra: true,
        },
        $defs: { item: { type: 'object', properties: { sku: { type: 'string', description: 'Ends */ no comment' }, count: { type: 'integer' } }, required: ['sku'] } },
      },
    })
    const { stdout } = await command('types', '--product', 'my-product')
    const folder = mkdtempSync(`${process.cwd()}/types-`)
    writeFileSync(`${folder}/sessions.ts`, stdout)
    writeFileSync(`${folder}/good.ts`, `
      import type { SessionData, UserSession } from './sessions.js'
      import { DialstackSessions } from 'dialstack-sessions'
      const client = new DialstackSessions()
      const user: UserSession = { userId: 'ada' }
      const data: SessionData['checkout.flow-2'] = { user: { id: 'ada', 'e-mail': null }, step: 'cart', items: [{ sku: 'a', count: 1 }], extra: [1] }
      await client.sessions.create<UserSession>({ data: { userId: 'ada', role: 'admin' } })
      const verdict = await client.sessions.verify<SessionData['user-session']>({ token: '' })
      if (verdict.valid) { const role: string | undefined = verdict.data.role; console.log(role, user, data) }
    `)
    const tsc = (file) => run(process.execPath, ['node_modules/typescript/bin/tsc', '--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node', `${folder}/${file}`])
      .then(() => '', (error) => error.stdout)
    assert.equal(await tsc('good.ts'), '')
    const bad = { type: "{ userId: 7 }", missing: '{}' }
    for (const [name, value] of Object.entries(bad)) {
      writeFileSync(`${folder}/${name}.ts`, `import type { UserSession } from './sessions.js'\nexport const user: UserSession = ${value}`)
      assert.match(await tsc(`${name}.ts`), /error TS/)
    }
    const one = (await command('types', '--product', 'my-product', '--tag', 'user-session')).stdout
    assert.ok(/UserSession/.test(one) && !/CheckoutFlow2/.test(one), one)
    await assert.rejects(command('types', '--product', 'my-product', '--tag', 'nowhere'), (error) => error.stderr.startsWith('DEFINITION_NOT_FOUND'))
    await admin.definitions.delete({ tag: 'checkout.flow-2' })
  })

  it('say unknown where TypeScript has no word', () => {
    const cases = [
      [{ type: 'integer' }, 'number'], [{ type: ['string', 'null'] }, 'string | null'], [{ const: 'a' }, '"a"'], [{}, 'unknown'], [true, 'unknown'], [false, 'never'],
      [{ type: 'array' }, 'unknown[]'], [{ type: 'array', items: { anyOf: [{ type: 'string' }, { type: 'number' }] } }, 'Array<string | number>'],
      [{ type: 'object', additionalProperties: { type: 'number' } }, 'Record<string, number>'], [{ $ref: 'https://elsewhere.example/schema' }, 'unknown'],
      [{ $ref: '#' }, 'unknown'], [{ allOf: [{ type: 'string' }, { minLength: 3 }] }, 'string & unknown'],
      [{ type: 'object', properties: { 'a-b': { type: 'string' } }, required: ['a-b'] }, '{\n  "a-b": string\n}'],
    ]
    for (const [schema, type] of cases) assert.equal(typeOfSchema(schema), type, JSON.stringify(schema))
  })

  it('are an error for a product that is not there, and without one', async () => {
    await assert.rejects(command('types', '--product', 'nowhere'), (error) => error.code === 1 && error.stderr.startsWith('PRODUCT_NOT_FOUND'))
    await assert.rejects(command('types'), (error) => error.code === 2 && /^usage/.test(error.stderr))
    await assert.rejects(command('types', '--colour'), (error) => error.code === 2)
    await rejects(client('web_client').definitions.list(), 'PERMISSION_DENIED')
    assert.match((await command('--help')).stdout, /^usage/)
  })
})
