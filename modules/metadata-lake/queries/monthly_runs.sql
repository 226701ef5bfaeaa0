-- Runs of each DAG by month: how many, how many of them succeeded, how long they took, and the change against the month before
WITH finished AS (
  SELECT environment, dag_id, date_trunc('month', start_date) AS month, state,
    CAST(date_diff('millisecond', start_date, end_date) AS double) / 1000 AS seconds
  FROM dag_run
  WHERE state IN ('success', 'failed') AND start_date IS NOT NULL AND end_date IS NOT NULL
),
months AS (
  SELECT environment, dag_id, month,
    count(*) AS runs,
    count_if(state = 'success') AS succeeded,
    CAST(count_if(state = 'success') AS double) / count(*) AS success_rate,
    min(seconds) AS shortest_seconds,
    max(seconds) AS longest_seconds,
    avg(seconds) AS average_seconds
  FROM finished
  GROUP BY environment, dag_id, month
)
SELECT m.environment, m.dag_id, CAST(m.month AS date) AS month, m.runs, m.succeeded, m.success_rate,
  m.shortest_seconds, m.longest_seconds, m.average_seconds,
  m.runs - b.runs AS runs_change,
  m.success_rate - b.success_rate AS success_rate_change,
  m.average_seconds - b.average_seconds AS average_seconds_change
FROM months AS m
LEFT JOIN months AS b
  ON b.environment = m.environment AND b.dag_id = m.dag_id AND b.month = date_add('month', -1, m.month)
ORDER BY m.environment, m.dag_id, m.month
