// Shows the dashboard whose JSON is in the document: figures, and charts each with a table. Everything
// of the JSON is shown as text.
'use strict'
{
  const dashboard = JSON.parse(document.getElementById('dashboard').textContent)

  // What is shown, by the names in the JSON. A chart's `x` names what its rows are about.

  const HEADLINE = [
    { key: 'dau', title: 'Active users, today', moreIsBetter: true },
    { key: 'wau', title: 'Active users, 7 days', moreIsBetter: true },
    { key: 'mau', title: 'Active users, 30 days', moreIsBetter: true },
    { key: 'avgSessionDuration', title: 'Session duration, 30 days', as: 'seconds' },
  ]

  const FIGURES = [
    {
      title: 'Users',
      rows: [
        ['totalUsers', 'Total'], ['activeUsers', 'Active'], ['inactiveUsers', 'Inactive'], ['expiredUsers', 'Expired'],
        ['newUsersToday', 'New today'], ['newUsersThisWeek', 'New this week'],
      ],
    },
    {
      title: 'Sessions',
      size: 'wider',
      rows: [
        ['totalSessions', 'Total'], ['activeSessions', 'Active'], ['expiredSessions', 'Expired'], ['revokedSessions', 'Revoked'],
        ['averageSessionsPerUser', 'Avg. per user'], ['averageSessionDuration', 'Avg. duration', 'seconds'],
      ],
    },
    {
      title: 'Operations',
      size: 'narrow',
      rows: [
        ['totalLogs', 'Total'], ['successRate', 'Successful', 'percent'], ['errorRate', 'Failed', 'percent'],
        ['averageOperationDuration', 'Avg. duration', 'milliseconds'],
      ],
    },
  ]

  const CHARTS_OF_SESSIONS = [
    { key: 'sessionsOverTime', title: 'Sessions over time', x: 'period', type: 'line', isWide: true, series: ['created', 'expired', 'revoked'] },
    {
      key: 'operationsOverTime', title: 'Operations over time', x: 'period', type: 'bar', isStacked: true, isWide: true,
      series: ['create', 'verify', 'refresh', 'revoke', 'reuse', 'evict'],
    },
    { key: 'activityTimeline', title: 'Last seven days', x: 'date', type: 'line', series: ['sessions', 'operations'] },
    { key: 'peakHours', title: 'Peak hours', x: 'hour', type: 'bar', series: ['count'] },
    {
      key: 'environmentBreakdown', title: 'Sessions by environment', x: 'env', type: 'bar', isLying: true, series: ['count'], nothing: 'No sessions',
      columns: { percentage: 'percent' },
    },
  ]

  const CHARTS_OF_USER = [
    { key: 'activityTimeline', title: 'Operations over time', x: 'date', type: 'line', isWide: true, series: ['operations'] },
    { key: 'outcomeTimeline', title: 'Outcomes over time', x: 'date', type: 'bar', isStacked: true, isWide: true, series: ['successful', 'failed'] },
    {
      key: 'latencyTimeline', title: 'Average latency in milliseconds', x: 'date', type: 'line', isWide: true, series: ['avgLatencyMs'],
      columns: { count: 'number' },
    },
    { key: 'peakHours', title: 'Peak hours', x: 'hour', type: 'bar', isWide: true, series: ['count'] },
  ]

  // Writing numbers and times.

  const plain = new Intl.NumberFormat('en', { maximumFractionDigits: 3 })

  const UNITS = [['d', 86_400], ['h', 3600], ['min', 60], ['s', 1]]

  /** In two units, rounded before it is taken apart: 59.9 minutes are an hour. */
  function duration(seconds) {
    if (seconds < 60) return `${plain.format(seconds)} s`
    const largest = (time) => UNITS.findIndex(([, length]) => time >= length)
    const [, precision] = UNITS[largest(seconds) + 1]
    const rounded = Math.round(seconds / precision) * precision
    const [[unit, length], [smaller, part]] = UNITS.slice(largest(rounded))
    const rest = Math.round((rounded % length) / part)
    return `${plain.format(Math.floor(rounded / length))} ${unit}${rest ? ` ${rest} ${smaller}` : ''}`
  }

  const FORMATS = {
    number: (value) => plain.format(value),
    percent: (value) => `${plain.format(value)} %`,
    seconds: duration,
    milliseconds: (value) => `${plain.format(value)} ms`,
  }

  /** The calendar and the clock of the dashboard's own time zone, as its JSON has them. */
  function readTime(text) {
    const [, year, month, day, hour = 0, minute = 0, offset = ''] = /^(\d+)-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):\d\d([+-]\d\d:\d\d))?$/.exec(text)
    // Taken for UTC, so that the browser's own time zone has no say.
    return { wall: new Date(Date.UTC(year, month - 1, day, hour, minute)), at: Date.parse(text), offset }
  }

  const formatter = (options) => new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', ...options })
  const DAY = { day: 'numeric', month: 'short', year: 'numeric' }
  const LABELS = {
    hour: { short: formatter({ day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' }), long: formatter({ ...DAY, hour: '2-digit', minute: '2-digit' }) },
    day: { short: formatter({ day: 'numeric', month: 'short' }), long: formatter({ weekday: 'short', ...DAY }) },
    week: { short: formatter({ day: 'numeric', month: 'short' }), long: formatter(DAY) },
    month: { short: formatter({ month: 'short', year: 'numeric' }), long: formatter({ month: 'long', year: 'numeric' }) },
  }

  /** What the periods are: told by the distance of the first two. */
  function groupOf([first, second]) {
    if (!second) return first.wall.getTime() % 86_400_000 ? 'hour' : 'day'
    const hours = (second.at - first.at) / 3_600_000
    if (hours < 20) return 'hour'
    if (hours < 60) return 'day'
    return hours < 400 ? 'week' : 'month'
  }

  /** Names of rows: short ones for an axis, long ones for tables. */
  function namesOf(rows, x) {
    const values = rows.map((row) => row[x])
    if (x === 'hour') {
      const names = values.map((hour) => String(hour).padStart(2, '0'))
      return { short: names, long: names.map((name) => `${name}:00`) }
    }
    if (x === 'env') return { short: values, long: values }
    const times = values.map(readTime)
    const group = groupOf(times)
    const { short, long } = LABELS[group]
    const offsets = [...new Set(times.map((time) => time.offset).filter(Boolean))]
    // Where clocks were changed, an hour may come twice.
    const suffix = (time) => (group === 'hour' && offsets.length > 1 ? ` ${time.offset}` : '')
    const name = (time) => (group === 'week' ? 'week of ' : '') + long.format(time.wall) + suffix(time)
    return { short: times.map((time) => short.format(time.wall)), long: times.map(name), group, offsets }
  }

  const WORDS = { avgLatencyMs: 'milliseconds' }
  const word = (name) => WORDS[name] ?? name

  // What is the same has one colour in all charts; anything else has the first.
  const HUES = { expired: 'quiet', revoked: 'amber', operations: 'teal', verify: 'teal', refresh: 'violet', revoke: 'amber', reuse: 'red', evict: 'brown', successful: 'teal', failed: 'red' }

  // Building the document.

  function element(name, { text, ...attributes } = {}, ...children) {
    const made = document.createElement(name)
    for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value)
    made.append(...(text === undefined ? [] : [text]), ...children)
    return made
  }

  /** A number of the JSON, which stays there to be read by programs. */
  function figure(value, as = 'number') {
    if (value === null) return element('span', {}, element('span', { 'aria-hidden': 'true', text: '–' }), element('span', { class: 'unseen', text: 'none' }))
    return element('data', { value, text: FORMATS[as](value) })
  }

  /** How it compares with as long a time before. */
  function change({ change, previous }, { as, moreIsBetter }) {
    const line = element('p', { class: 'change' })
    if (previous === null) {
      line.append('none before')
      return line
    }
    if (change === 0) line.append('unchanged ')
    else if (change !== null) {
      const way = change > 0 ? 'up' : 'down'
      line.append(
        element('span', { class: moreIsBetter ? way : 'neutral' },
          element('span', { 'aria-hidden': 'true', text: change > 0 ? '▲ ' : '▼ ' }),
          element('span', { class: 'unseen', text: `${way} ` }),
          element('data', { value: change, text: FORMATS.percent(Math.abs(change)) })),
        ' ')
    }
    line.append('from ', figure(previous, as), ' before')
    return line
  }

  function tile(spec) {
    const numbers = dashboard[spec.key]
    return element('div', { class: 'tile', 'data-metric': spec.key },
      element('h2', { text: spec.title }),
      element('p', { class: 'value' }, figure(numbers.current, spec.as)),
      change(numbers, spec))
  }

  function card({ title, size = '', rows }) {
    const list = element('dl')
    for (const [key, label, as] of rows.filter(([key]) => key in dashboard)) {
      list.append(element('div', { 'data-metric': key }, element('dt', { text: label }), element('dd', {}, figure(dashboard[key], as))))
    }
    return list.childElementCount ? [element('section', { class: size }, element('h2', { text: title }), list)] : []
  }

  function table(spec, rows, names) {
    const columns = { ...Object.fromEntries(spec.series.map((name) => [name, 'number'])), ...spec.columns }
    const head = [spec.x, ...Object.keys(columns)].map((name) => element('th', { scope: 'col', text: word(name) }))
    const body = rows.map((row, index) => element('tr', {},
      element('th', { scope: 'row', text: names.long[index] }),
      ...Object.entries(columns).map(([name, as]) => element('td', {}, figure(row[name], as)))))
    return element('table', {},
      element('caption', { text: spec.title }),
      element('thead', {}, element('tr', {}, ...head)),
      element('tbody', {}, ...body))
  }

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

  function options(spec, rows, names) {
    const [muted, line] = [color('--muted'), color('--line')]
    const text = { color: muted, font: { family: getComputedStyle(document.body).fontFamily, size: 12 } }
    const labels = { grid: { display: false }, border: { color: line }, ticks: { ...text, maxRotation: 0, autoSkipPadding: 14 }, stacked: spec.isStacked }
    const values = {
      beginAtZero: true, grid: { color: line }, border: { display: false }, stacked: spec.isStacked,
      ticks: { ...text, maxTicksLimit: 6, callback: (value) => plain.format(value), ...(spec.key === 'latencyTimeline' ? {} : { precision: 0 }) },
    }
    // Lying bars have their names beside them, each of them.
    const scales = spec.isLying ? { x: values, y: { ...labels, ticks: { ...text, autoSkip: false } } } : { x: labels, y: values }
    const share = ({ dataIndex }) => (spec.columns?.percentage ? ` (${FORMATS.percent(rows[dataIndex].percentage)})` : '')
    return {
      animation: false, responsive: true, maintainAspectRatio: false, indexAxis: spec.isLying ? 'y' : 'x',
      interaction: { mode: 'index', intersect: false, axis: spec.isLying ? 'y' : 'x' },
      scales,
      plugins: {
        legend: {
          display: spec.series.length > 1, position: 'bottom', align: 'start',
          labels: { ...text, usePointStyle: true, pointStyle: spec.type === 'line' ? 'line' : 'rectRounded', pointStyleWidth: 14, boxHeight: 7, padding: 14 },
        },
        tooltip: {
          callbacks: {
            title: ([item]) => names.long[item.dataIndex],
            label: (item) => ` ${item.dataset.label}: ${plain.format(item.raw)}${share(item)}`,
          },
        },
      },
    }
  }

  function plot(canvas, spec, rows, names) {
    const datasets = spec.series.map((name) => {
      const hue = color(`--${HUES[name] ?? 'blue'}`)
      const data = rows.map((row) => row[name])
      // Of a number between two that are missing, a line shows nothing.
      const isAlone = (index) => (data[index - 1] ?? null) === null && (data[index + 1] ?? null) === null
      return {
        label: word(name), data, backgroundColor: hue, borderColor: hue,
        ...(spec.type === 'line'
          ? { borderWidth: 2, pointRadius: ({ dataIndex }) => (data.length < 15 || isAlone(dataIndex) ? 2 : 0), pointHoverRadius: 4 }
          : { borderRadius: 2, maxBarThickness: 28 }),
      }
    })
    return new Chart(canvas, { type: spec.type, data: { labels: names.short, datasets }, options: options(spec, rows, names) })
  }

  const plots = []

  function chart(spec) {
    const rows = dashboard[spec.key]
    const names = namesOf(rows, spec.x)
    const sums = spec.series.map((name) => rows.reduce((sum, row) => sum + (row[name] ?? 0), 0))
    const isEmpty = !rows.some((row) => spec.series.some((name) => row[name]))
    const said = spec.key === 'latencyTimeline' ? '' : spec.series.map((name, index) => `${word(name)} ${plain.format(sums[index])}`).join(', ')
    const canvas = element('canvas', { role: 'img', 'aria-label': `${spec.title}${said && `; in all: ${said}`}. The numbers are in the table below.` })
    const frame = element('div', { class: 'chart' }, isEmpty ? element('p', { class: 'empty', text: spec.nothing ?? 'Nothing in this time' }) : canvas)
    if (spec.isLying && rows.length > 8) frame.style.height = `${rows.length * 1.75 + 2}rem`
    if (!isEmpty) plots.push(() => plot(canvas, spec, rows, names))

    const details = element('details', {}, element('summary', { text: 'Numbers' }))
    // Up to 10,000 periods: only for who wants to see them.
    details.addEventListener('toggle', () => details.append(element('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `${spec.title}, numbers` }, table(spec, rows, names))), { once: true })
    return element('section', { 'data-metric': spec.key, ...(spec.isWide ? { class: 'wide' } : {}) }, element('h2', { text: spec.title }), frame, details)
  }

  /** From when to when, by what, and by whose clock. */
  function range() {
    const series = dashboard.sessionsOverTime ?? dashboard.outcomeTimeline
    const { long, group, offsets } = namesOf(series, dashboard.sessionsOverTime ? 'period' : 'date')
    const clocks = offsets.map((offset) => `UTC${offset === '+00:00' ? '' : offset}`).join(' and ')
    const note = 'dau' in dashboard && clocks !== 'UTC' ? ', but active users are counted by days of UTC' : ''
    return `${long[0]}${long.length > 1 ? ` to ${long.at(-1)}` : ''}, by ${group}. Times are in ${clocks}${note}.`
  }

  const add = (id, ...made) => document.getElementById(id).append(...made)
  document.getElementById('range').textContent = range()
  add('headline', ...HEADLINE.filter((spec) => spec.key in dashboard).map(tile))
  add('figures', ...FIGURES.flatMap(card))
  add('charts', ...(dashboard.sessionsOverTime ? CHARTS_OF_SESSIONS : CHARTS_OF_USER).map(chart))

  let drawn = plots.map((plot) => plot())
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    for (const old of drawn) old.destroy()
    drawn = plots.map((plot) => plot())
  })
}
