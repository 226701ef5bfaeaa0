-- The tasks on which the most time was spent in the last 90 days
SELECT environment, dag_id, task_id, max(operator) AS operator,
  count(*) AS attempts,
  sum(duration) AS total_seconds,
  avg(duration) AS average_seconds,
  max(duration) AS longest_seconds
FROM attempt
WHERE start_date >= date_add('day', -90, CAST(current_date AS timestamp)) AND duration IS NOT NULL
GROUP BY environment, dag_id, task_id
ORDER BY total_seconds DESC, environment, dag_id, task_id
LIMIT 100
