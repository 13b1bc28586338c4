// Prisma: queries under a token, and what it prints. Its tool for migrations needs an engine that is not on the registry.

import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { PrismaPg } from '@prisma/adapter-pg'
import { PrismaClient } from './generated/index.js'
import { client, host, newUser, SECRET } from '../support.js'

const login = client('web_login')
const adapter = (user) => new PrismaPg({ host, port: Number(process.env.PGPORT), user, database: 'postgres' })
const web = new PrismaClient({ adapter: adapter('web_client'), errorFormat: 'pretty' })
const server = new PrismaClient({ adapter: adapter('web_login') })
after(() => Promise.all([web.$disconnect(), server.$disconnect()]))

/** Runs work in a transaction in which the token is presented. */
const withToken = (token, work, prisma = web) => prisma.$transaction(async (tx) => {
  await tx.$executeRaw`SELECT set_config('dialstack_sessions.token', ${token ?? ''}, true)`
  return work(tx)
})
/** The client of the sessions inside a transaction of Prisma's. */
const within = (tx) => login.within({ query: async (text, values) => ({ rows: await tx.$queryRawUnsafe(text, ...values) }) })

describe('Prisma', () => {
  it('sees the rows of the session alone', async () => {
    const { token } = await login.sessions.create({ data: { userId: 'ada' } })
    assert.deepEqual(await withToken(token, (tx) => tx.note.findMany({ select: { text: true } })), [{ text: 'of Ada' }])
    assert.deepEqual(await withToken(null, (tx) => tx.note.findMany()), [])
    assert.deepEqual(await web.note.findMany(), [])
    assert.equal(await withToken(token, async (tx) => {
      const { id } = await tx.note.create({ data: { owner: 'ada', text: 'new' } })
      return (await tx.note.delete({ where: { id } })).owner
    }), 'ada')
    await assert.rejects(withToken(token, (tx) => tx.note.create({ data: { owner: 'bob', text: 'forged' } })), /row-level security/)
  })

  it('carries a revocation in its transaction', async () => {
    const userId = newUser()
    const { token } = await login.sessions.create({ data: { userId } })
    const change = (fail) => server.$transaction(async (tx) => {
      await tx.$executeRaw`UPDATE counters SET value = 1`
      assert.equal(await within(tx).sessions.revoke({ identifier: userId }), 1)
      if (fail) throw new Error('no')
    })
    await assert.rejects(change(true), /no/)
    assert.equal((await login.sessions.verify({ token })).valid, true)
    await change(false)
    assert.equal((await login.sessions.verify({ token })).reason, 'revoked')
    await assert.rejects(server.$transaction((tx) => within(tx).sessions.getInfo({ sessionId: '00000000-0000-4000-8000-000000000000' })),
      (error) => { assert.equal(error.name, 'SessionError'); return true })
  })

  it('prints no token in an error, and logs those that it binds', async () => {
    const { token } = await login.sessions.create({ data: { userId: 'ada' } })
    await assert.rejects(withToken(token, (tx) => tx.$queryRaw`SELECT dialstack.session_require(${token}, 'nowhere')`), (error) => {
      assert.doesNotMatch(`${error.message}${error.stack}${JSON.stringify(error)}`, SECRET)
      return true
    })
    const logging = new PrismaClient({ adapter: adapter('web_client'), log: [{ emit: 'event', level: 'query' }] })
    const events = []
    logging.$on('query', (event) => events.push(event))
    await withToken(token, (tx) => tx.note.findMany(), logging)
    await logging.$disconnect()
    // Why the manual says to leave them out.
    assert.ok(events.some(({ params }) => SECRET.test(params)))
    assert.ok(events.every(({ query }) => !SECRET.test(query)))
  })
})
