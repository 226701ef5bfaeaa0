-- At which hour of the day (UTC) attempts of tasks ended in the last 90 days, and how many of them failed
SELECT environment, hour(end_date) AS hour_of_day,
  count(*) AS attempts,
  count_if(state = 'failed') AS failed,
  CAST(count_if(state = 'failed') AS double) / count(*) AS failure_rate
FROM attempt
WHERE end_date >= date_add('day', -90, CAST(current_date AS timestamp)) AND state IN ('success', 'failed')
GROUP BY environment, hour(end_date)
ORDER BY environment, hour_of_day
