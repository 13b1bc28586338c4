// The page: logs in, starts an account session, and shows two components that use it.

import { AccountSession, SessionEnded } from './session.js'

const time = (iso) => new Date(iso).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })
const length = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`

const CELLS = {
  call_logs: (call) => [time(call.at), call.direction === 'in' ? 'Incoming' : 'Outgoing', call.number, length(call.seconds)],
  voicemails: (mail) => [time(mail.at), mail.number, length(mail.seconds), mail.transcript],
}

const form = document.querySelector('#login')
const logout = document.querySelector('#logout')
const banner = document.querySelector('#banner')
let session

function tell(state, text) {
  banner.dataset.state = state
  banner.textContent = text
}

function post(path, body) {
  return fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })
}

/** One embedded component. Its `state`: loading, ready, disabled, expired or failed. */
class Panel {
  constructor(section) {
    this.section = section
    this.name = section.dataset.component
    this.note = section.querySelector('.note')
    this.table = section.querySelector('table')
    this.button = section.querySelector('button')
    this.button.addEventListener('click', () => this.load())
  }

  get state() {
    return this.section.dataset.state
  }

  show(state, note = '') {
    this.section.dataset.state = state
    this.note.textContent = note
    this.table.hidden = state !== 'ready'
    this.button.disabled = state === 'expired'
    if (state !== 'ready') this.table.tBodies[0].replaceChildren()
  }

  fill(rows) {
    this.table.tBodies[0].replaceChildren(...rows.map((row) => {
      const line = document.createElement('tr')
      for (const text of CELLS[this.name](row)) line.insertCell().textContent = text
      return line
    }))
    this.show('ready', rows.length ? '' : 'Nothing yet.')
  }

  /** Loads the rows; those that are shown already stay until the new ones are there. */
  async load() {
    const mine = session
    this.section.setAttribute('aria-busy', 'true')
    try {
      const response = await mine.fetch(`/api/${this.name}`)
      const answer = await response.json()
      // Another session's answer, or one that came after the end, is nobody's business any more.
      if (mine !== session) return
      if (response.ok) this.fill(answer[this.name])
      else if (answer.code === 'scope_disabled') this.show('disabled', 'This component is disabled for your session.')
      else if (response.status === 401) this.show('expired', answer.error)
      else this.show('failed', 'This could not be loaded. Try again later.')
    } catch {
      if (mine === session) this.show('failed', 'The server cannot be reached. Try again later.')
    } finally {
      this.section.removeAttribute('aria-busy')
    }
  }
}

const panels = [...document.querySelectorAll('[data-component]')].map((section) => new Panel(section))

function showEnd(error) {
  session = undefined
  for (const panel of panels) panel.show('expired', 'Your session has ended.')
  tell('expired', `Your session has ended. ${error.message}. Log in to start a new one.`)
}

function showEndsAt(endsAt) {
  tell('active', `Your session is valid until ${new Date(endsAt).toLocaleTimeString()} and renews itself.`)
}

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const { user, account } = Object.fromEntries(new FormData(form))
  session?.stop()
  session = undefined
  for (const panel of panels) {
    panel.section.hidden = true
    panel.show('loading', 'Loading…')
  }
  let started = false
  const mine = new AccountSession({
    create: () => post('/api/dialstack/session', { accountId: account }),
    onSecret: showEndsAt,
    // A component that is disabled stays so until the user asks again.
    onRenewed: () => panels.filter((panel) => panel.state !== 'disabled').forEach((panel) => panel.load()),
    onEnded: (error) => { if (started) showEnd(error) },
  })
  session = mine
  try {
    const login = await post('/demo/login', { user })
    if (!login.ok) throw new SessionEnded('not_logged_in', (await login.json()).error)
    logout.hidden = false
    await mine.start()
  } catch (error) {
    if (mine !== session) return
    session = undefined
    const refused = error instanceof SessionEnded
    tell(refused ? 'denied' : 'failed', refused ? `${error.message}.` : 'The session could not be started. Try again later.')
    return
  }
  if (mine !== session) return
  started = true
  for (const panel of panels) {
    panel.section.hidden = false
    panel.load()
  }
})

logout.addEventListener('click', async () => {
  session?.stop()
  session = undefined
  for (const panel of panels) {
    panel.section.hidden = true
    panel.show('loading')
  }
  try {
    await post('/demo/logout', {})
    logout.hidden = true
    tell('logged-out', 'You are logged out.')
  } catch {
    tell('failed', 'The server cannot be reached: you are still logged in.')
  }
})
