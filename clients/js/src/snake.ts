// What the calls of account and client sessions take and return. Their products' documents have names in snake_case.

import type { Interval, Moment } from './values.js'

/** Names in camelCase or, as in the products' documents, in snake_case. */
type Camel<S extends string> = S extends `${infer A}_${infer B}` ? `${A}${Capitalize<Camel<B>>}` : S
type CamelKeys<T> = { [K in keyof T as Camel<K & string>]: T[K] }
export type EitherCase<T> = T | CamelKeys<T>
/** A result with the names of the products' documents; the camelCase ones answer too, but JSON has the former alone. */
export type BothCases<T> = T & Readonly<CamelKeys<T>>

interface AccountSessionArgsSnake {
  account: string
  components?: Record<string, { enabled: boolean }> | null
  product?: string | null
  env?: string | null
  expires_in?: Interval
  /** For whom it is made. */
  identifier?: string | null
  ip?: string | null
  user_agent?: string | null
}
export type AccountSessionArgs = EitherCase<AccountSessionArgsSnake>
export type AccountSession = BothCases<{
  client_secret: string
  expires_at: Date
  account_id: string
  components: Record<string, { enabled: boolean }>
}>

interface Grants {
  connected_account_ids?: string[] | null
  connect_webview_ids?: string[] | null
  user_identity_ids?: string[] | null
}
export interface ProductEnv {
  product?: string | null
  env?: string | null
}
interface WhichClientSession {
  client_session_id?: string | null
  user_identifier_key?: string | null
}
export type ClientSessionCreateArgs = EitherCase<Grants & ProductEnv & { user_identifier_key?: string | null; expires_at?: Moment | null }>
export type ClientSessionGetArgs = EitherCase<WhichClientSession & ProductEnv>
export type ClientSessionGrantAccessArgs = EitherCase<WhichClientSession & Grants & ProductEnv>
export type ClientSessionDeleteArgs = EitherCase<{ client_session_id: string } & ProductEnv>
export type ClientSessionRevokeArgs = EitherCase<{ client_session_id: string; reason?: string } & ProductEnv>
export type ClientSessionListArgs = EitherCase<WhichClientSession & ProductEnv & {
  connect_webview_id?: string | null
  user_identity_id?: string | null
  without_user_identifier_key?: boolean | null
  page?: number
  per_page?: number
  limit?: number
}>
export type ClientSession = BothCases<{
  workspace_id: string
  client_session_id: string
  token: string
  user_identifier_key: string | null
  created_at: Date
  expires_at: Date
  device_count: number
  connected_account_ids: string[]
  third_party_account_ids: string[]
  connect_webview_ids: string[]
  user_identity_ids: string[]
}>
