// The package as it would be published.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { query } from './support.js'

const run = promisify(execFile)
const { DSS_ROOT, DSS_WORK, DSS_PACKAGE } = process.env
const source = `${DSS_WORK}/clients/js`

describe('the package', () => {
  it('installs into an empty folder and runs the first example of its README', async () => {
    await query('CREATE ROLE my_backend LOGIN')
    await query("SELECT dialstack.grant_access('my_backend', 'server')")
    const readme = readFileSync(`${source}/README.md`, 'utf8')
    const [, install] = /```sh\n(.*?)\n```/s.exec(readme)
    const [, example] = /```js\n(.*?)```/s.exec(readme)
    const [, prints] = /```text\n(.*?)```/s.exec(readme)
    assert.equal(install, 'npm install "$(REPOSITORY/scripts/client-js REPOSITORY/target)" pg')
    const folder = mkdtempSync(`${DSS_WORK}/empty-`)
    await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', DSS_PACKAGE, 'pg'], { cwd: folder })
    writeFileSync(`${folder}/example.mjs`, example)
    const { stdout, stderr } = await run(process.execPath, ['example.mjs'], { cwd: folder })
    assert.deepEqual([stdout, stderr], [prints, ''])
    const { stdout: usage } = await run('npx', ['--no-install', 'dialstack-sessions', '--help'], { cwd: folder })
    assert.match(usage, /^usage/)
    const { stdout: tree } = await run('npm', ['ls', '--omit=dev', '--json'], { cwd: folder })
    assert.deepEqual(Object.keys(JSON.parse(tree).dependencies).sort(), ['dialstack-sessions', 'pg'])
  })

  it('has nothing that publint complains of', async () => {
    const { stdout } = await run(process.execPath, ['node_modules/publint/src/cli.js', '--strict', source])
    assert.match(stdout, /All good!/)
  })

  it('has no dependency, and one peer', () => {
    const { dependencies, peerDependencies, version } = JSON.parse(readFileSync(`${source}/package.json`))
    assert.deepEqual([dependencies, Object.keys(peerDependencies)], [undefined, ['pg']])
    assert.equal(version, /^default_version = '(.*)'$/m.exec(readFileSync(`${DSS_ROOT}/dialstack_sessions.control`, 'utf8'))[1])
  })

  it('has types that an application compiles with, every library checked', async () => {
    const folder = mkdtempSync(`${process.cwd()}/strict-`)
    writeFileSync(`${folder}/application.ts`, `
      import express from 'express'
      import pg from 'pg'
      import postgres from 'postgres'
      import { DialstackSessions, SessionError } from 'dialstack-sessions'
      import { sessions } from 'dialstack-sessions/express'
      import { postgresDatabase } from 'dialstack-sessions/postgres'
      import { withSessions } from 'dialstack-sessions/web'

      interface User { userId: string }
      const client = new DialstackSessions({ pool: new pg.Pool(), product: 'p', env: 'e', tag: 't' })
      const created = await client.sessions.create<User>({ data: { userId: 'ada' } })
      const verdict = await client.sessions.verify<User>({ token: created.token })
      if (verdict.valid) verdict.data.userId.toUpperCase()
      else switch (verdict.reason) { case 'expired': case 'revoked': break }
      await client.sessions.verify({ token: created.token, tag: null })
      const refreshed = await client.sessions.refresh({ refreshToken: created.refreshToken })
      if (refreshed.ok) refreshed.token.length
      const rows: { text: string }[] = await client.withToken(created.token, async (db) => (await db.query<{ text: string }>('SELECT 1')).rows)
      const account = await client.accountSessions.create({ account: 'a', components: { call_logs: { enabled: true } } })
      account.expires_at.getTime() + account.expiresAt.getTime() + account.client_secret.length
      await client.clientSessions.grantAccess({ clientSessionId: 'x', connectedAccountIds: [] })
      await client.clientSessions.grantAccess({ client_session_id: 'x', connected_account_ids: [] })
      const other = new DialstackSessions({ database: postgresDatabase(postgres()) })
      await other.withToken(null, async (sql) => { const [row] = await sql<{ n: number }[]>\`SELECT 1 AS n\`; row!.n.toFixed(); return rows })
      const app = express()
      app.use(sessions<User>(client))
      app.get('/', (req, res) => { res.send(req.session?.identifier) })
      const handler: (request: Request) => Promise<Response> = withSessions<User>(client, (_, visit) => new Response(visit.session?.data.userId))
      export { app, handler, SessionError }
      // @ts-expect-error nothing is known of the data of a refused token
      if (!verdict.valid) verdict.data.userId
      // @ts-expect-error
      await client.sessions.create({ data: { userId: 'ada' }, colour: 'red' })
      // @ts-expect-error
      await client.sessions.getInfo({})
      // @ts-expect-error
      await client.accountSessions.create({ components: {} })
    `)
    const { stdout } = await run(process.execPath, ['node_modules/typescript/bin/tsc', '--noEmit', '--strict', '--noUncheckedIndexedAccess', '--exactOptionalPropertyTypes',
      '--module', 'nodenext', '--target', 'es2022', '--lib', 'es2023', '--types', 'node', `${folder}/application.ts`]).catch((error) => error)
    assert.equal(stdout, '')
  })
})
