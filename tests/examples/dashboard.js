// The example dashboard: JSON from the database, the page that draw.js makes of it, and what is to be
// seen there.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { browser } from './browser.js'

const run = promisify(execFile)
const folder = `${process.env.DSS_WORK}/examples/dashboard`
const env = { ...process.env, PGUSER: process.env.DSS_ADMIN }

/** Fills the product `dashboard-demo`, as the example's README says. */
export const fillDemo = () => run(`${process.env.DSS_BINDIR}/psql`, ['-Xq', '-f', `${folder}/demo.sql`], { env })

/** What psql prints for a call: the JSON, as text. */
export async function ask(call) {
  const { stdout } = await run(`${process.env.DSS_BINDIR}/psql`, ['-XAtc', `SELECT dialstack.${call}`], { env, maxBuffer: 1 << 25 })
  return stdout
}

/** Runs draw.js; resolves to `{ status, html, error }`. */
export function draw(json, ...options) {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [`${folder}/draw.js`, ...options], { maxBuffer: 1 << 25 }, (error, html, said) => {
      resolve({ status: error ? error.code : 0, html, error: said })
    })
    child.stdin.end(json)
  })
}

/** A page that draw.js made, opened from its file in a browser that is offline. */
export class Page {
  complaints = []
  requests = []

  static async of(json, { title, ...context } = {}) {
    const { status, html, error } = await draw(json, ...(title === undefined ? [] : ['--title', title]))
    assert.deepEqual([status, error], [0, ''])
    const opened = new Page()
    opened.dashboard = JSON.parse(json)
    opened.html = html
    opened.url = pathToFileURL(`${mkdtempSync(`${process.env.DSS_WORK}/page-`)}/dashboard.html`).href
    writeFileSync(new URL(opened.url), html)
    opened.context = await browser.newContext({ offline: true, viewport: { width: 1200, height: 900 }, ...context })
    opened.page = await opened.context.newPage()
    opened.page.setDefaultTimeout(15_000)
    opened.page.on('request', (request) => opened.requests.push(request.url()))
    opened.page.on('pageerror', (error) => opened.complaints.push(error.message))
    opened.page.on('console', (message) => opened.complaints.push(message.text()))
    opened.page.on('dialog', (dialog) => opened.complaints.push(`a dialog: ${dialog.message()}`))
    await opened.page.goto(opened.url)
    return opened
  }

  metric(name) {
    return this.page.locator(`[data-metric="${name}"]`)
  }

  /** The names of all metrics that it shows. */
  metrics() {
    return this.page.locator('[data-metric]').evaluateAll((all) => all.map((one) => one.dataset.metric))
  }

  /** The numbers of a tile, as the page has them for programs. */
  async figures(name) {
    return this.metric(name).locator('data').evaluateAll((all) => all.map((one) => Number(one.value)))
  }

  text(name) {
    return this.metric(name).innerText()
  }

  /** The rows of a chart's table: its head, then names and numbers. */
  async table(name) {
    const section = this.metric(name)
    if (!(await section.locator('table').count())) await section.locator('summary').click()
    await section.locator('table').waitFor()
    return section.locator('tr').evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => {
      const data = cell.querySelector('data')
      return data ? Number(data.value) : cell.querySelector('.unseen') ? null : cell.textContent
    })))
  }

  /**
   * What Chart.js draws: the labels of the axis, and for each series its numbers and how many pixels of the canvas have its colour;
   * and how many have any other, which are axes and text.
   */
  chart(name) {
    return this.metric(name).locator('canvas').evaluate((canvas) => {
      const { labels, datasets } = window.Chart.getChart(canvas).data
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
      const counts = new Map()
      for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3] === 0) continue
        const color = data[at + 3] === 255 ? `#${[0, 1, 2].map((part) => data[at + part].toString(16).padStart(2, '0')).join('')}` : 'blended'
        counts.set(color, (counts.get(color) ?? 0) + 1)
      }
      const all = [...counts.values()].reduce((sum, count) => sum + count, 0)
      const series = datasets.map(({ data, borderColor }) => ({ data: [...data], pixels: counts.get(borderColor) ?? 0 }))
      return { labels: [...labels], series, others: all - series.reduce((sum, { pixels }) => sum + pixels, 0) }
    })
  }

  /** It asked nobody for anything but the file itself, and nothing went wrong. */
  assertQuiet() {
    assert.deepEqual(this.complaints, [])
    assert.deepEqual(this.requests, [this.url])
  }

  close() {
    return this.context.close()
  }
}
