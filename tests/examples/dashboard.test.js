// The page that the example dashboard draws, in a browser.

import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { Page, ask, draw, fillDemo } from './dashboard.js'
import { query } from './support.js'

const DEMO = "session_dashboard('dashboard-demo', 'web', time_zone => 'UTC')"
const SERIES = {
  sessionsOverTime: ['created', 'expired', 'revoked'],
  operationsOverTime: ['create', 'verify', 'refresh', 'revoke', 'reuse', 'evict'],
  activityTimeline: ['sessions', 'operations'],
  peakHours: ['count'],
  environmentBreakdown: ['count'],
}
const SERIES_OF_USER = {
  activityTimeline: ['operations'],
  outcomeTimeline: ['successful', 'failed'],
  latencyTimeline: ['avgLatencyMs'],
  peakHours: ['count'],
}

let demo
before(async () => {
  await fillDemo()
  demo = await ask(DEMO)
}, { timeout: 180_000 })

/** Every series of the charts is the JSON's, and is to be seen unless it is next to nothing. */
async function assertDrawn(page, series) {
  for (const [metric, names] of Object.entries(series)) {
    const rows = page.dashboard[metric]
    const drawn = await page.chart(metric)
    assert.equal(drawn.labels.length, rows.length, metric)
    const highest = Math.max(...rows.map((row) => names.reduce((sum, name) => sum + row[name], 0)))
    assert.deepEqual(drawn.series.map((one) => one.data), names.map((name) => rows.map((row) => row[name])), metric)
    for (const [index, name] of names.entries()) {
      const isVisible = rows.some((row) => row[name] > highest / 20)
      if (isVisible) assert.ok(drawn.series[index].pixels > 5, `${metric}.${name} is not to be seen`)
    }
    assert.ok(drawn.others > 500, `${metric} has neither axes nor text`)
  }
}

describe('a dashboard of sessions', { timeout: 180_000 }, () => {
  it('is drawn from a history whose numbers are those of the tables', async () => {
    const { totalSessions, revokedSessions, totalUsers, sessionsOverTime } = JSON.parse(demo)
    const [counted] = await query(
      `SELECT count(*)::int AS sessions, count(revoked_at)::int AS revoked, count(DISTINCT (env_id, subject))::int AS users
         FROM dialstack.sessions JOIN dialstack.environments USING (env_id) JOIN dialstack.products USING (product_id)
        WHERE product = 'dashboard-demo'`)
    assert.deepEqual({ ...counted }, { sessions: totalSessions, revoked: revokedSessions, users: totalUsers })
    assert.ok(sessionsOverTime.length >= 30 && sessionsOverTime.every((row) => row.created > 0 || row === sessionsOverTime.at(-1)))
  })

  it('shows every metric of the JSON', async () => {
    const page = await Page.of(demo)
    assert.deepEqual((await page.metrics()).sort(), Object.keys(page.dashboard).sort())
    page.assertQuiet()
    await page.close()
  })

  it('shows the very numbers', async () => {
    const page = await Page.of(demo)
    for (const [name, value] of Object.entries(page.dashboard)) {
      if (typeof value !== 'number') continue
      assert.deepEqual(await page.figures(name), [value], name)
      if (Number.isInteger(value)) assert.equal(Number((await page.metric(name).locator('data').innerText()).replace(/[,%]/g, '')), value, name)
    }
    for (const name of ['dau', 'wau', 'mau', 'avgSessionDuration']) {
      const { current, previous, change } = page.dashboard[name]
      assert.deepEqual(await page.figures(name), change ? [current, change, previous] : [current, previous], name)
    }
    await page.close()
  })

  it('draws every series', async () => {
    const page = await Page.of(demo)
    await assertDrawn(page, SERIES)
    await page.close()
  })

  it('has the numbers of each chart in a table', async () => {
    const page = await Page.of(demo)
    for (const [name, series] of Object.entries(SERIES)) {
      const columns = name === 'environmentBreakdown' ? [...series, 'percentage'] : series
      const [head, ...rows] = await page.table(name)
      assert.deepEqual(head.slice(1), columns, name)
      assert.deepEqual(rows.map((row) => row.slice(1)), page.dashboard[name].map((row) => columns.map((column) => row[column])), name)
    }
    const [, first] = await page.table('environmentBreakdown')
    assert.equal(first[0], page.dashboard.environmentBreakdown[0].env)
    page.assertQuiet()
    await page.close()
  })

  it('says which way the users went', async () => {
    const page = await Page.of(JSON.stringify({
      ...JSON.parse(demo),
      dau: { current: 5, previous: 4, change: 25 },
      wau: { current: 3, previous: 4, change: -25 },
      mau: { current: 4, previous: 0, change: null },
      avgSessionDuration: { current: 3599.7, previous: null, change: null },
    }))
    const flat = async (name) => (await page.metric(name).textContent()).replace(/\s+/g, ' ')
    assert.match(await flat('dau'), /5▲ up 25 % from 4 before$/)
    assert.match(await flat('wau'), /3▼ down 25 % from 4 before$/)
    assert.match(await flat('mau'), /4from 0 before$/)
    assert.match(await flat('avgSessionDuration'), /1 hnone before$/)
    await page.close()
  })
})

describe('time', { timeout: 180_000 }, () => {
  it('is that of the dashboard, wherever the page is opened', async () => {
    const json = await ask("session_dashboard('dashboard-demo', 'web', group_by => 'hour', start_at => now() - interval '30 hours', time_zone => 'Asia/Kathmandu')")
    const page = await Page.of(json, { timezoneId: 'America/New_York', locale: 'de-DE' })
    const periods = page.dashboard.sessionsOverTime.map((row) => row.period)
    const [, ...rows] = await page.table('sessionsOverTime')
    assert.deepEqual(rows.map(([name]) => name.slice(-5)), periods.map((period) => period.slice(11, 16)))
    assert.ok(rows.every(([name], index) => name.includes(String(Number(periods[index].slice(8, 10))))))
    assert.match(await page.page.locator('#range').innerText(), /by hour\. Times are in UTC\+05:45, but active users are counted by days of UTC\.$/)
    await assertDrawn(page, { sessionsOverTime: SERIES.sessionsOverTime })
    await page.close()
  })

  for (const [group, first, label, last] of [
    ['day', 'Sun, 1 Mar 2026', '1 Mar', 'Wed, 29 Apr 2026'],
    ['week', 'week of 23 Feb 2026', '23 Feb', 'week of 27 Apr 2026'],
    ['month', 'March 2026', 'Mar 2026', 'April 2026'],
  ]) {
    it(`is told by ${group}, across a change of clocks`, async () => {
      const page = await Page.of(await ask(`session_dashboard('dashboard-demo', 'web', group_by => '${group}',
        start_at => '2026-03-01 12:00+00', end_at => '2026-04-29 12:00+00', time_zone => 'Europe/Berlin')`))
      const [, ...rows] = await page.table('operationsOverTime')
      assert.deepEqual([rows[0][0], rows.at(-1)[0]], [first, last])
      assert.match(await page.page.locator('#range').innerText(), new RegExp(`, by ${group}\\.`))
      await page.close()
      const busy = await Page.of(await ask(`session_dashboard('dashboard-demo', 'web', group_by => '${group}', time_zone => 'UTC',
        start_at => '2026-03-01 12:00+00')`))
      assert.equal((await busy.chart('sessionsOverTime')).labels[0], label)
      await busy.close()
    })
  }
})

describe('a dashboard of one user', { timeout: 180_000 }, () => {
  const call = "session_user_dashboard('dashboard-demo', 'web', 'user_0', time_zone => 'UTC')"

  it('shows every metric of the JSON, and the very numbers', async () => {
    const page = await Page.of(await ask(call))
    assert.deepEqual((await page.metrics()).sort(), Object.keys(page.dashboard).sort())
    assert.ok(page.dashboard.totalLogs > 50)
    for (const name of ['totalLogs', 'successRate']) assert.deepEqual(await page.figures(name), [page.dashboard[name]])
    await assertDrawn(page, SERIES_OF_USER)
    const [head, ...rows] = await page.table('latencyTimeline')
    assert.deepEqual(head.slice(1), ['milliseconds', 'count'])
    assert.deepEqual(rows.map((row) => row.slice(1)), page.dashboard.latencyTimeline.map((row) => [row.avgLatencyMs, row.count]))
    page.assertQuiet()
    await page.close()
  })
})

describe('a dashboard of nothing', { timeout: 180_000 }, () => {
  it('shows zeros, and says of charts that there is nothing', async () => {
    await query("SELECT dialstack.product_create('nobody')")
    await query(`SELECT dialstack.definition_create('nobody', 'web', 'Web', 'None', '{"userId": "x"}', '$Session{userId}', 1, 'hours')`)
    for (const env of [false, true]) {
      if (env) await query("SELECT dialstack.env_create('nobody', 'production')")
      const page = await Page.of(await ask("session_dashboard('nobody', 'web', time_zone => 'UTC')"))
      assert.deepEqual((await page.metrics()).sort(), Object.keys(page.dashboard).sort())
      assert.deepEqual(await page.figures('totalUsers'), [0])
      assert.equal(page.dashboard.successRate, null)
      assert.match(await page.text('successRate'), /–/)
      for (const name of Object.keys(SERIES)) {
        assert.equal(await page.metric(name).locator('canvas').count(), 0)
        assert.match(await page.text(name), /Nothing in this time|No sessions/)
      }
      const [, ...environments] = await page.table('environmentBreakdown')
      assert.deepEqual(environments, env ? [['production', 0, null]] : [])
      assert.doesNotMatch(await page.page.locator('body').innerText(), /NaN|undefined|null|Infinity|Invalid/)
      page.assertQuiet()
      await page.close()
    }
  })
})

describe('the page', { timeout: 180_000 }, () => {
  const HOSTILE = [
    '</script><script>alert(1)</script>', '<!--<script>', '</title><img src=x onerror=alert(1)>', ']]>', '\u2028\u2029',
    '{{library}}$&$1$`', '"\'&amp;</style>',
  ]

  it('shows hostile names as the text that they are', async () => {
    const json = JSON.stringify({
      ...JSON.parse(demo),
      environmentBreakdown: HOSTILE.map((env) => ({ env, count: 1, percentage: 14.29 })),
    })
    const page = await Page.of(json, { title: HOSTILE.join(' ') })
    const [, ...rows] = await page.table('environmentBreakdown')
    assert.deepEqual(rows.map(([env]) => env), HOSTILE)
    assert.deepEqual((await page.chart('environmentBreakdown')).labels, HOSTILE)
    assert.equal(await page.page.locator('h1').textContent(), HOSTILE.join(' '))
    assert.deepEqual([await page.page.locator('script').count(), await page.page.locator('img').count()], [3, 0])
    page.assertQuiet()
    await page.close()
  })

  it('runs no script but its own, and speaks to nobody', async () => {
    const page = await Page.of(demo, { offline: false })
    const ran = await page.page.evaluate(async () => {
      document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }))
      document.body.insertAdjacentHTML('beforeend', '<img src="data:," onerror="window.ran = 2"><b style="color: red">b</b>')
      const sent = await fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')
      return [window.ran, sent, getComputedStyle(document.querySelector('b')).color === 'rgb(255, 0, 0)']
    })
    assert.deepEqual(ran, [undefined, 'refused', false])
    assert.ok(page.complaints.length >= 4)
    assert.ok(page.complaints.every((text) => /Content Security Policy/.test(text)), page.complaints.join('\n'))
    await page.close()
  })

  it('names its parts for who cannot see them', async () => {
    const { page, ...rest } = await Page.of(demo)
    assert.equal(await page.locator('html').getAttribute('lang'), 'en')
    assert.deepEqual(await page.getByRole('heading', { level: 1 }).allTextContents(), ['Sessions'])
    for (const name of ['Sessions over time', 'Operations over time', 'Last seven days', 'Peak hours', 'Sessions by environment']) {
      assert.equal(await page.getByRole('heading', { level: 2, name, exact: true }).count(), 1, name)
      assert.equal(await page.getByRole('img', { name: new RegExp(`^${name}; in all: .*\\d`) }).count(), 1, name)
    }
    await rest.context.close()
  })

  it('opens its tables by keyboard', async () => {
    const { page, context } = await Page.of(demo)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByRole('table', { name: 'Sessions over time' }).waitFor()
    await context.close()
  })

  it('fits a telephone', async () => {
    const page = await Page.of(demo, { viewport: { width: 340, height: 700 } })
    await page.table('operationsOverTime')
    assert.ok(await page.page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth))
    const widths = await page.page.locator('canvas').evaluateAll((all) => all.map((canvas) => canvas.getBoundingClientRect().width))
    assert.ok(widths.length === 5 && widths.every((width) => width > 200 && width < 340), widths.join(' '))
    await page.close()
  })
})

describe('draw.js', { timeout: 60_000 }, () => {
  for (const [what, json, why] of [
    ['nothing', '', /no JSON on standard input/],
    ["psql's table", ' session_dashboard \n---\n {}\n(1 row)\n', /not JSON \(with psql, use -XAt\)/],
    ['null', 'null', /not what session_dashboard/],
    ['other JSON', '{"totalUsers": 1}', /not what session_dashboard/],
  ]) {
    it(`refuses ${what}`, async () => {
      const { status, html, error } = await draw(json)
      assert.deepEqual([status, html], [1, ''])
      assert.match(error, why)
      assert.doesNotMatch(error, /\n +at /)
    })
  }
})
