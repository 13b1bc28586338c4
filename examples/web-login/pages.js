// The pages, as HTML.

const escape = (text) => String(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)

/** HTML, in which what is inserted is escaped unless it is HTML itself. */
function html(strings, ...values) {
  const write = (value) => (Array.isArray(value) ? value.map(write).join('') : value instanceof Html ? value.text : escape(value ?? ''))
  return new Html(strings.reduce((text, part, i) => text + write(values[i - 1]) + part))
}
class Html {
  constructor(text) {
    this.text = text
  }
}

const field = (label, name, type, autocomplete) => html`<label>${label} <input name="${name}" type="${type}" autocomplete="${autocomplete}" required></label>`

function layout(title, session, body, message) {
  return html`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<link rel="stylesheet" href="style.css">
${session ? html`<nav><b>${session.data.name}</b> <a href="/">Notes</a> <a href="/devices">Devices</a> <a href="/password">Password</a>
  <form method="post" action="/logout"><button>Log out</button></form></nav>` : ''}
<main>
<h1>${title}</h1>
${message ? html`<p role="alert">${message}</p>` : ''}
${body}
</main>`.text
}

const REASONS = {
  expired: 'Your session has ended. Please log in again.',
  revoked: 'You were logged out.',
  reused: 'Your session was used from two places, so it was ended. If you did not do that, change your password.',
}

/** The page of a visitor. `reason`: why there is no session. */
export const welcome = ({ reason, message } = {}) => layout('Notes', null, html`
<form method="post" action="/login">
  <h2>Log in</h2>
  ${field('Name', 'name', 'text', 'username')} ${field('Password', 'password', 'password', 'current-password')}
  <label><input name="remember" type="checkbox"> Remember me</label>
  <button>Log in</button>
</form>
<form method="post" action="/signup">
  <h2>Sign up</h2>
  ${field('Name', 'name', 'text', 'username')} ${field('Password', 'password', 'password', 'new-password')}
  <button>Sign up</button>
</form>`, message ?? REASONS[reason])

export const notes = ({ session, rows, message }) => layout('Notes', session, html`
<ul>${rows.map(({ note_id, text }) => html`<li>${text} <form method="post" action="/notes/${note_id}/delete"><button>Delete</button></form></li>`)}</ul>
<form method="post" action="/notes">${field('Note', 'text', 'text', 'off')} <button>Add</button></form>`, message)

export const devices = ({ session, rows }) => layout('Devices', session, html`
<ul>${rows.map(({ sessionId, userAgent, ip, startAt, current }) => html`
  <li data-current="${current}">${userAgent ?? 'unknown'}, ${ip ?? 'no address'}, since ${startAt.toISOString()} ${current ? html`<b>this one</b>` : ''}
    <form method="post" action="/devices/${sessionId}/end"><button>Log out this one</button></form></li>`)}
</ul>
<form method="post" action="/devices/end-others"><button>Log out everywhere else</button></form>`)

export const password = ({ session, message }) => layout('Password', session, html`
<p>A new password logs you out everywhere else.</p>
<form method="post" action="/password">
  ${field('Old password', 'old', 'password', 'current-password')} ${field('New password', 'new', 'password', 'new-password')}
  <button>Change</button>
</form>`, message)
