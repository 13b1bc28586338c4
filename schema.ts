import { sql } from 'drizzle-orm'
import { integer, pgTable, text, index, pgPolicy } from 'drizzle-orm/pg-core'
const mine = sql`(owner = ( SELECT dialstack.current_identifier('my-product'::text, 'production'::text, NULL::text) AS current_identifier))`
export const notes = pgTable('notes', { noteId: integer('note_id').primaryKey().generatedAlwaysAsIdentity({name: 'notes_note_id_seq'}), owner: text().notNull(), text: text().notNull() }, (t) => [index('notes_owner_idx').on(t.owner),
  pgPolicy('dialstack_sessions_access', { using: mine, withCheck: mine }),
  pgPolicy('dialstack_sessions_open', { to: 'web_login', using: sql`true`, withCheck: sql`true` })])
export const counters = pgTable('counters', { name: text().primaryKey(), value: integer().notNull() })
export const added = pgTable('added', { name: text().primaryKey() })
