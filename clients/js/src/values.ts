// What arguments of many calls have in common.

/** Where a session belongs, for all calls that do not say it themselves. `null` says that there is none. */
export interface Place {
  product?: string | null
  env?: string | null
  tag?: string | null
}

/** A length of time: seconds, or text that PostgreSQL takes for an interval, such as `8 hours`. */
export type Interval = number | string
/** A moment: a Date, or text that PostgreSQL takes for a timestamptz. */
export type Moment = Date | string
