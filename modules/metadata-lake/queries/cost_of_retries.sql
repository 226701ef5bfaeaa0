-- By DAG and month: how many attempts had to be made again, how long they had run, and which share of all time that is
SELECT environment, dag_id, CAST(date_trunc('month', start_date) AS date) AS month,
  count(*) AS attempts,
  count_if(NOT latest) AS repeated,
  sum(CASE WHEN latest THEN 0 ELSE duration END) AS repeated_seconds,
  sum(CASE WHEN latest THEN 0 ELSE duration END) / NULLIF(sum(duration), 0) AS repeated_share
FROM attempt
WHERE duration IS NOT NULL
GROUP BY environment, dag_id, date_trunc('month', start_date)
HAVING count_if(NOT latest) > 0
ORDER BY repeated_seconds DESC, environment, dag_id, month
