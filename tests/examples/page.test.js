// The example's page, in a browser.

import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { Tab, tabs } from './browser.js'
import { SECRET, holderOf, logs, query, restoreMembers, revokeSessions, startServer, until } from './support.js'

const SESSION = '/api/dialstack/session'
const CALLS = '/api/call_logs'
const MAILS = '/api/voicemails'

const server = await startServer() // sessions of an hour
const brisk = await startServer({ SESSION_SECONDS: '6' })

beforeEach(restoreMembers)

/** The sessions that a tab was given, in order, and when. */
function sessionsOf(tab) {
  const given = tab.to(SESSION).filter((sent) => sent.status === 200)
  return Promise.all(given.map(async ({ at, body }) => ({ at, ...JSON.parse(await body) })))
}

const secretsOf = async (tab) => (await sessionsOf(tab)).map((session) => session.client_secret)

const loseAccess = () => query("DELETE FROM phone_app.members WHERE user_id = 'user_owner'")

describe('a session that works', { timeout: 180_000 }, () => {
  it('shows the call logs and the voicemails of the account', async () => {
    const tab = await Tab.working(server)
    await tab.reaches('Voicemails', 'ready')
    assert.deepEqual([await tab.rows('Call logs'), await tab.rows('Voicemails')], [4, 1])
    assert.match(await tab.becomes('active'), /valid until/)
    assert.equal(tab.to(SESSION).length, 1)
  })

  it('names its parts for who cannot see them', async () => {
    const tab = await Tab.working(server)
    const { page } = tab
    assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1)
    assert.deepEqual(await page.getByRole('heading', { level: 2 }).allTextContents(), ['Call logs', 'Voicemails'])
    const calls = page.getByRole('table', { name: 'Call logs' })
    assert.deepEqual(await calls.getByRole('columnheader').allTextContents(), ['Time', 'Direction', 'Number', 'Length'])
    for (const name of ['Log in', 'Log out', 'Reload call logs', 'Reload voicemails']) {
      assert.equal(await page.getByRole('button', { name }).count(), 1, name)
    }
    // States are announced: one status for the page and one for each component.
    assert.equal(await page.getByRole('status').count(), 3)
    assert.equal(await page.locator('html').getAttribute('lang'), 'en')
  })

  it('works by keyboard alone', async () => {
    const tab = await Tab.open(server)
    for (const key of ['Tab', 'Tab', 'Tab', 'Enter']) await tab.page.keyboard.press(key)
    await tab.reaches('Call logs', 'ready')
  })

  it('shows nothing of the former user to the next one', async () => {
    const tab = await Tab.working(server)
    await tab.logIn('user_south', 'acct_north')
    await tab.becomes('denied')
    assert.doesNotMatch(await tab.page.content(), /202 555/)
  })

  it('forgets everything at log-out', async () => {
    const tab = await Tab.working(server, { clock: 'fake' })
    await tab.page.getByRole('button', { name: 'Log out' }).click()
    await tab.becomes('logged-out')
    await until(() => tab.to('/demo/logout').length, 'the log-out')
    assert.deepEqual(await tab.context.cookies(), [])
    assert.doesNotMatch(await tab.page.content(), /202 555/)
    await tab.page.clock.fastForward('02:00:00')
    assert.equal(await tab.sent(SESSION), 1)
  })
})

describe('renewing', { timeout: 180_000 }, () => {
  it('happens before the session ends, while the call logs stay in sight', async () => {
    const tab = await Tab.working(brisk)
    await tab.component('Call logs').evaluate((section) => {
      window.seen = []
      const look = () => {
        const hidden = section.hidden || section.querySelector('table').hidden
        window.seen.push(`${section.dataset.state} ${hidden ? 0 : section.querySelectorAll('tbody tr').length}`)
      }
      look()
      new MutationObserver(look).observe(section, { attributes: true, childList: true, subtree: true })
    })
    const bearers = () => new Set(tab.to(CALLS).map((sent) => sent.bearer))
    await until(() => bearers().size >= 3, 'the second renewal')
    const [first, second, third] = await sessionsOf(tab)
    assert.ok(second.at < Date.parse(first.expires_at) && third.at < Date.parse(second.expires_at))
    const former = holderOf(brisk, first.client_secret)
    await until(async () => (await former.get(CALLS)).body.code === 'expired', 'the end of the first session')
    assert.deepEqual([...new Set(await tab.page.evaluate(() => window.seen))], ['ready 4'])
    assert.deepEqual([...new Set(tab.exchanges.map((sent) => sent.status))].filter((status) => status >= 400), [])
    await tab.close()
  })

  it('happens five minutes before the end of a long session, not earlier', async () => {
    const tab = await Tab.working(server, { clock: 'fake' })
    await tab.page.clock.fastForward('53:00')
    assert.equal(await tab.sent(SESSION), 1)
    await tab.page.clock.fastForward('03:00')
    await until(() => tab.to(CALLS).length === 2, 'the renewal')
    assert.deepEqual(tab.to(CALLS).map((sent) => sent.bearer), await secretsOf(tab))
  })

  it('makes up for a machine that slept past the end: once, and the request is sent again', async () => {
    const tab = await Tab.working(brisk, { clock: 'stopped' })
    const [first] = await secretsOf(tab)
    await until(async () => (await holderOf(brisk, first).get(CALLS)).body.code === 'expired', 'the end of the session')
    await tab.reload('Call logs')
    await until(() => tab.to(CALLS).length === 3, 'the request that was sent again')
    await tab.reaches('Call logs', 'ready')
    assert.deepEqual(tab.to(CALLS).map((sent) => sent.status), [200, 401, 200])
    assert.equal(tab.to(SESSION).length, 2)
    assert.equal(await tab.rows('Call logs'), 4)
  })

  it('is done once for components that are refused at the same time', async () => {
    const tab = await Tab.working(server)
    await tab.reaches('Voicemails', 'ready')
    await revokeSessions('acct_north')
    await tab.page.evaluate(() => document.querySelectorAll('section button').forEach((button) => button.click()))
    await until(() => tab.to(CALLS).length === 3 && tab.to(MAILS).length === 3, 'the requests that were sent again')
    assert.deepEqual(tab.to(MAILS).map((sent) => sent.status), [200, 401, 200])
    assert.equal(tab.to(SESSION).length, 2)
  })

  it('gets over a server that fails for a while', async () => {
    const tab = await Tab.working(server, { clock: 'fake' })
    await tab.page.route(`**${SESSION}`, (route) => route.fulfill({ status: 503, body: 'away' }), { times: 1 })
    await tab.page.clock.fastForward('55:30')
    await until(() => tab.to(SESSION).some((sent) => sent.status === 503), 'the failure')
    assert.equal(await tab.rows('Call logs'), 4)
    await tab.page.clock.fastForward('01:01')
    await until(() => tab.to(CALLS).length === 2, 'the renewal')
    assert.equal(await tab.rows('Call logs'), 4)
    await tab.becomes('active')
  })
})

describe('a component that could not be loaded', { timeout: 180_000 }, () => {
  it('says so, and comes back with the next renewal', async () => {
    const tab = await Tab.working(server, { clock: 'fake' })
    await tab.page.route(`**${CALLS}`, (route) => route.fulfill({ status: 503, json: { error: 'away' } }), { times: 1 })
    await tab.reload('Call logs')
    await tab.reaches('Call logs', 'failed')
    assert.match(await tab.component('Call logs').getByRole('status').textContent(), /could not be loaded/)
    await tab.page.clock.fastForward('56:00')
    await tab.reaches('Call logs', 'ready')
    assert.equal(await tab.rows('Call logs'), 4)
  })
})

describe('a component that is disabled', { timeout: 180_000 }, () => {
  it('says so, beside one that works', async () => {
    const tab = await Tab.working(server, { user: 'user_analyst' })
    await tab.reaches('Voicemails', 'disabled')
    assert.match(await tab.component('Voicemails').getByRole('status').textContent(), /disabled for your session/)
    assert.deepEqual([await tab.rows('Call logs'), await tab.rows('Voicemails')], [4, 0])
    await tab.becomes('active')
  })

  it('is asked again once with a new session, and then left alone', async () => {
    const tab = await Tab.working(server, { user: 'user_analyst', clock: 'fake' })
    await tab.reaches('Voicemails', 'disabled')
    assert.deepEqual(tab.to(MAILS).map((sent) => sent.status), [403, 403])
    assert.deepEqual(tab.to(MAILS).map((sent) => sent.bearer), await secretsOf(tab))
    await tab.page.clock.fastForward('56:00')
    await until(() => tab.to(CALLS).length === 2, 'the renewal')
    assert.deepEqual([await tab.sent(SESSION), await tab.sent(MAILS)], [3, 2])
  })

  it('works from the moment that the user is granted it and asks again', async () => {
    const tab = await Tab.working(server, { user: 'user_analyst' })
    await tab.reaches('Voicemails', 'disabled')
    await query("UPDATE phone_app.members SET components = '{call_logs,voicemails}' WHERE user_id = 'user_analyst'")
    await tab.reload('Voicemails')
    await tab.reaches('Voicemails', 'ready')
    assert.equal(await tab.rows('Voicemails'), 1)
  })
})

describe('a session that ends', { timeout: 180_000 }, () => {
  /** It says why, unlike a disabled component, and shows no data any more. */
  async function assertExpired(tab, why) {
    assert.match(await tab.becomes('expired'), why)
    for (const title of ['Call logs', 'Voicemails']) {
      await tab.reaches(title, 'expired')
      assert.equal(await tab.rows(title), 0)
      const note = await tab.component(title).getByRole('status').textContent()
      assert.match(note, /session has ended/)
      assert.ok(await tab.component(title).getByRole('button').isDisabled())
    }
    assert.doesNotMatch(await tab.page.content(), /202 555/)
  }

  it('shows that it has expired when the user has lost the access to the account', async () => {
    const tab = await Tab.working(brisk)
    await loseAccess()
    await assertExpired(tab, /You have no access to this account/)
    assert.equal(tab.to(SESSION).at(-1).status, 403)
  })

  it('asks for no session after that', async () => {
    const tab = await Tab.working(server, { clock: 'fake' })
    await loseAccess()
    await tab.page.clock.fastForward('56:00')
    await assertExpired(tab, /no access/)
    await tab.page.clock.fastForward('05:00:00')
    assert.deepEqual([await tab.sent(SESSION), await tab.sent(CALLS)], [2, 1])
  })

  it('shows the same when the user was logged out elsewhere', async () => {
    const tab = await Tab.working(server, { clock: 'fake' })
    await tab.context.clearCookies()
    await tab.page.clock.fastForward('56:00')
    await assertExpired(tab, /You are not logged in/)
    assert.equal(tab.to(SESSION).at(-1).status, 401)
  })

  it('shows the same when it was revoked and the user has lost the access', async () => {
    const tab = await Tab.working(server)
    await loseAccess()
    await revokeSessions('acct_north')
    await tab.reload('Call logs')
    await assertExpired(tab, /no access/)
    assert.deepEqual(tab.to(CALLS).map((sent) => sent.status), [200, 401])
  })

  it('shows the same when the server failed until the end', async () => {
    const tab = await Tab.working(brisk)
    await tab.page.route(`**${SESSION}`, (route) => route.fulfill({ status: 503, body: 'away' }))
    await assertExpired(tab, /could not be renewed in time/)
  })

  it('can be begun again', async () => {
    const tab = await Tab.working(server, { clock: 'fake' })
    await tab.context.clearCookies()
    await tab.page.clock.fastForward('56:00')
    await tab.becomes('expired')
    await tab.logIn('user_owner', 'acct_north')
    await tab.reaches('Call logs', 'ready')
    assert.equal(await tab.rows('Call logs'), 4)
    await tab.becomes('active')
  })
})

describe('who may not', { timeout: 180_000 }, () => {
  it('sees nothing of the account of somebody else', async () => {
    const tab = await Tab.open(server)
    await tab.logIn('user_owner', 'acct_south')
    assert.match(await tab.becomes('denied'), /You have no access to this account/)
    assert.equal(tab.to(SESSION).at(-1).status, 403)
    assert.deepEqual([await tab.sent(CALLS), await tab.sent(MAILS)], [0, 0])
    assert.equal(await tab.component('Call logs').count(), 0)
  })
})

describe('secrets, in all these browsers', { timeout: 180_000 }, () => {
  const received = () => Promise.all(tabs.flatMap((tab) => tab.exchanges).map(async (sent) => ({ ...sent, body: await sent.body })))

  it('came in the answers to session requests, and in no other', async () => {
    const withSecret = (await received()).filter((sent) => SECRET.test(sent.body))
    assert.ok(withSecret.length > 20)
    assert.deepEqual([...new Set(withSecret.map((sent) => `${sent.method} ${sent.path} ${sent.status}`))], [`POST ${SESSION} 200`])
    assert.ok(withSecret.every((sent) => sent.body.match(new RegExp(SECRET, 'g')).every((secret) => secret.startsWith('cs_test_'))))
  })

  it('never included the API key', async () => {
    assert.match(process.env.DIALSTACK_API_KEY, SECRET)
    assert.ok((await received()).every((sent) => !`${sent.url} ${sent.body} ${sent.bearer}`.includes(process.env.DIALSTACK_API_KEY)))
  })

  it('went back as bearer tokens to the components alone, never in an address', async () => {
    const carried = (await received()).filter((sent) => sent.bearer)
    assert.deepEqual([...new Set(carried.map((sent) => sent.path))].sort(), [CALLS, MAILS])
    assert.ok((await received()).every((sent) => !SECRET.test(sent.url)))
  })

  it('are not in the document, the storage or the cookies that scripts can read', async () => {
    const tab = await Tab.working(server)
    const found = await tab.page.evaluate(() => [
      document.documentElement.outerHTML, location.href, document.cookie,
      JSON.stringify({ ...localStorage, ...sessionStorage }),
    ])
    assert.doesNotMatch(found.join('\n'), SECRET)
    const logins = await tab.context.cookies()
    assert.deepEqual(logins.map(({ name, httpOnly, secure, sameSite }) => [name, httpOnly, secure, sameSite]).sort(),
      [['__Host-refresh', true, true, 'Lax'], ['__Host-session', true, true, 'Lax']])
    for (const { value } of logins) assert.ok(!found.join('\n').includes(value))
  })

  it('are in no log', () => {
    const { servers, database } = logs()
    assert.match(database, /account_session_create\(account => \$1/)
    assert.doesNotMatch(servers + database, SECRET)
    assert.doesNotMatch(servers + database, /eyJ/)
  })

  it('met no script error, and the pages spoke to their own server alone', () => {
    assert.deepEqual(tabs.flatMap((tab) => tab.complaints), [])
    const own = new Set([server.url, brisk.url])
    assert.deepEqual(tabs.flatMap((tab) => tab.requests).map((url) => url.origin).filter((origin) => !own.has(origin)), [])
  })
})
