// The manual's page of the client is what its types say.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'

const { DSS_ROOT, DSS_WORK } = process.env

describe('docs/reference/client-js.md', () => {
  it('is what would be generated', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [`${DSS_WORK}/clients/js/reference.js`])
    assert.equal(readFileSync(`${DSS_ROOT}/docs/reference/client-js.md`, 'utf8'), stdout, 'run: scripts/docs generate')
  })
})
