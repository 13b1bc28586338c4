#!/usr/bin/env node
// usage: node draw.js [--title TEXT] <dashboard.json >dashboard.html
//
// Makes one page of the JSON that dialstack.session_dashboard or dialstack.session_user_dashboard
// answered. Everything is in the page, Chart.js included: it needs no server and no network.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'

const escapeHtml = (string) => string.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

// Of a script element nothing can be escaped but by the rules of what is in it; in JSON this one can be
// and suffices: neither </script> nor <!-- is left.
const escapeJson = (value) => JSON.stringify(value).replaceAll('<', '\\u003c')

const hash = (inline) => `'sha256-${createHash('sha256').update(inline).digest('base64')}'`

const readPart = (name) => readFileSync(new URL(`page/${name}`, import.meta.url), 'utf8')

function readLibrary() {
  let entry
  try {
    entry = createRequire(import.meta.url).resolve('chart.js')
  } catch {
    throw new Error('Chart.js is not installed: run npm ci in the folder of draw.js')
  }
  const library = readFileSync(join(dirname(entry), 'chart.umd.min.js'), 'utf8')
  // The map is a file of its own, which the page does not have.
  return library.replace(/^\/\/# sourceMappingURL=.*$/m, '')
}

function parse(input) {
  if (!input.trim()) throw new Error('no JSON on standard input: has psql reported an error?')
  let dashboard
  try {
    dashboard = JSON.parse(input)
  } catch (error) {
    throw new Error(`what is on standard input is not JSON (with psql, use -XAt): ${error.message}`)
  }
  const has = (series) => Array.isArray(dashboard?.[series])
  if (!has('peakHours') || !has('activityTimeline') || !(has('sessionsOverTime') || has('outcomeTimeline'))) {
    throw new Error('the JSON is not what session_dashboard or session_user_dashboard answers')
  }
  return dashboard
}

/** The page, as text. */
function draw(dashboard, title) {
  const parts = {
    title: escapeHtml(title),
    dashboard: escapeJson(dashboard),
    style: readPart('style.css'),
    library: readLibrary(),
    script: readPart('page.js'),
  }
  for (const name of ['style', 'library', 'script']) {
    if (/<\/(script|style)|<!--/i.test(parts[name])) throw new Error(`the ${name} cannot be put into a page`)
  }
  // These scripts and this style, and nothing from anywhere.
  parts.policy = [
    "default-src 'none'", `script-src ${hash(parts.library)} ${hash(parts.script)}`, `style-src ${hash(parts.style)}`,
    "base-uri 'none'", "form-action 'none'",
  ].join('; ')
  return readPart('page.html').replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name])
}

try {
  const { values } = parseArgs({ options: { title: { type: 'string', default: 'Sessions' } } })
  process.stdout.write(draw(parse(await text(process.stdin)), values.title))
} catch (error) {
  console.error(`draw.js: ${error.message}`)
  process.exitCode = 1
}
