CREATE OR REPLACE VIEW attempt AS
SELECT environment, region, dag_id, run_id, task_id, map_index, run_date, operator, pool, state, start_date, end_date,
  duration, true AS latest
FROM task_instance
WHERE start_date IS NOT NULL
UNION ALL
SELECT environment, region, dag_id, run_id, task_id, map_index, run_date, operator, pool, state, start_date, end_date,
  duration, false AS latest
FROM task_instance_history
WHERE start_date IS NOT NULL
UNION ALL
SELECT f.environment, f.region, f.dag_id, f.run_id, f.task_id, f.map_index, f.run_date, i.operator, i.pool,
  'failed' AS state, f.start_date, f.end_date, f.duration, false AS latest
FROM task_fail AS f
LEFT JOIN task_instance AS i
  ON i.environment = f.environment AND i.dag_id = f.dag_id AND i.run_id = f.run_id AND i.task_id = f.task_id
  AND i.map_index = f.map_index
LEFT JOIN task_instance_history AS h
  ON h.environment = f.environment AND h.dag_id = f.dag_id AND h.run_id = f.run_id AND h.task_id = f.task_id
  AND h.map_index = f.map_index AND h.start_date = f.start_date
WHERE f.start_date IS NOT NULL
  AND h.start_date IS NULL
  AND (i.start_date IS NULL OR i.start_date <> f.start_date)
