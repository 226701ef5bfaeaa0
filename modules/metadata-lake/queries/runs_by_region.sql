-- Runs by month, environment and the Region they were last exported from, with success rate and time
SELECT CAST(date_trunc('month', start_date) AS date) AS month, environment, region,
  count(*) AS runs,
  CAST(count_if(state = 'success') AS double) / count(*) AS success_rate,
  sum(CAST(date_diff('millisecond', start_date, end_date) AS double) / 1000) AS total_seconds
FROM dag_run
WHERE state IN ('success', 'failed') AND start_date IS NOT NULL AND end_date IS NOT NULL
GROUP BY date_trunc('month', start_date), environment, region
ORDER BY month, environment, region
