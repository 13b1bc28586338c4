// The web application, used in browsers, and attacked behind them.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import pg from 'pg'
import { browser } from './browser.js'
import { logs, query, SECRET, startServer, until } from './support.js'

let server
before(async () => { server = await startServer({}, 'web-login') })

let number = 0
const newName = () => `user${++number}`
const PASSWORD = 'correct horse'

/** A browser of its own, with the page open. */
class Visitor {
  complaints = []

  static async open(userAgent) {
    const visitor = new Visitor()
    visitor.context = await browser.newContext(userAgent ? { userAgent } : {})
    visitor.page = await visitor.newTab()
    return visitor
  }

  async newTab(path = '/') {
    const page = await this.context.newPage()
    page.setDefaultTimeout(15_000)
    page.on('pageerror', (error) => this.complaints.push(error.message))
    await page.goto(server.url + path)
    return page
  }

  async submit(button, fields) {
    const form = this.page.locator('form').filter({ has: this.page.getByRole('button', { name: button, exact: true }) })
    for (const [label, value] of Object.entries(fields)) await form.getByLabel(label, { exact: true }).fill(value)
    await Promise.all([this.page.waitForLoadState('load'), form.getByRole('button', { name: button, exact: true }).click()])
    await this.page.waitForLoadState('load')
  }

  static async signedUp(name = newName(), userAgent) {
    const visitor = await Visitor.open(userAgent)
    await visitor.submit('Sign up', { Name: name, Password: PASSWORD })
    await visitor.isIn()
    return Object.assign(visitor, { name })
  }

  static async loggedIn(name, userAgent, password = PASSWORD) {
    const visitor = await Visitor.open(userAgent)
    await visitor.submit('Log in', { Name: name, Password: password })
    return Object.assign(visitor, { name })
  }

  go(path) {
    return this.page.goto(server.url + path)
  }

  isIn() {
    return this.page.getByRole('button', { name: 'Log out', exact: true }).waitFor()
  }

  /** It is shown the log-in, and why. */
  async isOut(why) {
    await this.go('/')
    await this.page.getByRole('heading', { name: 'Log in' }).waitFor()
    if (why) assert.match(await this.page.getByRole('alert').textContent(), why)
    assert.deepEqual(await this.cookies(), {})
  }

  async cookies() {
    return Object.fromEntries((await this.context.cookies()).map((cookie) => [cookie.name, cookie]))
  }

  items() {
    return this.page.locator('li').allTextContents().then((texts) => texts.map((text) => text.replace(/\s+/g, ' ').trim()))
  }
}

describe('the web application', { timeout: 180_000 }, () => {
  it('signs up, logs in and logs out', async () => {
    const ada = await Visitor.signedUp()
    await ada.submit('Log out', {})
    await ada.isOut()
    const again = await Visitor.loggedIn(ada.name)
    await again.isIn()
    for (const [name, password] of [[ada.name, 'wrong horse'], ['nobody', PASSWORD], ["x' OR true --", PASSWORD]]) {
      const wrong = await Visitor.loggedIn(name, undefined, password)
      assert.equal(await wrong.page.getByRole('alert').textContent(), 'Name or password is wrong.')
      assert.deepEqual(await wrong.cookies(), {})
    }
    const twice = await Visitor.open()
    await twice.submit('Sign up', { Name: ada.name, Password: PASSWORD })
    assert.equal(await twice.page.getByRole('alert').textContent(), 'This name cannot be had.')
  })

  it('keeps tokens in cookies that no script reads, and remembers who asks for it', async () => {
    const ada = await Visitor.signedUp()
    const cookies = await ada.cookies()
    assert.deepEqual(Object.keys(cookies).sort(), ['__Host-refresh', '__Host-session'])
    for (const { httpOnly, secure, sameSite, path } of Object.values(cookies)) assert.deepEqual([httpOnly, secure, sameSite, path], [true, true, 'Lax', '/'])
    assert.equal(await ada.page.evaluate(() => document.cookie + JSON.stringify(localStorage)), '{}')
    const days = async (visitor) => ((await visitor.cookies())['__Host-refresh'].expires - Date.now() / 1000) / 86_400
    assert.ok(Math.abs(await days(ada) - 0.5) < 0.01)
    const brief = await Visitor.loggedIn(ada.name)
    assert.ok(Math.abs(await days(brief) - 0.5) < 0.01)
    const long = await Visitor.open()
    await long.page.getByLabel('Remember me').check()
    await long.submit('Log in', { Name: ada.name, Password: PASSWORD })
    assert.ok(Math.abs(await days(long) - 30) < 0.01)
    // A new password remembers nobody who did not ask for it.
    await brief.go('/password')
    await brief.submit('Change', { 'Old password': PASSWORD, 'New password': `${PASSWORD}2` })
    assert.ok(Math.abs(await days(brief) - 0.5) < 0.01)
  })

  it('lets two tabs refresh at once', async () => {
    const ada = await Visitor.signedUp()
    const before = (await ada.cookies())['__Host-refresh'].value
    for (let round = 0; round < 3; round++) {
      await ada.context.clearCookies({ name: '__Host-session' })
      const tabs = await Promise.all([ada.newTab(), ada.newTab('/devices'), ada.newTab('/password')])
      for (const tab of tabs) await tab.getByRole('button', { name: 'Log out', exact: true }).waitFor()
      await Promise.all(tabs.map((tab) => tab.close()))
    }
    assert.notEqual((await ada.cookies())['__Host-refresh'].value, before)
    await ada.go('/devices')
    assert.equal((await ada.items()).length, 1)
  })

  it('ends the session of a stolen refresh token, for both', async () => {
    const ada = await Visitor.signedUp()
    const stolen = (await ada.cookies())['__Host-refresh']
    for (let i = 0; i < 2; i++) {
      await ada.context.clearCookies({ name: '__Host-session' })
      await ada.go('/')
      await ada.isIn()
    }
    const thief = await Visitor.open()
    await thief.context.addCookies([stolen])
    await thief.isOut(/used from two places/)
    await ada.isOut(/used from two places/)
  })

  it('has a page of devices', async () => {
    const laptop = await Visitor.signedUp(undefined, 'the laptop')
    const phone = await Visitor.loggedIn(laptop.name, 'the phone')
    const tablet = await Visitor.loggedIn(laptop.name, 'the tablet')
    await laptop.go('/devices')
    assert.deepEqual((await laptop.items()).map((text) => [/^the \w+/.exec(text)[0], text.includes('this one')]).map(String),
      ['the tablet,true', 'the phone,true', 'the laptop,true'])
    assert.equal(await laptop.page.locator('li[data-current=true]').count(), 1)
    await laptop.page.locator('li', { hasText: 'the phone' }).getByRole('button', { name: 'Log out this one' }).click()
    await laptop.page.locator('li', { hasText: 'the phone' }).waitFor({ state: 'detached' })
    await phone.isOut(/logged out/)
    await tablet.go('/')
    await tablet.isIn()
    await laptop.submit('Log out everywhere else', {})
    await tablet.isOut(/logged out/)
    await laptop.go('/')
    await laptop.isIn()
  })

  it('does not let anybody log out a stranger', async () => {
    const [ada, bob] = [await Visitor.signedUp(), await Visitor.signedUp()]
    const [{ session_id: theirs }] = await query(
      'SELECT session_id FROM dialstack.sessions JOIN notes_app.users ON subject = user_id WHERE name = $1', [bob.name])
    await ada.go('/devices')
    await ada.page.locator('li form').evaluate((form, id) => { form.action = `/devices/${id}/end` }, theirs)
    await ada.page.getByRole('button', { name: 'Log out this one' }).click()
    await ada.page.waitForLoadState('load')
    await bob.go('/')
    await bob.isIn()
  })

  it('ends all sessions when the password changes, in whichever way', async () => {
    const here = await Visitor.signedUp()
    const other = await Visitor.loggedIn(here.name)
    await here.go('/password')
    await here.submit('Change', { 'Old password': 'wrong horse', 'New password': 'battery staple' })
    assert.equal(await here.page.getByRole('alert').textContent(), 'The old password is wrong.')
    await here.submit('Change', { 'Old password': PASSWORD, 'New password': 'battery staple' })
    await here.isIn()
    await other.isOut(/logged out/)
    const renewed = await Visitor.loggedIn(here.name, undefined, 'battery staple')
    await renewed.isIn()
    await query("UPDATE notes_app.users SET password = 'x.y' WHERE name = $1", [here.name])
    await here.isOut(/logged out/)
    await renewed.isOut(/logged out/)
  })

  it('shows notes to their owner alone, as text', async () => {
    const [ada, bob] = [await Visitor.signedUp(), await Visitor.signedUp()]
    await ada.submit('Add', { Note: '<script>alert(1)</script>' })
    await ada.submit('Add', { Note: "'; DROP TABLE notes_app.notes --" })
    await bob.submit('Add', { Note: 'of Bob' })
    assert.deepEqual((await ada.items()).map((text) => text.replace(/ Delete$/, '')), ['<script>alert(1)</script>', "'; DROP TABLE notes_app.notes --"])
    assert.deepEqual((await bob.items()).map((text) => text.replace(/ Delete$/, '')), ['of Bob'])
    const [{ note_id }] = await query("SELECT note_id FROM notes_app.notes WHERE text = 'of Bob'")
    await ada.page.locator('li form').first().evaluate((form, id) => { form.action = `/notes/${id}/delete` }, note_id)
    await ada.page.locator('li form button').first().click()
    await bob.go('/')
    assert.equal((await bob.items()).length, 1)
    assert.deepEqual([ada.complaints, bob.complaints], [[], []])
  })

  it('does nothing that another site asks for', async () => {
    const ada = await Visitor.signedUp()
    const cookie = Object.values(await ada.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ')
    for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { origin: 'https://evil.example' }, {}]) {
      const { status } = await fetch(`${server.url}/logout`, { method: 'POST', redirect: 'manual', headers: { cookie, ...headers } })
      assert.equal(status, 403)
    }
    await ada.go('/')
    await ada.isIn()
  })

  it('logs nobody in whose password changes while it is checked', async () => {
    const { name } = await Visitor.signedUp()
    const [{ user_id }] = await query('SELECT user_id FROM notes_app.users WHERE name = $1', [name])
    const living = "SELECT FROM dialstack.sessions WHERE subject = $1 AND revoked_at IS NULL"
    let answer
    await query('BEGIN')
    try {
      // From here on whoever creates a session of the user waits.
      await query("UPDATE notes_app.users SET password = 'another' WHERE user_id = $1", [user_id])
      answer = fetch(`${server.url}/login`, {
        method: 'POST', redirect: 'manual', body: `name=${name}&password=${PASSWORD}`,
        headers: { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin' },
      })
      await until(async () => (await query("SELECT FROM pg_stat_activity WHERE usename = 'notes_login' AND wait_event_type = 'Lock'")).length, 'the log-in waits')
    } finally {
      await query('COMMIT')
    }
    assert.equal((await answer).status, 401)
    assert.deepEqual(await query(living, [user_id]), [])
  })

  it('answers requests that make no sense', async () => {
    const { name, context } = await Visitor.signedUp()
    const cookie = (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ')
    const send = (path, body, headers = {}) => fetch(server.url + path, {
      method: 'POST', redirect: 'manual', body, headers: { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin', ...headers },
    }).then(({ status }) => status)
    assert.equal(await send('/login', `name=${name}&name=x&password=${PASSWORD}`), 401)
    assert.equal(await send('/login', 'name=%00&password=x'), 401)
    assert.equal(await send('/signup', 'name=%00&password=12345678'), 400)
    assert.equal(await send('/notes', 'text=', { cookie }), 400)
    assert.equal(await send('/notes', 'text=%00', { cookie }), 400)
    assert.equal(await send('/notes/x/delete', '', { cookie }), 400)
    assert.equal(await send('/devices/x/end', '', { cookie }), 303)
    assert.equal(await send('/notes', 'text=x'), 401)
    assert.equal(await send('/login', 'x'.repeat(20_000)), 400)
  })
})

describe('an SQL injection into the application\'s own queries', () => {
  const injected = new pg.Client({ user: process.env.WEB_USER })
  before(() => injected.connect())
  after(() => injected.end())

  /** Runs what an attacker has smuggled in, where the application runs its queries: with the token of their own session. */
  async function inject(token, ...statements) {
    await injected.query('BEGIN')
    try {
      await injected.query("SELECT set_config('dialstack_sessions.token', $1, true)", [token])
      let rows
      for (const statement of statements) ({ rows } = await injected.query(statement))
      return rows
    } finally {
      await injected.query('ROLLBACK')
    }
  }

  it('finds the rows of the attacker\'s own session', async () => {
    const [ada, mallory] = [await Visitor.signedUp(), await Visitor.signedUp()]
    await ada.submit('Add', { Note: 'a secret of Ada' })
    await mallory.submit('Add', { Note: 'of Mallory' })
    const token = (await mallory.cookies())['__Host-session'].value
    assert.deepEqual(await inject(token, 'SELECT text FROM notes_app.notes WHERE true OR true'), [{ text: 'of Mallory' }])
    const [{ user_id }] = await query('SELECT user_id FROM notes_app.users WHERE name = $1', [ada.name])
    for (const attempt of [
      [`SELECT set_config('dialstack_sessions.token', '${user_id}', true)`, 'SELECT text FROM notes_app.notes'],
      ["SELECT set_config('dialstack_sessions.token', '', true)", 'SELECT text FROM notes_app.notes'],
      ['SET LOCAL row_security = on', `SELECT text FROM notes_app.notes WHERE user_id = '${user_id}'`],
    ]) assert.deepEqual(await inject(token, ...attempt), [], attempt[1])
    for (const forbidden of [
      'SELECT password FROM notes_app.users', 'SELECT * FROM dialstack.sessions', 'SET ROLE notes_login', 'ALTER TABLE notes_app.notes DISABLE ROW LEVEL SECURITY',
      'SET LOCAL row_security = off; SELECT text FROM notes_app.notes', `INSERT INTO notes_app.notes (user_id, text) VALUES ('${user_id}', 'forged')`,
      `SELECT dialstack.session_create('notes-app', 'production', 'web', '{"userId": "${user_id}", "name": "x"}')`,
      `SELECT dialstack.session_revoke('notes-app', identifier => '${user_id}')`, 'TRUNCATE notes_app.notes', 'UPDATE notes_app.notes SET text = text',
    ]) await assert.rejects(inject(token, forbidden), /denied|PERMISSION_DENIED|row-level security|must be owner/, forbidden)
    await assert.rejects(inject(token, 'SELECT text FROM notes_app.notes; SELECT password FROM notes_app.users'), /denied/)
  })
})

describe('what the servers have logged', () => {
  it('holds no token and no password', () => {
    const { servers, database } = logs()
    assert.equal(servers.replaceAll(/^listening on .*\n/gm, ''), '')
    assert.doesNotMatch(database, SECRET)
    assert.doesNotMatch(database, /eyJ[\w-]{10,}\./)
    assert.doesNotMatch(database, new RegExp(PASSWORD))
  })
})
