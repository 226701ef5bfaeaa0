-- How large the tables of each metadata database were at the end of each month, and by how much they grew
WITH months AS (
  SELECT environment, table_name, date_trunc('month', run_date) AS month,
    max_by(bytes, run_date) AS bytes,
    max_by(estimated_rows, run_date) AS estimated_rows
  FROM table_size
  GROUP BY environment, table_name, date_trunc('month', run_date)
)
SELECT m.environment, m.table_name, CAST(m.month AS date) AS month, m.bytes, m.estimated_rows, m.bytes - b.bytes AS growth
FROM months AS m
LEFT JOIN months AS b
  ON b.environment = m.environment AND b.table_name = m.table_name AND b.month = date_add('month', -1, m.month)
ORDER BY m.environment, m.month, m.bytes DESC, m.table_name
