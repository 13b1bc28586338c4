-- The beginnings of the periods of a time series, from the one in which $2 lies to the one in which $3 lies, and after them
-- the end of that one. $1: hour, day, week or month; $4: time zone.
WITH begins (at) AS (
    -- Hours begin where clocks show a full hour, or are changed: every zone differs from UTC by quarters of an hour.
    SELECT q.at
      FROM generate_series(date_trunc('hour', $2, 'UTC') - interval '2 hours', $3 + interval '2 hours',
                           interval '15 minutes') AS q (at)
     WHERE $1 = 'hour'
       AND (q.at AT TIME ZONE $4 = date_trunc('hour', q.at AT TIME ZONE $4)
            OR q.at AT TIME ZONE $4 <> ((q.at - interval '15 minutes') AT TIME ZONE $4) + interval '15 minutes')
     UNION
    -- Others begin at the first moment of their first day: at midnight or, where clocks skip that, later; where they
    -- repeat it, at the first of the two.
    SELECT (SELECT min(q.at)
              FROM generate_series((d.day AT TIME ZONE $4) - interval '3 hours', d.day AT TIME ZONE $4,
                                   interval '15 minutes') AS q (at)
             WHERE q.at AT TIME ZONE $4 >= d.day)
      FROM generate_series(date_trunc($1, $2 AT TIME ZONE $4),
                           ($3 AT TIME ZONE $4) + ('2 ' || $1)::interval, ('1 ' || $1)::interval) AS d (day)
     WHERE $1 <> 'hour'
)
SELECT b.at
  FROM (SELECT at, lead(at) OVER (ORDER BY at) AS ends, lag(at) OVER (ORDER BY at) AS before FROM begins) b
 WHERE b.at <= $3 AND b.ends > $2 OR b.at > $3 AND b.before <= $3
 ORDER BY b.at
