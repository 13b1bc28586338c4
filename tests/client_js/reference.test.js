// The manual's pages of the client are what its types say.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'

const { DSS_ROOT, DSS_WORK } = process.env

describe('the reference of the client', () => {
  for (const [page, file] of [['calls', 'client-js.md'], ['types', 'client-js-types.md']]) {
    it(`has ${file} as it would be generated`, async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [`${DSS_WORK}/clients/js/reference.js`, page])
      assert.equal(readFileSync(`${DSS_ROOT}/docs/reference/${file}`, 'utf8'), stdout, 'run: scripts/docs generate')
    })
  }
})
