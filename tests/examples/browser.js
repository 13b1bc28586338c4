// Headless Chromium, and the page of account-sessions in it.

import { after } from 'node:test'
import { chromium } from 'playwright-core'

const work = process.env.DSS_WORK

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
  ],
  // Nothing of the user's is read, and nothing is left behind.
  env: { PATH: process.env.PATH, HOME: work, TMPDIR: work, XDG_CONFIG_HOME: work, XDG_CACHE_HOME: work },
})
after(() => browser.close())

/** Every tab that was opened, for what is to be said of all of them. */
export const tabs = []

/** A browser of its own, without cookies, with the page open. `clock`: 'own', 'fake' or 'stopped'. */
export class Tab {
  /** What it has sent and received: `{ path, url, method, bearer, status, at, body }`, in order; the body is a promise. */
  exchanges = []
  /** The requests that it has sent, answered or not. */
  requests = []
  complaints = []

  static async open(server, { clock = 'own' } = {}) {
    const tab = new Tab()
    tabs.push(tab)
    tab.context = await browser.newContext()
    tab.page = await tab.context.newPage()
    tab.page.setDefaultTimeout(15_000)
    tab.#watch()
    if (clock !== 'own') await tab.page.clock.install()
    if (clock === 'stopped') await tab.page.clock.pauseAt(Date.now() + 1000)
    await tab.page.goto(server.url)
    return tab
  }

  #watch() {
    this.page.on('request', (request) => this.requests.push(new URL(request.url())))
    this.page.on('pageerror', (error) => this.complaints.push(error.message))
    this.page.on('console', (message) => {
      // Chromium notes every answer of 4xx and 5xx, which are the matter of these tests.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) this.complaints.push(message.text())
    })
    this.page.on('response', (response) => {
      const request = response.request()
      this.exchanges.push({
        path: new URL(request.url()).pathname,
        url: request.url(),
        method: request.method(),
        bearer: request.headers().authorization?.replace('Bearer ', ''),
        status: response.status(),
        at: Date.now(),
        // Of what the page does not read to the end, the browser never has the body.
        body: response.ok() && !request.url().includes('/demo/') ? response.text().catch(() => '') : Promise.resolve(''),
      })
    })
  }

  /** What it has exchanged on a path. */
  to(path) {
    return this.exchanges.filter((exchange) => exchange.path === path)
  }

  /** How many requests it has sent to a path by now: what the page was about to send is sent. */
  async sent(path) {
    await this.page.evaluate(async () => { await (await fetch('style.css')).text() })
    return this.requests.filter((url) => url.pathname === path).length
  }

  async logIn(user, account) {
    await this.page.getByLabel('User').selectOption(user)
    await this.page.getByLabel('Account').selectOption(account)
    await this.page.getByRole('button', { name: 'Log in' }).click()
  }

  /** Opens the page and waits until the call logs are there. */
  static async working(server, { user = 'user_owner', account = 'acct_north', clock } = {}) {
    const tab = await Tab.open(server, { clock })
    await tab.logIn(user, account)
    await tab.reaches('Call logs', 'ready')
    return tab
  }

  component(title) {
    return this.page.getByRole('region', { name: title })
  }

  /** Waits until a component is in a state. */
  async reaches(title, state) {
    await this.component(title).and(this.page.locator(`[data-state=${state}]:not([aria-busy])`)).waitFor()
  }

  /** Waits until the page as a whole is in a state, and returns what it says about it. */
  async becomes(state) {
    const banner = this.page.locator(`main > [role=status][data-state=${state}]`)
    await banner.waitFor()
    return banner.textContent()
  }

  /** The rows that are to be seen in a component's table, without its head. */
  async rows(title) {
    const table = this.page.getByRole('table', { name: title })
    return (await table.count()) ? table.locator('tbody tr').count() : 0
  }

  reload(title) {
    return this.component(title).getByRole('button', { name: `Reload ${title.toLowerCase()}` }).click()
  }

  close() {
    return this.context.close()
  }
}
